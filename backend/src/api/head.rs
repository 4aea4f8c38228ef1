//! HEAD: a stream's metadata and tail, without its data.

use super::headers::Headers;
use super::page::SANDBOX;
use super::{Answer, App, Call, EXTENSIONS, Refusal, lifetime_headers, names};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Handles a HEAD.
///
/// Source: Durable Streams protocol, section 5.5.
pub(super) fn head<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Answer, Refusal> {
    let log = app.log(call.path)?;
    let tail = log.tail_now();
    let mut answer = Answer::new(StatusCode::OK);
    answer.put(&CONTENT_TYPE, &*log.config().content_type);
    answer.put(&CONTENT_SECURITY_POLICY, SANDBOX);
    answer.forbid_storing();
    answer.put_end(tail.offset(), tail.closed());
    answer.put(&names::STREAM_EXTENSIONS, EXTENSIONS);
    lifetime_headers::show(log.config(), &mut answer);
    Ok(answer)
}
