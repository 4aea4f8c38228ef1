//! The page's own requests: sources, races, the clock, a stream's head, appending. Followers make theirs themselves.

use serde::Serialize;
use tailwater_lab::ClockProbe;
use tailwater_protocol::lab::{
    ClockReading, RaceChange, RaceRequest, RaceStatus, SourceAnswer, SourceRequest,
};
use tailwater_protocol::{StreamName, Token};
use wasm_bindgen::{JsCast, JsValue};

use crate::api::outcome::ApiError;
use crate::api::request::ApiRequest;
use crate::api::send::{self, ApiResponse};
use crate::browser;

/// Nothing asked here takes longer.
const DEADLINE_S: u32 = 5;

async fn send(request: ApiRequest) -> Result<ApiResponse, ApiError> {
    send::send(request, DEADLINE_S).await
}

fn with_json(method: &'static str, target: String, body: &impl Serialize) -> ApiRequest {
    // Numbers and texts in structs: nothing of it can fail to be written.
    let body = serde_json::to_string(body).unwrap_or_default();
    ApiRequest::new(method, target)
        .with("content-type", "application/json")
        .with_body(body)
}

/// Starts a source or renews its lease.
///
/// # Errors
/// [`ApiError`]; 404 when the server's lab is off.
pub async fn source(request: &SourceRequest) -> Result<SourceAnswer, ApiError> {
    send(with_json("POST", "/v1/lab/sources".to_owned(), request))
        .await?
        .json()
}

/// Opens a listener for each lane.
///
/// # Errors
/// [`ApiError`]; 404 when the server's lab is off.
pub async fn open_race(request: &RaceRequest) -> Result<RaceStatus, ApiError> {
    send(with_json("POST", "/v1/lab/races".to_owned(), request))
        .await?
        .json()
}

fn race_path(id: &str) -> String {
    format!("/v1/lab/races/{id}")
}

/// The counts of a race; asking renews its lease.
///
/// # Errors
/// [`ApiError`]; 404 when the race has ended.
pub async fn race(id: &str) -> Result<RaceStatus, ApiError> {
    send(ApiRequest::new("GET", race_path(id))).await?.json()
}

/// Other delays for all lanes of a race.
///
/// # Errors
/// [`ApiError`]; 404 when the race has ended.
pub async fn change_race(id: &str, change: &RaceChange) -> Result<(), ApiError> {
    send(with_json("PATCH", race_path(id), change))
        .await
        .map(drop)
}

/// Ends a race; its lease would do so anyway.
pub async fn close_race(id: &str) {
    send(ApiRequest::new("DELETE", race_path(id))).await.ok();
}

/// The same from a page that is being left: the browser sends it although nobody waits for the answer.
pub fn leave_race(id: &str) {
    let options = web_sys::RequestInit::new();
    options.set_method("DELETE");
    options.set_redirect(web_sys::RequestRedirect::Error);
    js_sys::Reflect::set(&options, &JsValue::from_str("keepalive"), &JsValue::TRUE).ok();
    drop(browser::window().fetch_with_str_and_init(&race_path(id), &options));
}

/// What is known of a stream without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// Its tail.
    pub tail: Token,
    /// Its media type.
    pub content_type: String,
}

/// Asks for a stream's head at `origin`.
///
/// # Errors
/// [`ApiError`]; 404 when there is no such stream.
pub async fn head(origin: &str, stream: &StreamName) -> Result<StreamHead, ApiError> {
    let answer = send(ApiRequest::head(origin, stream)).await?;
    // Without a position it is no success.
    Ok(StreamHead {
        tail: answer.next.unwrap_or_else(Token::now),
        content_type: answer.content_type,
    })
}

/// Creates an empty JSON stream.
///
/// # Errors
/// [`ApiError`].
pub async fn create(stream: &StreamName) -> Result<(), ApiError> {
    send(ApiRequest::create_json(stream)).await.map(drop)
}

/// Appends a body of the stream's own media type.
///
/// # Errors
/// [`ApiError`]; 404 when there is no such stream, 409 when it is closed or of another type.
pub async fn append(stream: &StreamName, content_type: &str, body: &str) -> Result<(), ApiError> {
    send(ApiRequest::append(stream, content_type, body))
        .await
        .map(drop)
}

/// One probe of the server's clock, and how long the answer took from the browser to this script, ms.
///
/// The times are those of the network, from Resource Timing, where the browser has them: the page's own are later by
/// whatever else its one thread was doing.
///
/// # Errors
/// [`ApiError`].
pub async fn probe(count: u32) -> Result<(ClockProbe, Option<f64>), ApiError> {
    let answer = send(ApiRequest::new("GET", format!("/v1/clock?n={count}"))).await?;
    let had_ms = answer.had_ms;
    let reading: ClockReading = answer.json()?;
    let (received_us, answered_us) = (reading.received_us, reading.sent_us);
    let Some(stamps) = network_stamps(&answer.url) else {
        return Ok((
            ClockProbe {
                sent_ms: answer.asked_ms,
                received_us,
                answered_us,
                back_ms: had_ms,
            },
            None,
        ));
    };
    let probe = ClockProbe {
        sent_ms: stamps.0,
        received_us,
        answered_us,
        back_ms: stamps.1,
    };
    Ok((probe, Some((had_ms - stamps.1).max(0.0))))
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

/// A text as a JSON message with the stamps that let its lateness count.
pub fn published(text: &str, due_us: Option<u64>) -> String {
    let message = PublishedMessage {
        text,
        due_us,
        sent_us: due_us,
    };
    serde_json::to_string(&message).unwrap_or_default()
}

#[derive(Serialize)]
struct PublishedMessage<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_us: Option<u64>,
}
