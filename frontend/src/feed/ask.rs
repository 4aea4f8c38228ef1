//! The page's own requests: sources, races, the clock, a stream's head, appending. Followers make theirs themselves.

use futures_util::future::LocalBoxFuture;
use tailwater_lab::ClockProbe;
use tailwater_protocol::lab::{
    ClockReading, RaceChange, RaceRequest, RaceStatus, SourceAnswer, SourceRequest,
};
use tailwater_protocol::{StreamName, Token};
use wasm_bindgen::{JsCast, JsValue};

use crate::ask::{self, Answer};
use crate::browser;
use crate::model::json::line;
use crate::model::outcome::Refusal;
use crate::model::wish::Wish;

/// Nothing asked here takes longer.
const DEADLINE_S: u32 = 5;

fn send(wish: Wish) -> LocalBoxFuture<'static, Result<Answer, Refusal>> {
    ask::send(wish, DEADLINE_S)
}

fn with_json(method: &'static str, target: String, body: String) -> Wish {
    Wish::new(method, target)
        .with("content-type", "application/json")
        .with_body(body)
}

/// Starts a source or renews its lease.
///
/// # Errors
/// [`Refusal`]; 404 when the server's lab is off.
pub async fn source(wish: &SourceRequest) -> Result<SourceAnswer, Refusal> {
    send(with_json("POST", "/v1/lab/sources".to_owned(), line(wish)))
        .await?
        .json()
}

/// Opens a listener for each lane.
///
/// # Errors
/// [`Refusal`]; 404 when the server's lab is off.
pub async fn open_race(wish: &RaceRequest) -> Result<RaceStatus, Refusal> {
    send(with_json("POST", "/v1/lab/races".to_owned(), line(wish)))
        .await?
        .json()
}

fn race_path(id: &str) -> String {
    format!("/v1/lab/races/{id}")
}

/// The counts of a race; asking renews its lease.
///
/// # Errors
/// [`Refusal`]; 404 when the race has ended.
pub async fn race(id: &str) -> Result<RaceStatus, Refusal> {
    send(Wish::new("GET", race_path(id))).await?.json()
}

/// Other delays for all lanes of a race.
///
/// # Errors
/// [`Refusal`]; 404 when the race has ended.
pub async fn change_race(id: &str, change: &RaceChange) -> Result<(), Refusal> {
    send(with_json("PATCH", race_path(id), line(change)))
        .await
        .map(drop)
}

/// Ends a race; its lease would do so anyway.
pub async fn close_race(id: &str) {
    send(Wish::new("DELETE", race_path(id))).await.ok();
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
/// [`Refusal`]; 404 when there is no such stream.
pub async fn head(origin: &str, stream: &StreamName) -> Result<StreamHead, Refusal> {
    let answer = send(Wish::head(origin, stream)).await?;
    // Without a position it is no success.
    Ok(StreamHead {
        tail: answer.next.unwrap_or_else(Token::now),
        content_type: answer.content_type,
    })
}

/// Creates an empty JSON stream.
///
/// # Errors
/// [`Refusal`].
pub async fn create(stream: &StreamName) -> Result<(), Refusal> {
    send(Wish::create_json(stream)).await.map(drop)
}

/// Appends a body of the stream's own media type.
///
/// # Errors
/// [`Refusal`]; 404 when there is no such stream, 409 when it is closed or of another type.
pub async fn append(stream: &StreamName, content_type: &str, body: &str) -> Result<(), Refusal> {
    send(Wish::append(stream, content_type, body))
        .await
        .map(drop)
}

/// One probe of the server's clock, and how long the answer took from the browser to this script, ms.
///
/// The times are those of the network, from Resource Timing, where the browser has them: the page's own are later by
/// whatever else its one thread was doing.
///
/// # Errors
/// [`Refusal`].
pub async fn probe(count: u32) -> Result<(ClockProbe, Option<f64>), Refusal> {
    let answer = send(Wish::new("GET", format!("/v1/clock?n={count}"))).await?;
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
    let object = js_sys::Object::new();
    let set = |key: &str, value: &JsValue| {
        js_sys::Reflect::set(&object, &JsValue::from_str(key), value).ok()
    };
    set("text", &JsValue::from_str(text));
    if let Some(due_us) = due_us {
        set("due_us", &JsValue::from_f64(due_us as f64));
        set("sent_us", &JsValue::from_f64(due_us as f64));
    }
    js_sys::JSON::stringify(&object)
        .map(String::from)
        .unwrap_or_default()
}
