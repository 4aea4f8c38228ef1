//! Requests the source of the race, and the host source for the null readers.

use tailwater_protocol::lab::{HostRequest, SourceLeaseRequest, SourceRequest};

use super::RaceController;
use crate::api::lab;
use crate::api::outcome::ApiError;
use crate::pages::race::model::settings::{RaceSettings, RaceSource};

impl RaceController {
    /// Requests the source of the settings, which replaces the previous one, and returns the stream to follow.
    pub(super) async fn request_source(&self, settings: &RaceSettings) -> Result<String, ApiError> {
        let source = match &settings.source {
            RaceSource::Host => SourceRequest::Host(settings.host()),
            RaceSource::Generator => SourceRequest::Generator(settings.generator(self.seed)),
            RaceSource::Named(name) => return Ok(name.clone()),
        };
        let request = SourceLeaseRequest {
            source,
            holder: Some(self.holder()),
            replaces: self.source_stream.borrow().clone(),
        };
        let stream = lab::source(&request).await?.stream;
        *self.source_stream.borrow_mut() = Some(stream.clone());
        Ok(stream)
    }

    /// Starts the host source for the null readers; it runs as long as they read.
    pub(super) async fn lease_host(&self) {
        let request = SourceRequest::Host(HostRequest::default());
        // If this fails, only the time that the browser takes in live lanes is unknown.
        lab::source(&request.into()).await.ok();
    }

    /// The name of this page as a holder of sources.
    fn holder(&self) -> String {
        format!("page-{:x}", self.holder)
    }
}
