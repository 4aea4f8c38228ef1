//! The page's own requests: sources, races, the clock, a stream's head, appending. Followers make theirs themselves.

use gloo_net::http::{Request, RequestBuilder, Response};
use serde::Serialize;
use tailwater_lab::Probe;
use tailwater_protocol::json::{self, FromJson};
use tailwater_protocol::rig::{ClockReading, Race, RaceChange, RaceRequest, SourceAnswer, SourceRequest};
use tailwater_protocol::{Problem, Token, headers};
use wasm_bindgen::{JsCast, JsValue};

use crate::browser;
use crate::model::json::line;
use crate::model::settings::encode;

/// Nothing asked here takes longer.
const DEADLINE_MS: u32 = 5_000;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No answer: the server is gone, or something between refuses the connection.
    Unreachable(String),
    /// The server said no, in words.
    Status(u16, String),
}

impl Refusal {
    /// Whether the server said that there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status(404 | 410, _))
    }

    /// In words.
    pub fn words(&self) -> &str {
        match self {
            Self::Unreachable(words) | Self::Status(_, words) => words,
        }
    }
}

fn with_deadline(builder: RequestBuilder, deadline_ms: u32) -> RequestBuilder {
    let signal = web_sys::AbortSignal::timeout_with_u32(deadline_ms);
    builder.cache(web_sys::RequestCache::NoStore).abort_signal(Some(&signal))
}

fn with_json(builder: RequestBuilder, body: &impl Serialize) -> Result<Request, gloo_net::Error> {
    with_deadline(builder, DEADLINE_MS).header("content-type", "application/json").body(line(body))
}

/// The answer, unless it is a refusal.
pub(crate) async fn answered(sent: Result<Response, gloo_net::Error>) -> Result<Response, Refusal> {
    let response = sent.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    if response.ok() {
        return Ok(response);
    }
    let body = response.binary().await.unwrap_or_default();
    let words = Problem::parse(&body).map_or_else(|| response.status_text(), |problem| problem.detail);
    // A proxy in front (trunk serve) answers for a server that is gone.
    match response.status() {
        502..=504 => Err(Refusal::Unreachable(words)),
        status => Err(Refusal::Status(status, words)),
    }
}

async fn read<T: FromJson>(response: Response) -> Result<T, Refusal> {
    let body = response.binary().await.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    json::read(&body).map_err(|fault| Refusal::Unreachable(fault.to_string()))
}

async fn post<T: FromJson>(builder: RequestBuilder, body: &impl Serialize) -> Result<T, Refusal> {
    let request = with_json(builder, body);
    let request = request.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    read(answered(request.send().await).await?).await
}

/// Starts a source or renews its lease.
///
/// # Errors
/// [`Refusal`]; 404 when the server's lab is off.
pub async fn source(wish: &SourceRequest) -> Result<SourceAnswer, Refusal> {
    post(Request::post("/v1/lab/sources"), wish).await
}

/// Opens a listener for each lane.
///
/// # Errors
/// [`Refusal`]; 404 when the server's lab is off.
pub async fn open_race(wish: &RaceRequest) -> Result<Race, Refusal> {
    post(Request::post("/v1/lab/races"), wish).await
}

/// The counts of a race; asking renews its lease.
///
/// # Errors
/// [`Refusal`]; 404 when the race has ended.
pub async fn race(id: &str) -> Result<Race, Refusal> {
    let request = with_deadline(Request::get(&format!("/v1/lab/races/{id}")), DEADLINE_MS);
    read(answered(request.send().await).await?).await
}

/// Other delays for all lanes of a race.
///
/// # Errors
/// [`Refusal`]; 404 when the race has ended.
pub async fn change_race(id: &str, change: &RaceChange) -> Result<(), Refusal> {
    let request = with_json(Request::patch(&format!("/v1/lab/races/{id}")), change);
    let request = request.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    answered(request.send().await).await.map(|_| ())
}

/// Ends a race; its lease would do so anyway.
pub async fn close_race(id: &str) {
    with_deadline(Request::delete(&format!("/v1/lab/races/{id}")), DEADLINE_MS).send().await.ok();
}

/// The same from a page that is being left: the browser sends it although nobody waits for the answer.
pub fn leave_race(id: &str) {
    let options = web_sys::RequestInit::new();
    options.set_method("DELETE");
    js_sys::Reflect::set(&options, &JsValue::from_str("keepalive"), &JsValue::TRUE).ok();
    drop(browser::window().fetch_with_str_and_init(&format!("/v1/lab/races/{id}"), &options));
}

/// What is known of a stream without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// Its tail.
    pub tail: Token,
    /// Its media type.
    pub content_type: String,
}

/// The URL of a stream on `origin` (empty: the page's own).
pub fn stream_url(origin: &str, stream: &str) -> String {
    format!("{origin}/v1/stream/{}", encode(stream))
}

/// Asks for a stream's head at `origin`.
///
/// # Errors
/// [`Refusal`]; 404 when there is no such stream.
pub async fn head(origin: &str, stream: &str) -> Result<StreamHead, Refusal> {
    let builder = RequestBuilder::new(&stream_url(origin, stream)).method(gloo_net::http::Method::HEAD);
    let response = answered(with_deadline(builder, DEADLINE_MS).send().await).await?;
    let tail = response.headers().get(headers::STREAM_NEXT_OFFSET).and_then(|text| text.parse().ok());
    Ok(StreamHead {
        tail: tail.unwrap_or_else(Token::now),
        content_type: response.headers().get("content-type").unwrap_or_default(),
    })
}

/// Creates an empty JSON stream.
///
/// # Errors
/// [`Refusal`].
pub async fn create(stream: &str) -> Result<(), Refusal> {
    let builder = Request::put(&stream_url("", stream)).header("content-type", "application/json");
    answered(with_deadline(builder, DEADLINE_MS).send().await).await.map(|_| ())
}

/// Appends a body of the stream's own media type.
///
/// # Errors
/// [`Refusal`]; 404 when there is no such stream, 409 when it is closed or of another type.
pub async fn append(stream: &str, content_type: &str, body: &str) -> Result<(), Refusal> {
    let builder = Request::post(&stream_url("", stream)).header("content-type", content_type);
    let request = with_deadline(builder, DEADLINE_MS).body(body);
    let request = request.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    answered(request.send().await).await.map(|_| ())
}

/// One probe of the server's clock, and how long the answer took from the browser to this script, ms.
///
/// The times are those of the network, from Resource Timing, where the browser has them: the page's own are later by
/// whatever else its one thread was doing.
///
/// # Errors
/// [`Refusal`].
pub async fn probe(count: u32) -> Result<(Probe, Option<f64>), Refusal> {
    let builder = Request::get("/v1/clock").query([("n", count.to_string())]);
    let asked_ms = browser::now_ms();
    let response = answered(with_deadline(builder, DEADLINE_MS).send().await).await?;
    let had_ms = browser::now_ms();
    // As the browser has it: gloo-net writes queries in its own way.
    let url = response.url();
    let reading: ClockReading = read(response).await?;
    let (received_us, answered_us) = (reading.received_us, reading.sent_us);
    let Some(stamps) = network_stamps(&url) else {
        return Ok((Probe { sent_ms: asked_ms, received_us, answered_us, back_ms: had_ms }, None));
    };
    let probe = Probe { sent_ms: stamps.0, received_us, answered_us, back_ms: stamps.1 };
    Ok((probe, Some((had_ms - stamps.1).max(0.0))))
}

/// When the browser sent the request and had the answer's first byte; `None` where it does not tell.
fn network_stamps(url: &str) -> Option<(f64, f64)> {
    let performance = browser::window().performance()?;
    let entry = performance.get_entries_by_name(url).pop();
    let timing: web_sys::PerformanceResourceTiming = (!entry.is_undefined()).then_some(entry)?.dyn_into().ok()?;
    let stamps = (timing.request_start(), timing.response_start());
    // The buffer holds 250 entries; what is read is not needed again.
    performance.clear_resource_timings();
    (stamps.0 > 0.0 && stamps.1 >= stamps.0).then_some(stamps)
}

/// A text as a JSON message with the stamps that let its lateness count.
pub fn published(text: &str, due_us: Option<u64>) -> String {
    let object = js_sys::Object::new();
    let set = |key: &str, value: &JsValue| js_sys::Reflect::set(&object, &JsValue::from_str(key), value).ok();
    set("text", &JsValue::from_str(text));
    if let Some(due_us) = due_us {
        set("due_us", &JsValue::from_f64(due_us as f64));
        set("sent_us", &JsValue::from_f64(due_us as f64));
    }
    js_sys::JSON::stringify(&object).map(String::from).unwrap_or_default()
}
