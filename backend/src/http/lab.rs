//! The lab's endpoints: the clock, sources and races, as `tailwater_protocol::rig` describes them.

use super::body::received;
use crate::api::{App, Class, OtherRefusal, Refusal};
use crate::lab::Lab;
use crate::lab::races::RaceError;
use crate::lab::source::SourceError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tailwater_protocol::document;
use tailwater_protocol::rig::{ClockReading, RaceChange, RaceRequest, SourceRequest};

/// Largest request body; the longest that makes sense has a few hundred bytes.
const BODY_BYTES_MAX: u64 = 16 * 1024;

/// What the lab refuses, and what it says.
#[derive(Debug, thiserror::Error)]
pub enum LabRefusal {
    /// The lab is not offered here (404).
    #[error(
        "the lab (sources, counting relays) is offered on loopback without a proxy; elsewhere start the server with --lab"
    )]
    Off,
    /// A body that can't be read (400).
    #[error("{0}")]
    Body(String),
    /// A race was not started, changed or found.
    #[error(transparent)]
    Race(RaceError),
    /// A source does not run.
    #[error(transparent)]
    Source(SourceError),
}

impl OtherRefusal for LabRefusal {
    fn class(&self) -> Class {
        use StatusCode as S;
        match self {
            Self::Off => (S::NOT_FOUND, "#lab-off", "The lab is not offered here"),
            Self::Body(_) => (S::BAD_REQUEST, "#lab-body", "The body is not understood"),
            Self::Race(RaceError::Field(_)) | Self::Source(SourceError::Field(_)) => {
                (S::BAD_REQUEST, "#lab-value", "A value is out of range")
            }
            Self::Race(RaceError::Unknown(_)) => (S::NOT_FOUND, "#no-race", "There is no such race"),
            Self::Race(RaceError::TooMany { .. }) => (S::SERVICE_UNAVAILABLE, "#too-many-races", "No room for a race"),
            Self::Source(SourceError::TooMany { .. }) => {
                (S::SERVICE_UNAVAILABLE, "#too-many-sources", "No room for a source")
            }
            Self::Race(RaceError::System(_)) | Self::Source(SourceError::System(_)) => {
                (S::SERVICE_UNAVAILABLE, "#system", "The system has no room")
            }
            Self::Source(SourceError::Foreign { .. }) => {
                (S::CONFLICT, "#foreign-stream", "The stream is not a source's")
            }
            // These become refusals of their own, see `From<SourceError>`.
            Self::Source(SourceError::Create(_) | SourceError::Read(_) | SourceError::Name(_)) => {
                (S::INTERNAL_SERVER_ERROR, "#source", "The source can't write")
            }
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Race(RaceError::TooMany { lease_s, .. }) | Self::Source(SourceError::TooMany { lease_s, .. }) => {
                Some(*lease_s)
            }
            Self::Race(RaceError::System(_)) | Self::Source(SourceError::System(_)) => Some(1),
            _ => None,
        }
    }

    fn closes(&self) -> bool {
        false
    }
}

impl From<LabRefusal> for Refusal {
    fn from(refusal: LabRefusal) -> Self {
        Self::Other(Box::new(refusal))
    }
}

impl From<RaceError> for Refusal {
    fn from(error: RaceError) -> Self {
        LabRefusal::Race(error).into()
    }
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Create(error) => error.into(),
            SourceError::Read(error) => error.into(),
            SourceError::Name(error) => error.into(),
            own => LabRefusal::Source(own).into(),
        }
    }
}

/// Registers the clock, which is always there, and the lab's routes, which need a `web::Data<Lab>` and answer 404 without.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/v1/clock").route(web::get().to(clock)).default_service(web::to(only_get)))
        .service(web::resource("/v1/lab/sources").route(web::post().to(ask_source)).default_service(web::to(only_post)))
        .service(web::resource("/v1/lab/races").route(web::post().to(start_race)).default_service(web::to(only_post)))
        .service(
            web::resource("/v1/lab/races/{id}")
                .route(web::get().to(look_at_race))
                .route(web::patch().to(change_race))
                .route(web::delete().to(end_race))
                .default_service(web::to(only_on_a_race)),
        );
}

async fn clock(app: web::Data<App>) -> HttpResponse {
    let received_us = app.clock.now_us();
    // A page behind another origin measures the round trip with Resource Timing, which this header opens to it.
    let mut response = fresh(HttpResponse::Ok());
    response.insert_header(("timing-allow-origin", "*"));
    response.json(ClockReading { received_us, sent_us: app.clock.now_us() })
}

async fn ask_source(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let example = r#"{"kind":"host"} or {"kind":"generator","pattern":"poisson","rate":5,"size":64,"seed":1}"#;
    let asked: SourceRequest = read(&request, payload, &app, example).await?;
    answer(HttpResponse::Ok(), &lab(&request)?.sources.ask(&asked).await?)
}

async fn start_race(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let example = r#"{"techniques":["poll","sse"],"delay_up_ms":50,"delay_down_ms":50}"#;
    let asked: RaceRequest = read(&request, payload, &app, example).await?;
    let race = lab(&request)?.races.start(&asked).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("/v1/lab/races/{}", race.id)));
    answer(response, &race)
}

async fn look_at_race(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Refusal> {
    answer(HttpResponse::Ok(), &lab(&request)?.races.look(&id)?)
}

async fn change_race(
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let asked: RaceChange = read(&request, payload, &app, r#"{"delay_up_ms":50,"delay_down_ms":50}"#).await?;
    answer(HttpResponse::Ok(), &lab(&request)?.races.change(&id, &asked)?)
}

async fn end_race(request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, Refusal> {
    lab(&request)?.races.end(&id)?;
    Ok(fresh(HttpResponse::NoContent()).finish())
}

async fn only_get(request: HttpRequest) -> HttpResponse {
    super::method_refused(&request, "GET, HEAD, OPTIONS")
}

async fn only_post(request: HttpRequest) -> HttpResponse {
    super::method_refused(&request, "POST, OPTIONS")
}

async fn only_on_a_race(request: HttpRequest) -> HttpResponse {
    super::method_refused(&request, "GET, PATCH, DELETE, OPTIONS")
}

/// The lab, unless it is off, or it is on only because this machine is alone with the server and the request came from elsewhere.
fn lab(request: &HttpRequest) -> Result<&Lab, Refusal> {
    let is_asked_for = request.app_data::<web::Data<App>>().is_some_and(|app| app.config.lab);
    let lab = request.app_data::<web::Data<Lab>>().filter(|_| is_asked_for || !is_forwarded(request.headers()));
    lab.map(|lab| &***lab).ok_or_else(|| LabRefusal::Off.into())
}

/// Whether a request says that it came through a proxy, so that a server on loopback cannot take its client for a local one.
///
/// Source: RFC 7239 (`Forwarded`), RFC 9110, section 7.6.3 (`Via`); the others are what proxies of today send.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

/// The JSON of a request's body; `example` is what the refusal shows.
async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    example: &str,
) -> Result<T, Refusal> {
    let body = received(request, payload, app, BODY_BYTES_MAX).await?;
    document::read(&body.bytes).map_err(|error| {
        LabRefusal::Body(format!("the body is not what is expected here: {error}; send {example}")).into()
    })
}

fn answer(response: HttpResponseBuilder, value: &impl Serialize) -> Result<HttpResponse, Refusal> {
    Ok(fresh(response).json(value))
}

/// Nothing of the lab is worth keeping.
fn fresh(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
