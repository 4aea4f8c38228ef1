//! The one way in which the page asks: a [`Wish`] is sent and its answer read whole, compiled once whatever is asked.

use std::pin::pin;

use futures_util::future::{Either, LocalBoxFuture, select};
use gloo_net::http::{Method, RequestBuilder};
use tailwater_protocol::{Problem, headers};
use web_sys::{AbortController, RequestCache};

use crate::browser;
use crate::model::wish::Wish;

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

impl From<gloo_net::Error> for Refusal {
    fn from(fault: gloo_net::Error) -> Self {
        Self::Unreachable(fault.to_string())
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status code, a success.
    pub status: u16,
    /// The URL that was asked, as the browser has it.
    pub url: String,
    /// Where the stream ends, if the answer told it.
    pub next: Option<String>,
    /// The media type; empty if the answer has none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When it was asked for, ms on the page's clock.
    pub asked_ms: f64,
    /// When its head was here, ms on the page's clock.
    pub had_ms: f64,
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

/// Sends it, and reads the answer whole; dropping the future aborts the request.
///
/// - `deadline_s`: nothing takes longer than so many seconds.
///
/// # Errors
/// [`Refusal`].
pub fn send(wish: Wish, deadline_s: u32) -> LocalBoxFuture<'static, Result<Answer, Refusal>> {
    Box::pin(async move {
        let abort = Abort(AbortController::new().ok());
        let exchange = pin!(exchange(&wish, &abort));
        match select(exchange, browser::sleep(f64::from(deadline_s) * 1_000.0)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(Refusal::Unreachable(format!("no answer within {deadline_s} s"))),
        }
    })
}

async fn exchange(wish: &Wish, abort: &Abort) -> Result<Answer, Refusal> {
    let method = match wish.method {
        "PUT" => Method::PUT,
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" => Method::HEAD,
        _ => Method::GET,
    };
    let signal = abort.0.as_ref().map(AbortController::signal);
    let mut builder = RequestBuilder::new(&wish.target).method(method).cache(RequestCache::NoStore);
    builder = builder.abort_signal(signal.as_ref());
    for (name, value) in &wish.headers {
        builder = builder.header(name, value);
    }
    let request = match &wish.body {
        Some(body) => builder.body(body.as_str()),
        None => builder.build(),
    }?;
    let asked_ms = browser::now_ms();
    let response = request.send().await?;
    let had_ms = browser::now_ms();
    let status = response.status();
    let body = response.binary().await;
    if !response.ok() {
        let problem = Problem::parse(&body.unwrap_or_default());
        let words = problem.map_or_else(|| response.status_text(), |problem| problem.detail);
        // A proxy in front (trunk serve) answers for a server that is gone.
        return Err(match status {
            502..=504 => Refusal::Unreachable(words),
            _ => Refusal::Status(status, words),
        });
    }
    let headers = response.headers();
    Ok(Answer {
        status,
        url: response.url(),
        next: headers.get(headers::STREAM_NEXT_OFFSET),
        content_type: headers.get("content-type").unwrap_or_default(),
        body: body?,
        asked_ms,
        had_ms,
    })
}
