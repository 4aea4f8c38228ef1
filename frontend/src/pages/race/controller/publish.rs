//! Appends messages to the stream, and creates it if it is missing.

use serde::Serialize;
use tailwater_protocol::StreamName;
use tailwater_protocol::headers::ContentKind;

use super::RaceController;
use crate::api::name::NameFault;
use crate::api::stream;
use crate::browser;

impl RaceController {
    /// Appends a message to the stream.
    ///
    /// # Errors
    /// The reason why it was not appended.
    pub async fn publish(&self, text: &str) -> Result<(), String> {
        let due_us = self
            .race()
            .clock
            .map(|clock| clock.to_server_us(browser::now_ms()));
        let name = self.shown()?;
        let known = self.race().content_type.clone();
        let content_type = if known.is_empty() {
            "application/json".to_owned()
        } else {
            known
        };
        let body = match ContentKind::of(&content_type) {
            ContentKind::Json => published_message(text, due_us),
            ContentKind::Text | ContentKind::Binary => format!("{text}\n"),
        };
        stream::append(&name, &content_type, &body)
            .await
            .map_err(|refusal| refusal.message().to_owned())
    }

    /// The stream; an error if there is none.
    fn shown(&self) -> Result<StreamName, String> {
        self.race()
            .stream
            .clone()
            .ok_or_else(|| NameFault::Missing.to_string())
    }

    /// Creates the missing stream, which the lanes then follow.
    ///
    /// # Errors
    /// The reason why it was not created.
    pub async fn create(&self) -> Result<(), String> {
        let name = self.shown()?;
        stream::create(&name)
            .await
            .map_err(|refusal| refusal.message().to_owned())
    }
}

/// A text as a JSON message with the timestamps from which its latency is computed.
fn published_message(text: &str, due_us: Option<u64>) -> String {
    let message = PublishedMessage {
        text,
        due_us,
        sent_us: due_us,
    };
    serde_json::to_string(&message).unwrap_or_default()
}

#[derive(Serialize)]
struct PublishedMessage<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_us: Option<u64>,
}
