//! HTTP requests with fetch: the body of a page is read completely, a live response in pieces.

use super::error_text;
use crate::drivers::drive::TransportEvent;
use crate::duration_ms;
use crate::reader::StreamResponseHead;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use gloo_net::http::{Request, Response};
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache};

/// Aborts its request when dropped; without effect once the response is complete.
struct FetchAbort(Option<AbortController>);

impl Drop for FetchAbort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// The state of a request and its response.
enum FetchState {
    Unsent(String),
    Started(Response, FetchAbort),
    Reading(ReadableStreamDefaultReader, FetchAbort),
    Complete,
}

/// Requests a page, whose body is read completely.
pub(super) fn page(url: String) -> LocalBoxStream<'static, TransportEvent> {
    fetch(url, true)
}

/// Requests a live response, which is read in pieces.
pub(super) fn live(url: String) -> LocalBoxStream<'static, TransportEvent> {
    fetch(url, false)
}

fn fetch(url: String, is_page: bool) -> LocalBoxStream<'static, TransportEvent> {
    stream::unfold(Some(FetchState::Unsent(url)), move |state| async move {
        Some(match state? {
            FetchState::Unsent(url) => send(url).await,
            FetchState::Started(response, abort) if !is_page => match response.body() {
                Some(body) => read(body.get_reader().unchecked_into(), abort).await,
                None => (TransportEvent::End, None),
            },
            FetchState::Started(response, abort) if has_body(&response) => {
                match response.binary().await {
                    Ok(bytes) => {
                        drop(abort);
                        (
                            TransportEvent::Piece(bytes.into()),
                            Some(FetchState::Complete),
                        )
                    }
                    Err(fault) => (TransportEvent::Fault(fault.to_string()), None),
                }
            }
            FetchState::Reading(reader, abort) => read(reader, abort).await,
            FetchState::Started(..) | FetchState::Complete => (TransportEvent::End, None),
        })
    })
    .boxed_local()
}

async fn send(url: String) -> (TransportEvent, Option<FetchState>) {
    let abort = FetchAbort(AbortController::new().ok());
    let signal = abort.0.as_ref().map(AbortController::signal);
    let sent = Request::get(&url)
        .cache(RequestCache::NoStore)
        .abort_signal(signal.as_ref())
        .send()
        .await;
    match sent {
        Ok(response) => {
            let headers = response.headers();
            let now = duration_ms(js_sys::Date::now());
            let head = StreamResponseHead::read(response.status(), now, |name| headers.get(name));
            (
                TransportEvent::Head(head),
                Some(FetchState::Started(response, abort)),
            )
        }
        Err(fault) => (TransportEvent::Fault(fault.to_string()), None),
    }
}

fn has_body(response: &Response) -> bool {
    !matches!(response.status(), 204 | 304)
}

async fn read(
    reader: ReadableStreamDefaultReader,
    abort: FetchAbort,
) -> (TransportEvent, Option<FetchState>) {
    let chunk = match JsFuture::from(reader.read()).await {
        Ok(chunk) => chunk,
        Err(thrown) => return (TransportEvent::Fault(error_text(&thrown)), None),
    };
    let part = |name| Reflect::get(&chunk, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    if part("done").is_truthy() {
        return (TransportEvent::End, None);
    }
    match part("value").dyn_into::<Uint8Array>() {
        Ok(bytes) => (
            TransportEvent::Piece(bytes.to_vec().into()),
            Some(FetchState::Reading(reader, abort)),
        ),
        Err(other) => (
            TransportEvent::Fault(format!(
                "expected bytes from the response body, got {other:?}"
            )),
            None,
        ),
    }
}
