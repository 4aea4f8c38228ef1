//! Sends an [`ApiRequest`] and reads the whole response.

use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_net::http::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use tailwater_protocol::{Token, document, headers};
use web_sys::{AbortController, RequestCache, RequestRedirect};

use crate::api::outcome::{ApiError, ApiResponseHead};
use crate::api::request::ApiRequest;
use crate::browser;

impl From<gloo_net::Error> for ApiError {
    fn from(fault: gloo_net::Error) -> Self {
        Self::Unreachable(fault.to_string())
    }
}

/// A successful response.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiResponse {
    /// The status code.
    pub status: u16,
    /// The requested URL, as the browser resolved it.
    pub url: String,
    /// The tail of the stream, if the request was about one.
    pub next: Option<Token>,
    /// The media type; empty if the response has none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// When the request was sent, ms on the page's clock.
    pub sent_ms: f64,
    /// When the head was received, ms on the page's clock.
    pub received_ms: f64,
}

impl ApiResponse {
    /// Decodes the body, which is JSON.
    ///
    /// # Errors
    /// [`ApiError::Status`] if it is anything else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        document::read(&self.body).map_err(|fault| {
            let Self { status, url, .. } = self;
            let message =
                format!("{url}: the response has status {status}, but an unexpected body: {fault}");
            ApiError::Status(*status, message)
        })
    }
}

/// Aborts its request when dropped, unless it has its response.
struct RequestAbort(Option<AbortController>);

impl Drop for RequestAbort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Seconds after which a request without a response counts as failed.
const DEADLINE_S: u32 = 10;

/// Sends a request and reads the whole response; dropping the future aborts the request.
///
/// # Errors
/// [`ApiError`].
pub async fn send(request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let abort = RequestAbort(AbortController::new().ok());
    let exchange = pin!(exchange(&request, &abort));
    match select(exchange, browser::sleep(f64::from(DEADLINE_S) * 1_000.0)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(ApiError::Unreachable(format!(
            "no response within {DEADLINE_S} s"
        ))),
    }
}

async fn exchange(request: &ApiRequest, abort: &RequestAbort) -> Result<ApiResponse, ApiError> {
    let method = match request.method {
        "PUT" => Method::PUT,
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" => Method::HEAD,
        _ => Method::GET,
    };
    let signal = abort.0.as_ref().map(AbortController::signal);
    let redirect = if request.follows_redirects() {
        RequestRedirect::Follow
    } else {
        RequestRedirect::Manual
    };
    let mut builder = RequestBuilder::new(&request.target)
        .method(method)
        .cache(RequestCache::NoStore)
        .redirect(redirect);
    builder = builder.abort_signal(signal.as_ref());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let sending = match &request.body {
        Some(body) => builder.body(body.as_str()),
        None => builder.build(),
    }?;
    let sent_ms = browser::now_ms();
    let response = sending.send().await?;
    let received_ms = browser::now_ms();
    let status = response.status();
    let url = response.url();
    let headers = response.headers();
    let closed = headers
        .get(headers::STREAM_CLOSED)
        .is_some_and(|value| value == "true");
    let head = ApiResponseHead {
        status,
        next: headers.get(headers::STREAM_NEXT_OFFSET),
        closed,
    };
    let body = response.binary().await;
    let next = request.outcome(&url, &head, body.as_deref().unwrap_or_default())?;
    let content_type = headers.get("content-type").unwrap_or_default();
    Ok(ApiResponse {
        status,
        url,
        next,
        content_type,
        body: body?,
        sent_ms,
        received_ms,
    })
}
