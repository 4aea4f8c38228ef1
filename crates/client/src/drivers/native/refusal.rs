//! The redirect policy of writes, and error texts for refusals.

use tailwater_protocol::Problem;

/// Limit of bytes read from the body of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Limit of redirects that a write follows.
const REDIRECTS_MAX: usize = 5;
/// Limit of characters of a `Location` in an error text.
const LOCATION_CHARS_MAX: usize = 200;

/// The redirect policy of writes: only 307 and 308, which keep the method and the body, and never from https to http. Other
/// redirects would turn the request into a GET, whose success would not confirm the write.
///
/// Source: RFC 9110, section 15.4.
pub(super) fn redirect_policy() -> reqwest::redirect::Policy {
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

/// The error text for a refusal, or for a redirect that was not followed. Reads at most 64 KiB of the body.
pub(super) async fn refusal_text(mut response: reqwest::Response) -> String {
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
