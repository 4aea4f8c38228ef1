//! Probes of the server's clock.

use tailwater_lab::ClockProbe;
use tailwater_protocol::lab::ClockReading;
use wasm_bindgen::JsCast;

use crate::api::outcome::ApiError;
use crate::api::request::ApiRequest;
use crate::api::send::send;
use crate::browser;

/// One probe of the server's clock, and how long the answer took from the browser to this script, ms.
///
/// The times are those of Resource Timing, if the browser provides them: times taken by the page include delays of its
/// own thread.
///
/// # Errors
/// [`ApiError`].
pub async fn probe(count: u32) -> Result<(ClockProbe, Option<f64>), ApiError> {
    let response = send(ApiRequest::new("GET", format!("/v1/clock?n={count}"))).await?;
    let received_ms = response.received_ms;
    let reading: ClockReading = response.json()?;
    let (received_us, responded_us) = (reading.received_us, reading.sent_us);
    let Some(stamps) = network_stamps(&response.url) else {
        return Ok((
            ClockProbe {
                sent_ms: response.sent_ms,
                received_us,
                responded_us,
                back_ms: received_ms,
            },
            None,
        ));
    };
    let probe = ClockProbe {
        sent_ms: stamps.0,
        received_us,
        responded_us,
        back_ms: stamps.1,
    };
    Ok((probe, Some((received_ms - stamps.1).max(0.0))))
}

/// When the browser sent the request and had the answer's first byte; `None` where it does not tell.
fn network_stamps(url: &str) -> Option<(f64, f64)> {
    let performance = browser::window().performance()?;
    let entry = performance.get_entries_by_name(url).pop();
    let timing: web_sys::PerformanceResourceTiming =
        (!entry.is_undefined()).then_some(entry)?.dyn_into().ok()?;
    let stamps = (timing.request_start(), timing.response_start());
    // The buffer holds 250 entries; what is read is not needed again.
    performance.clear_resource_timings();
    (stamps.0 > 0.0 && stamps.1 >= stamps.0).then_some(stamps)
}
