//! The browser driver: fetch and `ReadableStream` for HTTP, gloo-net for WebSocket.
//!
//! - Every request sets `cache: "no-store"`; otherwise the browser would send requests for the same URL one at a time.
//! - All times are `performance.now()`, so that a page can compare them with Resource Timing.
//! - The body of a page is read completely; a live response is read in pieces.
//! - Dropping a response aborts its request; dropping the [`Follower`] stops the reader.

mod http;
mod websocket;

pub use super::drive::Follower;
pub use crate::reader::FollowOptions;

use super::drive::{self, Transport, TransportEvent};
use crate::reader::{ReadRequest, StreamReader};
use crate::{FollowReport, duration_ms};
use futures_util::stream::LocalBoxStream;
use js_sys::{Function, Promise, Reflect};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tailwater_protocol::TechniqueKind;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The delay of `setTimeout` is limited to 32 bits; a longer wait is split into days.
const TIMEOUT_MAX: Duration = Duration::from_secs(86_400);

/// Follows a stream until it ends or the returned [`Follower`] is dropped.
///
/// - `stream_url`: absolute, or relative to the page.
/// - `on_report`: called for every report, in order, on this thread; times are those of `performance.now()`.
pub fn follow(
    stream_url: &str,
    options: FollowOptions,
    on_report: impl FnMut(FollowReport) + 'static,
) -> Follower {
    follow_from(stream_url, options, Duration::ZERO, on_report)
}

/// Like [`follow`], with reported times relative to another thread's `performance.timeOrigin`.
///
/// - `origin_offset`: this thread's `performance.timeOrigin` minus that of the other thread; added to
///   `performance.now()`.
pub fn follow_from(
    stream_url: &str,
    options: FollowOptions,
    origin_offset: Duration,
    on_report: impl FnMut(FollowReport) + 'static,
) -> Follower {
    // Boxed, so that the client is not compiled again for each type of callback.
    follow_boxed(stream_url, options, origin_offset, Box::new(on_report))
}

fn follow_boxed(
    stream_url: &str,
    options: FollowOptions,
    origin_offset: Duration,
    mut on_report: Box<dyn FnMut(FollowReport)>,
) -> Follower {
    let (follower, control) = Follower::new();
    let on_report = move |report| {
        on_report(report);
        ControlFlow::Continue(())
    };
    let browser = BrowserTransport {
        stream_url: absolute(stream_url),
        performance: global("performance").unchecked_into(),
        origin_offset,
    };
    wasm_bindgen_futures::spawn_local(drive::drive(
        browser,
        StreamReader::new(options),
        control,
        on_report,
    ));
    follower
}

#[derive(Debug)]
struct BrowserTransport {
    stream_url: String,
    performance: web_sys::Performance,
    origin_offset: Duration,
}

impl Transport for BrowserTransport {
    type Response = LocalBoxStream<'static, TransportEvent>;
    type Sleep = Sleep;

    fn now(&self) -> Duration {
        self.origin_offset + duration_ms(self.performance.now())
    }

    fn sleep_until(&self, at: Duration) -> Self::Sleep {
        Sleep::new(at.saturating_sub(self.now()))
    }

    fn send(&self, request: &ReadRequest) -> Self::Response {
        let url = drive::with_query(&self.stream_url, &request.query);
        match request.technique.kind() {
            TechniqueKind::Websocket => websocket::connect(drive::websocket_url(&url)),
            TechniqueKind::Polling | TechniqueKind::LongPolling => http::page(url),
            TechniqueKind::Streaming => http::live(url),
        }
    }
}

/// A future that is ready after a delay: a `setTimeout` that is cleared when dropped.
#[derive(Debug)]
pub struct Sleep {
    fired: JsFuture,
    id: JsValue,
}

impl Sleep {
    /// Ready after `after`, or after one day if that is shorter.
    pub fn new(after: Duration) -> Self {
        // Rounded up, so that it does not fire early.
        let ms = (after.min(TIMEOUT_MAX).as_secs_f64() * 1_000.0).ceil();
        let mut id = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _reject| {
            let set: Function = global("setTimeout").unchecked_into();
            id = set
                .call2(&JsValue::UNDEFINED, &resolve, &JsValue::from_f64(ms))
                .unwrap_or(JsValue::UNDEFINED);
        });
        Self {
            fired: JsFuture::from(promise),
            id,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.fired).poll(context).map(drop)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let clear: Function = global("clearTimeout").unchecked_into();
        // `clearTimeout` never throws, and does nothing after the timeout has fired.
        let _done = clear.call1(&JsValue::UNDEFINED, &self.id);
    }
}

/// A property of the global object, which is `window` or that of a worker.
fn global(name: &str) -> JsValue {
    Reflect::get(&js_sys::global(), &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Resolves a URL against that of the page: a WebSocket requires an absolute URL.
fn absolute(url: &str) -> String {
    let base = Reflect::get(&global("location"), &JsValue::from_str("href"))
        .ok()
        .and_then(|href| href.as_string());
    let absolute = match base {
        Some(base) => web_sys::Url::new_with_base(url, &base),
        None => web_sys::Url::new(url),
    };
    // For an invalid URL the first request fails with the browser's error.
    absolute.map_or_else(|_| url.to_owned(), |absolute| absolute.href())
}

/// The text of a JavaScript exception.
fn error_text(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.to_string()),
        None => format!("{thrown:?}"),
    }
}
