//! Which redirects a write follows, and in words what an answer that does not count says instead.

use tailwater_protocol::Problem;

/// Bytes of a refusal that are read to say why.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Redirects that one write follows.
const REDIRECTS_MAX: usize = 5;
/// Characters of a `Location` that are shown.
const LOCATION_CHARS_MAX: usize = 200;

/// Which redirects a write follows: those that keep its method and its body (307 and 308), and never from https to http. With any
/// other one the request would become a GET, whose success says nothing about the write.
///
/// Source: RFC 9110, section 15.4.
pub(super) fn redirects() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(reqwest::Url::scheme);
        let is_as_safe = match attempt.url().scheme() {
            "https" => true,
            "http" => from != Some("https"),
            _ => false,
        };
        let keeps_request = matches!(attempt.status().as_u16(), 307 | 308);
        if keeps_request && is_as_safe && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// A refusal or a redirect that was not followed, in words; at most 64 KiB of its body are read.
pub(super) async fn refused(mut response: reqwest::Response) -> String {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok());
    if let Some(location) = location.filter(|_| response.status().is_redirection()) {
        let location: String = location.chars().take(LOCATION_CHARS_MAX).collect();
        return format!(
            "the server answered with status {status}, a redirect to {location} that this request can't follow"
        );
    }
    let mut body = Vec::new();
    while body.len() < REFUSAL_BYTES_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        body.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES_MAX - body.len())]);
    }
    Problem::describe(status, &body)
}
