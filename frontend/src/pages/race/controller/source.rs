//! The source whose events are raced, and the host's pulse for the null readers.

use tailwater_protocol::lab::{HostRequest, SourceLeaseRequest, SourceRequest};

use super::RaceController;
use crate::api::lab;
use crate::api::outcome::ApiError;
use crate::pages::race::model::settings::{RaceSettings, RaceSource};

impl RaceController {
    /// Asks for the source that the settings name, in the place of the one that was used before; the stream to follow.
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

    /// Sees to it that the host's pulse runs for the null readers, whatever is raced; their reading keeps it alive.
    pub(super) async fn lease_host(&self) {
        let request = SourceRequest::Host(HostRequest::default());
        // Without it the browser's own time for live lanes is not known, and nothing else is lost.
        lab::source(&request.into()).await.ok();
    }

    /// The name under which this page holds its sources.
    fn holder(&self) -> String {
        format!("page-{:x}", self.seed)
    }
}
