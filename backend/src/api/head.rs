//! HEAD: what a stream is and where it ends, without its data.

use super::headers::Headers;
use super::page::SANDBOX;
use super::{Answer, App, Call, EXTENSIONS, Refusal, lifetime_headers, names};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

/// Source: Durable Streams protocol, section 5.5.
pub(super) fn head<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Answer, Refusal> {
    let log = app.log(call.path)?;
    let tail = log.tail_now();
    let mut answer = Answer::new(StatusCode::OK);
    answer.put_text(&CONTENT_TYPE, log.config().content_type.to_string());
    answer.put(&CONTENT_SECURITY_POLICY, SANDBOX);
    answer.put(&CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.put_text(&names::STREAM_NEXT_OFFSET, tail.offset().to_string());
    answer.put(&names::STREAM_EXTENSIONS, HeaderValue::from_static(EXTENSIONS));
    lifetime_headers::show(log.config(), &mut answer);
    if tail.closed() {
        answer.put(&names::STREAM_CLOSED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}
