//! DELETE: removes a stream with its data, or hides it while forks need the data.

use super::headers::Headers;
use super::{Answer, App, Call, Refusal};
use http::StatusCode;

/// Handles a DELETE.
///
/// Source: Durable Streams protocol, section 5.4.
pub(super) async fn delete<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Answer, Refusal> {
    // Fails for a stream that is deleted already and kept for its forks.
    let name = app.log(call.path)?.name().clone();
    if app.streams.delete(&name).await? {
        Ok(Answer::new(StatusCode::NO_CONTENT))
    } else {
        Err(Refusal::NoStream(name.to_string()))
    }
}
