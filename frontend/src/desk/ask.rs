//! Requests of the Streams page: what a [`Wish`] says, aborted when nobody waits for the answer any more.

use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_net::http::{Method, RequestBuilder};
use tailwater_protocol::headers;
use tailwater_protocol::json::{self, FromJson};
use web_sys::{AbortController, RequestCache};

use crate::browser;
use crate::feed::ask::{Refusal, answered};
use crate::model::wish::Wish;

/// Nothing asked here takes longer.
const DEADLINE_MS: f64 = 10_000.0;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// Where the stream ends, if the answer told it.
    pub(super) next: Option<String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Aborts its request when dropped; after the answer that does nothing.
struct Abort(Option<AbortController>);

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Sends it, and reads the answer whole.
pub(super) async fn send(wish: &Wish) -> Result<Answer, Refusal> {
    let abort = Abort(AbortController::new().ok());
    let exchange = pin!(exchange(wish, &abort));
    match select(exchange, pin!(browser::sleep(DEADLINE_MS))).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(Refusal::Unreachable("no answer within 10 s".to_owned())),
    }
}

async fn exchange(wish: &Wish, abort: &Abort) -> Result<Answer, Refusal> {
    let method = match wish.method {
        "PUT" => Method::PUT,
        "POST" => Method::POST,
        "DELETE" => Method::DELETE,
        _ => Method::GET,
    };
    let mut builder = RequestBuilder::new(&wish.target).method(method).cache(RequestCache::NoStore);
    for (name, value) in &wish.headers {
        builder = builder.header(name, value);
    }
    let signal = abort.0.as_ref().map(AbortController::signal);
    let builder = builder.abort_signal(signal.as_ref());
    let built = match &wish.body {
        Some(body) => builder.body(body.as_str()),
        None => builder.build(),
    };
    let request = built.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    let response = answered(request.send().await).await?;
    let (status, next) = (response.status(), response.headers().get(headers::STREAM_NEXT_OFFSET));
    let body = response.binary().await.map_err(|fault| Refusal::Unreachable(fault.to_string()))?;
    Ok(Answer { status, next, body })
}

/// The same for an answer in JSON.
pub(super) async fn json<T: FromJson>(wish: &Wish) -> Result<T, Refusal> {
    let answer = send(wish).await?;
    json::read(&answer.body).map_err(|fault| Refusal::Status(answer.status, fault.to_string()))
}
