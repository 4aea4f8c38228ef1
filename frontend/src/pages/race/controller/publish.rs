//! What a person adds to the stream that is shown: a message, or the stream itself where it is missing.

use tailwater_protocol::StreamName;
use tailwater_protocol::headers::ContentKind;

use super::RaceController;
use crate::api::lab;
use crate::api::name::NameFault;
use crate::browser;

impl RaceController {
    /// Appends a message to the stream that is shown.
    ///
    /// # Errors
    /// Why it was not taken, in words.
    pub async fn publish(&self, text: &str) -> Result<(), String> {
        let due_us = self
            .race()
            .clock
            .map(|clock| clock.to_server_us(browser::now_ms()));
        let stream = self.shown()?;
        let known = self.content_type.borrow().clone();
        let content_type = if known.is_empty() {
            "application/json".to_owned()
        } else {
            known
        };
        let body = match ContentKind::of(&content_type) {
            ContentKind::Json => lab::published(text, due_us),
            ContentKind::Text | ContentKind::Binary => format!("{text}\n"),
        };
        lab::append(&stream, &content_type, &body)
            .await
            .map_err(|refusal| refusal.words().to_owned())
    }

    /// The stream that is shown; as an error, that none is.
    fn shown(&self) -> Result<StreamName, String> {
        self.race()
            .stream
            .clone()
            .ok_or_else(|| NameFault::Missing.to_string())
    }

    /// Creates the stream that is missing; the lanes follow by themselves.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn create(&self) -> Result<(), String> {
        let stream = self.shown()?;
        lab::create(&stream)
            .await
            .map_err(|refusal| refusal.words().to_owned())
    }
}
