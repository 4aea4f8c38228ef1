//! The lab's endpoints: the clock, sources and races, as `tailwater_protocol::lab` describes them.

use super::Methods;
use super::body::{pass_over, received};
use super::head::{ActixHeaders, is_forwarded};
use crate::api::{App, OtherRefusal, ProblemClass, Refusal, check_announced};
use crate::lab::Lab;
use crate::lab::races::RaceError;
use crate::lab::source::SourceError;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tailwater_protocol::lab::{ClockReading, RaceChange, RaceRequest, SourceRequest};
use tailwater_protocol::{document, percent};

/// Where the clock is.
const CLOCK: &str = "/v1/clock";
/// Where the lab is.
const PREFIX: &str = "/v1/lab/";
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
    fn class(&self) -> ProblemClass {
        use StatusCode as S;
        match self {
            Self::Off => (S::NOT_FOUND, "#lab-off", "The lab is not offered here"),
            Self::Body(_) => (S::BAD_REQUEST, "#lab-body", "The body is not understood"),
            Self::Race(RaceError::Field(_)) | Self::Source(SourceError::Field(_)) => {
                (S::BAD_REQUEST, "#lab-value", "A value is out of range")
            }
            Self::Race(RaceError::Unknown(_)) => {
                (S::NOT_FOUND, "#no-race", "There is no such race")
            }
            Self::Race(RaceError::TooMany { .. }) => (
                S::SERVICE_UNAVAILABLE,
                "#too-many-races",
                "No room for a race",
            ),
            Self::Source(SourceError::TooMany { .. }) => (
                S::SERVICE_UNAVAILABLE,
                "#too-many-sources",
                "No room for a source",
            ),
            Self::Race(RaceError::System(_)) | Self::Source(SourceError::System(_)) => {
                (S::SERVICE_UNAVAILABLE, "#system", "The system has no room")
            }
            Self::Source(SourceError::Foreign { .. }) => (
                S::CONFLICT,
                "#foreign-stream",
                "The stream is not a source's",
            ),
            // These become refusals of their own, see `From<SourceError>`.
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

/// What a request to the clock or the lab asks for.
#[derive(Debug)]
pub(super) enum LabRoute<'l> {
    /// The methods of the path.
    Methods(Methods),
    /// What time it is.
    Clock,
    /// A source that runs.
    Source(&'l Lab),
    /// A new race.
    Start(&'l Lab),
    /// How a race stands.
    Look(&'l Lab, String),
    /// Another transit for a race.
    Change(&'l Lab, String),
    /// The end of a race.
    End(&'l Lab, String),
}

/// Whether a path leads here.
pub(super) fn is_at(path: &str) -> bool {
    path == CLOCK || path.starts_with(PREFIX)
}

impl<'l> LabRoute<'l> {
    /// What the head decides, before a body is read.
    ///
    /// - `path`: as the request spells it.
    ///
    /// # Errors
    /// [`Refusal::NoRoute`], [`Refusal::Method`], [`LabRefusal::Off`]; as [`check_announced`] where a body is read.
    pub(super) fn of(
        app: &App,
        lab: Option<&'l Lab>,
        method: &Method,
        path: &str,
        map: &ActixHeaders<'_>,
    ) -> Result<Self, Refusal> {
        // Off if it is on only because this machine is alone with the server and the request came from elsewhere.
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
            ("races", Some(id), &(Method::GET | Method::HEAD)) => Ok(Self::Look(lab()?, race(id)?)),
            ("races", Some(id), &Method::PATCH) => Ok(Self::Change(lab_for_body()?, race(id)?)),
            ("races", Some(id), &Method::DELETE) => Ok(Self::End(lab()?, race(id)?)),
            ("races", Some(_), _) => otherwise("GET, HEAD, PATCH, DELETE, OPTIONS"),
            _ => Err(no_route()),
        }
    }
}

/// Registers the clock, which is always there, and the lab's routes, which need a `web::Data<Lab>` and answer 404 without.
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
            pass_over(&request, payload, &app).await;
            return Err(refusal);
        }
    };
    match route {
        LabRoute::Methods(methods) => Ok(methods.answer()),
        LabRoute::Clock => Ok(clock(&app)),
        LabRoute::Source(lab) => {
            let example = r#"{"kind":"host"} or {"kind":"generator","pattern":"poisson","rate":5,"size":64,"seed":1}"#;
            let asked: SourceRequest = read(&request, payload, &app, example).await?;
            answer(HttpResponse::Ok(), &lab.sources.ask(&asked).await?)
        }
        LabRoute::Start(lab) => {
            let example = r#"{"techniques":["poll","sse"],"delay_up_ms":50,"delay_down_ms":50}"#;
            let asked: RaceRequest = read(&request, payload, &app, example).await?;
            let race = lab.races.start(&asked).await?;
            let mut response = HttpResponse::Created();
            response.insert_header((LOCATION, format!("/v1/lab/races/{}", race.id)));
            answer(response, &race)
        }
        LabRoute::Look(lab, id) => answer(HttpResponse::Ok(), &lab.races.look(&id)?),
        LabRoute::Change(lab, id) => {
            let asked: RaceChange = read(
                &request,
                payload,
                &app,
                r#"{"delay_up_ms":50,"delay_down_ms":50}"#,
            )
            .await?;
            answer(HttpResponse::Ok(), &lab.races.change(&id, &asked)?)
        }
        LabRoute::End(lab, id) => {
            lab.races.end(&id)?;
            Ok(fresh(HttpResponse::NoContent()).finish())
        }
    }
}

fn clock(app: &App) -> HttpResponse {
    let received_us = app.clock.now_us();
    // A page behind another origin measures the round trip with Resource Timing, which this header opens to it.
    let mut response = fresh(HttpResponse::Ok());
    response.insert_header(("timing-allow-origin", "*"));
    response.json(ClockReading {
        received_us,
        sent_us: app.clock.now_us(),
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
        LabRefusal::Body(format!(
            "the body is not what is expected here: {error}; send {example}"
        ))
        .into()
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
