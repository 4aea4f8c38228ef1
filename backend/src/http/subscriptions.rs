//! The reserved paths under `__ds`: subscriptions, reports by workers, and the public keys of
//! webhooks.
//!
//! Source: Durable Streams protocol, sections 6 and 7.

mod refusal;
mod route;

pub(super) use self::route::is_reserved;

use self::refusal::SubscriptionRefusal;
use self::route::{SubscriptionRoute, SubscriptionTask};
use super::answer::no_store;
use super::body::{discard_body, received};
use super::head::is_forwarded;
use super::head::{ActixHeaders, gate_head};
use crate::api::App;
use crate::subscriptions::definition::{
    self, Definition, DefinitionRequest, SubscriptionId, WorkerName,
};
use crate::subscriptions::state::{DeliveryWay, WakeKey};
use crate::subscriptions::{Refused, WorkerReport};
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tailwater_protocol::{StreamOffset, document};

/// Maximum request body: 10,000 streams of the usual length.
const BODY_BYTES_MAX: u64 = 1 << 20;

type SubscriptionResult = Result<HttpResponse, SubscriptionRefusal>;

/// Registers the reserved paths; the state is a `web::Data<App>`.
pub(super) fn configure(service: &mut web::ServiceConfig) {
    service.service(web::scope("/stream/__ds").default_service(web::to(handle)));
}

/// The refusal of a request to a reserved path, if its head suffices for one.
pub(super) fn handler_refusal(
    method: &Method,
    path: &str,
    query: &str,
    map: &ActixHeaders<'_>,
) -> Option<HttpResponse> {
    SubscriptionRoute::of(method, path, query, map)
        .err()
        .map(|refusal| refusal.error_response())
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> SubscriptionResult {
    let (id, task) = match SubscriptionRoute::of(
        request.method(),
        app.local_path(request.uri().path()),
        request.query_string(),
        &ActixHeaders(request.headers()),
    ) {
        Ok(SubscriptionRoute::Methods(methods)) => return Ok(methods.answer()),
        Ok(SubscriptionRoute::Keys) => return Ok(jwks(&app)),
        Ok(SubscriptionRoute::List(query)) => {
            return Ok(no_store(HttpResponse::Ok()).json(app.subscriptions.list(&query).await?));
        }
        Ok(SubscriptionRoute::Subscription(id, task)) => (id, task),
        Err(refusal) => {
            discard_body(&request, payload, &app).await;
            return Err(refusal);
        }
    };
    match task {
        SubscriptionTask::Put => put(&request, payload, &app, id).await,
        SubscriptionTask::Inspect => {
            Ok(no_store(HttpResponse::Ok()).json(app.subscriptions.inspect(&id).await?))
        }
        SubscriptionTask::Delete => app
            .subscriptions
            .delete(id)
            .await
            .map(|()| no_content())
            .map_err(Into::into),
        SubscriptionTask::Add => add(&request, payload, &app, &id).await,
        SubscriptionTask::Remove(name) => app
            .subscriptions
            .remove(&id, name)
            .await
            .map(|()| no_content())
            .map_err(Into::into),
        SubscriptionTask::SetPaused(is_paused) => {
            discard_body(&request, payload, &app).await;
            app.subscriptions.set_paused(&id, is_paused).await?;
            Ok(no_content())
        }
        SubscriptionTask::Claim => claim(&request, payload, &app, &id).await,
        SubscriptionTask::Report(way, token) => {
            report(&request, payload, &app, &id, way, &token).await
        }
        SubscriptionTask::Release(token) => release(&request, payload, &app, &id, &token).await,
    }
}

fn jwks(app: &App) -> HttpResponse {
    let text = serde_json::to_string(&app.subscriptions.jwks()).unwrap_or_default();
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/jwk-set+json"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(text)
}

async fn put(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    id: SubscriptionId,
) -> SubscriptionResult {
    let definition_request: DefinitionRequest =
        read(request, payload, app, Example::Subscription).await?;
    // Behind a proxy that is not declared by --public-url, the client may be remote.
    let is_local = app.config.webhook_allow_local || !is_forwarded(request.headers());
    let definition = Definition::new(
        definition_request,
        app.subscriptions.allow_local() && is_local,
    )
    .map_err(Refused::from)?;
    let (view, is_new) = app
        .subscriptions
        .put(id, definition, base(request, app)?)
        .await?;
    Ok(no_store(if is_new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    })
    .json(view))
}

#[derive(Deserialize)]
struct StreamsBody {
    streams: Vec<String>,
}

async fn add(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    id: &SubscriptionId,
) -> SubscriptionResult {
    let StreamsBody { streams } = read(request, payload, app, Example::Streams).await?;
    let names = definition::names(&streams).map_err(Refused::from)?;
    app.subscriptions.add(id, names).await?;
    Ok(no_content())
}

#[derive(Deserialize)]
struct ClaimBody {
    worker: String,
}

async fn claim(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    id: &SubscriptionId,
) -> SubscriptionResult {
    let ClaimBody { worker } = read(request, payload, app, Example::Claim).await?;
    let worker = WorkerName::parse(&worker).map_err(Refused::from)?;
    Ok(no_store(HttpResponse::Ok()).json(app.subscriptions.claim(id, worker).await?))
}

/// A worker's report about its wake.
#[derive(Deserialize)]
struct ReportBody {
    wake_id: String,
    generation: u64,
    #[serde(default)]
    acks: Vec<AckBody>,
    #[serde(default)]
    done: bool,
}

#[derive(Deserialize)]
struct AckBody {
    #[serde(alias = "path")]
    stream: String,
    offset: String,
}

#[derive(Serialize)]
struct Reported {
    ok: bool,
    next_wake: bool,
}

async fn report(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    id: &SubscriptionId,
    way: DeliveryWay,
    token: &str,
) -> SubscriptionResult {
    let ReportBody {
        wake_id,
        generation,
        acks,
        done,
    } = read(request, payload, app, Example::Report).await?;
    let ack = |ack: AckBody| {
        let name = definition::name(&ack.stream).map_err(Refused::from)?;
        let offset: StreamOffset = ack.offset.parse().map_err(SubscriptionRefusal::Offset)?;
        Ok((name, offset))
    };
    let acks = acks
        .into_iter()
        .map(ack)
        .collect::<Result<_, SubscriptionRefusal>>()?;
    let report = WorkerReport {
        key: WakeKey {
            generation,
            wake_id,
        },
        acks,
        done,
    };
    let next_wake = app.subscriptions.report(id, way, token, report).await?;
    Ok(no_store(HttpResponse::Ok()).json(Reported {
        ok: true,
        next_wake,
    }))
}

#[derive(Deserialize)]
struct ReleaseBody {
    wake_id: String,
    generation: u64,
}

async fn release(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    id: &SubscriptionId,
    token: &str,
) -> SubscriptionResult {
    let ReleaseBody {
        wake_id,
        generation,
    } = read(request, payload, app, Example::Release).await?;
    app.subscriptions
        .release(
            id,
            token,
            WakeKey {
                generation,
                wake_id,
            },
        )
        .await?;
    Ok(no_content())
}

/// The expected body, as quoted by a refusal.
#[derive(Clone, Copy)]
enum Example {
    Subscription,
    Streams,
    Claim,
    Report,
    Release,
}

impl Example {
    fn text(self) -> &'static str {
        match self {
            Self::Subscription => {
                r#"{"type":"webhook","pattern":"events/*","webhook":{"url":"https://worker.example/hook"}} or {"type":"pull-wake","pattern":"events/*","wake_stream":"wake/pool"}"#
            }
            Self::Streams => r#"{"streams":["events/x"]}"#,
            Self::Claim => r#"{"worker":"worker-1"}"#,
            Self::Report => {
                r#"{"wake_id":"w_...","generation":7,"acks":[{"stream":"events/x","offset":"..."}],"done":true}"#
            }
            Self::Release => r#"{"wake_id":"w_...","generation":7}"#,
        }
    }
}

/// Parses the JSON of a request's body.
async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    example: Example,
) -> Result<T, SubscriptionRefusal> {
    let body = received(request, payload, app, BODY_BYTES_MAX).await?;
    document::read(&body.bytes).map_err(|error| {
        SubscriptionRefusal::Body(format!(
            "invalid body: {error}; expected {}",
            example.text()
        ))
    })
}

/// The server's URL as known to the client: by the host that passed the gate. A proxy's
/// `X-Forwarded-Host` is not trusted; `--public-url` is for that.
fn base(request: &HttpRequest, app: &App) -> Result<String, SubscriptionRefusal> {
    let map = ActixHeaders(request.headers());
    let host = Some(gate_head(request, &map).host()?).filter(|host| !host.is_empty());
    // Only HTTP/1.0 allows an absent host.
    let base = definition::base_url(host.unwrap_or("localhost")).map_err(Refused::from)?;
    Ok(base + &app.prefix)
}

fn no_content() -> HttpResponse {
    no_store(HttpResponse::NoContent()).finish()
}
