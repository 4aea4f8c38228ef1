//! Requests to the lab: sources and races.

use serde::Serialize;
use tailwater_protocol::lab::{
    RaceChange, RaceRequest, RaceStatus, SourceAnswer, SourceLeaseRequest,
};
use wasm_bindgen::JsValue;

use crate::api::outcome::ApiError;
use crate::api::request::ApiRequest;
use crate::api::send::send;
use crate::browser;

fn with_json(method: &'static str, target: String, body: &impl Serialize) -> ApiRequest {
    // Structs of numbers and texts can always be encoded.
    let body = serde_json::to_string(body).unwrap_or_default();
    ApiRequest::new(method, target)
        .with("content-type", "application/json")
        .with_body(body)
}

/// Starts a source or renews its lease.
///
/// # Errors
/// [`ApiError`]; 404 when the server's lab is off.
pub async fn source(request: &SourceLeaseRequest) -> Result<SourceAnswer, ApiError> {
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

/// The counts of a race; each request renews its lease.
///
/// # Errors
/// [`ApiError`]; 404 when the race has ended.
pub async fn race(id: &str) -> Result<RaceStatus, ApiError> {
    send(ApiRequest::new("GET", race_path(id))).await?.json()
}

/// Changes the delays of all lanes of a race.
///
/// # Errors
/// [`ApiError`]; 404 when the race has ended.
pub async fn change_race(id: &str, change: &RaceChange) -> Result<(), ApiError> {
    send(with_json("PATCH", race_path(id), change))
        .await
        .map(drop)
}

/// Ends a race before its lease expires.
pub async fn close_race(id: &str) {
    send(ApiRequest::new("DELETE", race_path(id))).await.ok();
}

/// Ends a race while the page is unloaded: the browser still sends the request, and the response is not read.
pub fn leave_race(id: &str) {
    let options = web_sys::RequestInit::new();
    options.set_method("DELETE");
    options.set_redirect(web_sys::RequestRedirect::Error);
    js_sys::Reflect::set(&options, &JsValue::from_str("keepalive"), &JsValue::TRUE).ok();
    drop(browser::window().fetch_with_str_and_init(&race_path(id), &options));
}
