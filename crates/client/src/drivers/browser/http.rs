//! Requests by fetch: a page read as a whole, or a live answer read piece by piece.

use super::in_words;
use crate::drivers::drive::AnswerPart;
use crate::reader::AnswerHead;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use gloo_net::http::{Request, Response};
use js_sys::{Reflect, Uint8Array};
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStreamDefaultReader, RequestCache};

/// Aborts its request when dropped, unless that is over.
struct FetchAbort(Option<AbortController>);

impl Drop for FetchAbort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Where an answer stands between two arrivals.
enum FetchAnswer {
    Asked(String),
    Answered(Response, FetchAbort),
    Reading(ReadableStreamDefaultReader, FetchAbort),
    Whole,
}

/// Asks for an answer that counts only as a whole.
pub(super) fn page(url: String) -> LocalBoxStream<'static, AnswerPart> {
    answer(url, true)
}

/// Asks for an answer that never ends.
pub(super) fn live(url: String) -> LocalBoxStream<'static, AnswerPart> {
    answer(url, false)
}

fn answer(url: String, as_a_whole: bool) -> LocalBoxStream<'static, AnswerPart> {
    stream::unfold(Some(FetchAnswer::Asked(url)), move |answer| async move {
        Some(match answer? {
            FetchAnswer::Asked(url) => ask(url).await,
            FetchAnswer::Answered(response, abort) if !as_a_whole => match response.body() {
                Some(body) => read(body.get_reader().unchecked_into(), abort).await,
                None => (AnswerPart::End, None),
            },
            FetchAnswer::Answered(response, abort) if has_body(&response) => {
                match response.binary().await {
                    Ok(bytes) => {
                        drop(abort);
                        (AnswerPart::Piece(bytes.into()), Some(FetchAnswer::Whole))
                    }
                    Err(fault) => (AnswerPart::Fault(fault.to_string()), None),
                }
            }
            FetchAnswer::Reading(reader, abort) => read(reader, abort).await,
            FetchAnswer::Answered(..) | FetchAnswer::Whole => (AnswerPart::End, None),
        })
    })
    .boxed_local()
}

async fn ask(url: String) -> (AnswerPart, Option<FetchAnswer>) {
    let abort = FetchAbort(AbortController::new().ok());
    let signal = abort.0.as_ref().map(AbortController::signal);
    let asked = Request::get(&url)
        .cache(RequestCache::NoStore)
        .abort_signal(signal.as_ref())
        .send()
        .await;
    match asked {
        Ok(response) => {
            let headers = response.headers();
            let now = Duration::from_secs_f64(js_sys::Date::now().max(0.0) / 1_000.0);
            let head = AnswerHead::read(response.status(), now, |name| headers.get(name));
            (
                AnswerPart::Head(head),
                Some(FetchAnswer::Answered(response, abort)),
            )
        }
        Err(fault) => (AnswerPart::Fault(fault.to_string()), None),
    }
}

fn has_body(response: &Response) -> bool {
    !matches!(response.status(), 204 | 304)
}

async fn read(
    reader: ReadableStreamDefaultReader,
    abort: FetchAbort,
) -> (AnswerPart, Option<FetchAnswer>) {
    let came = match JsFuture::from(reader.read()).await {
        Ok(came) => came,
        Err(thrown) => return (AnswerPart::Fault(in_words(&thrown)), None),
    };
    let part = |name| Reflect::get(&came, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    if part("done").is_truthy() {
        return (AnswerPart::End, None);
    }
    match part("value").dyn_into::<Uint8Array>() {
        Ok(bytes) => (
            AnswerPart::Piece(bytes.to_vec().into()),
            Some(FetchAnswer::Reading(reader, abort)),
        ),
        Err(other) => (
            AnswerPart::Fault(format!(
                "the browser read something that is not bytes: {other:?}"
            )),
            None,
        ),
    }
}
