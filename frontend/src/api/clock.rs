//! Probes of the server's clock.

use tailwater_lab::ClockProbe;
use tailwater_protocol::lab::ClockReading;

use crate::api::outcome::ApiError;
use crate::api::request::ApiRequest;
use crate::api::send::send;
use crate::browser;

/// One probe of the server's clock.
///
/// - `origin`: the server's, or that of a relay in front of it; empty for the page's own.
/// - `count`: different for each probe, so that no response is from a cache.
///
/// The times are those of Resource Timing, if the browser provides them: times measured by the page include delays of its
/// own thread.
///
/// # Errors
/// [`ApiError`].
pub async fn probe(origin: &str, count: u32) -> Result<ClockProbe, ApiError> {
    let target = format!("{origin}/v1/clock?n={count}");
    let response = send(ApiRequest::new("GET", target)).await?;
    let reading: ClockReading = response.json()?;
    let stamps = browser::timings(&response.url)
        .last()
        .map(|timing| (timing.request_start(), timing.response_start()))
        .filter(|(sent_ms, back_ms)| back_ms >= sent_ms);
    let (sent_ms, back_ms) = stamps.unwrap_or((response.sent_ms, response.received_ms));
    Ok(ClockProbe {
        sent_ms,
        received_us: reading.received_us,
        responded_us: reading.sent_us,
        back_ms,
    })
}
