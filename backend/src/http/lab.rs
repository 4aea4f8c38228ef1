//! The lab's endpoints (clock, sources and races), as described in `tailwater_protocol::lab`.

use super::Methods;
use super::answer::no_store;
use super::body::{discard_body, received};
use super::head::{ActixHeaders, is_forwarded};
use crate::api::{App, OtherRefusal, ProblemClass, Refusal, check_announced};
use crate::lab::Lab;
use crate::lab::races::RaceError;
use crate::lab::source::SourceError;
use actix_web::http::header::LOCATION;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tailwater_protocol::lab::{ClockReading, RaceChange, RaceRequest, SourceLeaseRequest};
use tailwater_protocol::{document, percent};

/// Path of the clock.
const CLOCK: &str = "/v1/clock";
/// Path prefix of the lab.
const PREFIX: &str = "/v1/lab/";
/// Maximum request body in bytes; a useful one has a few hundred.
const BODY_BYTES_MAX: u64 = 16 * 1024;

/// Why the lab refuses a request.
#[derive(Debug, thiserror::Error)]
pub enum LabRefusal {
    /// The lab is not available here (404).
    #[error(
        "the lab (sources, counting relays) is only available on loopback without a proxy; start the server with --lab to enable it elsewhere"
    )]
    Off,
    /// The body can't be parsed (400).
    #[error("{0}")]
    Body(String),
    /// The race's error.
    #[error(transparent)]
    Race(RaceError),
    /// The source's error.
    #[error(transparent)]
    Source(SourceError),
}

impl OtherRefusal for LabRefusal {
    fn class(&self) -> ProblemClass {
        use StatusCode as S;
        match self {
            Self::Off => (S::NOT_FOUND, "#lab-off", "The lab is not available"),
            Self::Body(_) => (S::BAD_REQUEST, "#lab-body", "The body is invalid"),
            Self::Race(RaceError::Field(_)) | Self::Source(SourceError::Field(_)) => {
                (S::BAD_REQUEST, "#lab-value", "A value is out of range")
            }
            Self::Race(RaceError::Unknown(_)) => {
                (S::NOT_FOUND, "#no-race", "The race does not exist")
            }
            Self::Race(RaceError::TooMany { .. }) => {
                (S::SERVICE_UNAVAILABLE, "#too-many-races", "Too many races")
            }
            Self::Source(SourceError::TooMany { .. }) => (
                S::SERVICE_UNAVAILABLE,
                "#too-many-sources",
                "Too many sources",
            ),
            Self::Race(RaceError::System(_)) | Self::Source(SourceError::System(_)) => (
                S::SERVICE_UNAVAILABLE,
                "#system",
                "The system is out of resources",
            ),
            Self::Source(SourceError::Foreign { .. }) => (
                S::CONFLICT,
                "#foreign-stream",
                "The stream was not written by a source",
            ),
            // These have refusals of their own, see `From<SourceError>`.
            Self::Source(SourceError::Create(_) | SourceError::Read(_) | SourceError::Name(_)) => (
                S::INTERNAL_SERVER_ERROR,
                "#source",
                "The source can't write",
            ),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Race(RaceError::TooMany { lease_s, .. })
            | Self::Source(SourceError::TooMany { lease_s, .. }) => Some(*lease_s),
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

/// The resource and the operation of a request to the clock or the lab.
#[derive(Debug)]
pub(super) enum LabRoute<'l> {
    /// The methods of the path.
    Methods(Methods),
    /// The current time.
    Clock,
    /// A running source.
    Source(&'l Lab),
    /// A new race.
    Start(&'l Lab),
    /// The state of a race.
    Inspect(&'l Lab, String),
    /// A change of a race's delays.
    Change(&'l Lab, String),
    /// The end of a race.
    End(&'l Lab, String),
}

/// Whether this module serves a path.
pub(super) fn is_lab_path(path: &str) -> bool {
    path == CLOCK || path.starts_with(PREFIX)
}

impl<'l> LabRoute<'l> {
    /// Determines the route from the head, before a body is received.
    ///
    /// - `path`: not decoded.
    ///
    /// # Errors
    /// [`Refusal::NoRoute`], [`Refusal::Method`], [`LabRefusal::Off`]; as [`check_announced`] where
    /// a body is expected.
    pub(super) fn of(
        app: &App,
        lab: Option<&'l Lab>,
        method: &Method,
        path: &str,
        map: &ActixHeaders<'_>,
    ) -> Result<Self, Refusal> {
        // A lab that is on by default, for local clients only, is off for requests from a proxy.
        let lab = || {
            lab.filter(|_| app.config.lab || !is_forwarded(map.0))
                .ok_or(LabRefusal::Off)
        };
        let lab_for_body = || {
            let lab = lab()?;
            check_announced(map, BODY_BYTES_MAX).map(|()| lab)
        };
        let otherwise = |allowed| Methods::of(method, allowed).map(Self::Methods);
        if path == CLOCK {
            let is_read = matches!(*method, Method::GET | Method::HEAD);
            return if is_read {
                Ok(Self::Clock)
            } else {
                otherwise("GET, HEAD, OPTIONS")
            };
        }
        let no_route = || Refusal::NoRoute(path.to_owned());
        let rest = path.strip_prefix(PREFIX).ok_or_else(no_route)?;
        let (kind, id) = rest
            .split_once('/')
            .map_or((rest, None), |(kind, id)| (kind, Some(id)));
        let race = |id| percent::decode(id).map_err(|_| RaceError::Unknown(id.to_owned()));
        match (kind, id, method) {
            ("sources", None, &Method::POST) => lab_for_body().map(Self::Source),
            ("races", None, &Method::POST) => lab_for_body().map(Self::Start),
            ("sources" | "races", None, _) => otherwise("POST, OPTIONS"),
            ("races", Some(id), _) if id.is_empty() || id.contains('/') => Err(no_route()),
            ("races", Some(id), &(Method::GET | Method::HEAD)) => {
                Ok(Self::Inspect(lab()?, race(id)?))
            }
            ("races", Some(id), &Method::PATCH) => Ok(Self::Change(lab_for_body()?, race(id)?)),
            ("races", Some(id), &Method::DELETE) => Ok(Self::End(lab()?, race(id)?)),
            ("races", Some(_), _) => otherwise("GET, HEAD, PATCH, DELETE, OPTIONS"),
            _ => Err(no_route()),
        }
    }
}

/// Registers the clock and the lab's routes; the latter answer 404 without a `web::Data<Lab>`.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/clock").to(handle))
        .service(web::resource("/lab/{rest:.*}").to(handle));
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let (lab, map) = (
        request.app_data::<web::Data<Lab>>(),
        ActixHeaders(request.headers()),
    );
    let route = LabRoute::of(
        &app,
        lab.map(|lab| &***lab),
        request.method(),
        request.uri().path(),
        &map,
    );
    let route = match route {
        Ok(route) => route,
        Err(refusal) => {
            discard_body(&request, payload, &app).await;
            return Err(refusal);
        }
    };
    match route {
        LabRoute::Methods(methods) => Ok(methods.answer()),
        LabRoute::Clock => Ok(clock(&app)),
        LabRoute::Source(lab) => {
            let example = r#"{"kind":"host"} or {"kind":"generator","pattern":"poisson","rate":5,"size":64,"seed":1}"#;
            let request_body: SourceLeaseRequest = read(&request, payload, &app, example).await?;
            answer(
                HttpResponse::Ok(),
                &lab.sources.start_or_renew(&request_body).await?,
            )
        }
        LabRoute::Start(lab) => {
            let example = r#"{"techniques":["poll","sse"],"delay_up_ms":50,"delay_down_ms":50}"#;
            let request_body: RaceRequest = read(&request, payload, &app, example).await?;
            let race = lab.races.start(&request_body).await?;
            let mut response = HttpResponse::Created();
            response.insert_header((LOCATION, format!("/v1/lab/races/{}", race.id)));
            answer(response, &race)
        }
        LabRoute::Inspect(lab, id) => answer(HttpResponse::Ok(), &lab.races.inspect(&id)?),
        LabRoute::Change(lab, id) => {
            let request_body: RaceChange = read(
                &request,
                payload,
                &app,
                r#"{"delay_up_ms":50,"delay_down_ms":50}"#,
            )
            .await?;
            answer(HttpResponse::Ok(), &lab.races.change(&id, &request_body)?)
        }
        LabRoute::End(lab, id) => {
            lab.races.end(&id)?;
            Ok(no_store(HttpResponse::NoContent()).finish())
        }
    }
}

fn clock(app: &App) -> HttpResponse {
    let received_us = app.clock.now_us();
    no_store(HttpResponse::Ok()).json(ClockReading {
        received_us,
        sent_us: app.clock.now_us(),
    })
}

/// Parses the JSON of a request's body; a refusal quotes `example`.
async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    example: &str,
) -> Result<T, Refusal> {
    let body = received(request, payload, app, BODY_BYTES_MAX).await?;
    document::read(&body.bytes).map_err(|error| {
        LabRefusal::Body(format!("invalid body: {error}; expected {example}")).into()
    })
}

fn answer(response: HttpResponseBuilder, value: &impl Serialize) -> Result<HttpResponse, Refusal> {
    Ok(no_store(response).json(value))
}
