//! DELETE: remove a stream with all its data, or hide it while forks need that.

use super::headers::Headers;
use super::{Answer, App, Call, Refusal};
use http::StatusCode;

/// Source: Durable Streams protocol, section 5.4.
pub(super) async fn delete<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Answer, Refusal> {
    // Says whether it was deleted before and lives on for its forks.
    let name = app.log(call.path)?.name().clone();
    if app.streams.delete(&name).await? {
        Ok(Answer::new(StatusCode::NO_CONTENT))
    } else {
        Err(Refusal::NoStream(name.to_string()))
    }
}
