//! The reserved paths under `__ds`: subscriptions, what workers report, and the keys that webhooks are signed with.
//!
//! Source: Durable Streams protocol, sections 6 and 7.

mod refusal;

use self::refusal::SubscriptionRefusal;
use super::body::received;
use super::head::{ActixHeaders, gate_head};
use super::lab::is_forwarded;
use super::{method_refused, no_route};
use crate::api::{App, single};
use crate::subscriptions::definition::{self, Asked, Definition, DefinitionError, SubscriptionId, WorkerName};
use crate::subscriptions::state::{WakeKey, Way};
use crate::subscriptions::{Refused, Report};
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tailwater_protocol::{StreamOffset, document, percent};

/// Largest request body: 10,000 streams of the usual length.
const BODY_BYTES_MAX: u64 = 1 << 20;

type Answer = Result<HttpResponse, SubscriptionRefusal>;

/// Registers the reserved paths; the state is a `web::Data<App>`.
pub(super) fn configure(service: &mut web::ServiceConfig) {
    let post =
        |path: &str, route: actix_web::Route| web::resource(path).route(route).default_service(web::to(only_post));
    service.service(
        web::scope("/v1/stream/__ds")
            .service(web::resource("/jwks.json").route(web::get().to(jwks)).default_service(web::to(only_get)))
            .service(
                web::resource("/subscriptions/{id}")
                    .route(web::put().to(put))
                    .route(web::get().to(look))
                    .route(web::delete().to(delete))
                    .default_service(web::to(only_a_subscription)),
            )
            .service(post("/subscriptions/{id}/streams", web::post().to(add)))
            .service(
                web::resource("/subscriptions/{id}/streams/{path:.+}")
                    .route(web::delete().to(remove))
                    .default_service(web::to(only_delete)),
            )
            .service(post("/subscriptions/{id}/callback", web::post().to(callback)))
            .service(post("/subscriptions/{id}/claim", web::post().to(claim)))
            .service(post("/subscriptions/{id}/ack", web::post().to(ack)))
            .service(post("/subscriptions/{id}/release", web::post().to(release)))
            .default_service(web::to(no_route)),
    );
}

async fn jwks(app: web::Data<App>) -> HttpResponse {
    let text = serde_json::to_string(&app.subscriptions.jwks()).unwrap_or_default();
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/jwk-set+json"))
        .insert_header((CACHE_CONTROL, "public, max-age=300"))
        .body(text)
}

async fn put(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    let id = id(&request)?;
    let asked: Asked = read(&request, payload, &app, Example::Subscription).await?;
    // Behind a proxy that --public-url does not tell of, somebody from elsewhere may ask.
    let is_local = app.config.webhook_allow_local || !is_forwarded(request.headers());
    let definition = Definition::new(asked, app.subscriptions.allow_local() && is_local).map_err(Refused::from)?;
    let (view, is_new) = app.subscriptions.put(id, definition, base(&request)?).await?;
    Ok(fresh(if is_new { HttpResponse::Created() } else { HttpResponse::Ok() }).json(view))
}

async fn look(request: HttpRequest, app: web::Data<App>) -> Answer {
    Ok(fresh(HttpResponse::Ok()).json(app.subscriptions.look(&id(&request)?).await?))
}

async fn delete(request: HttpRequest, app: web::Data<App>) -> Answer {
    app.subscriptions.delete(id(&request)?).await?;
    Ok(fresh(HttpResponse::NoContent()).finish())
}

#[derive(Deserialize)]
struct StreamsBody {
    streams: Vec<String>,
}

async fn add(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    let id = id(&request)?;
    let StreamsBody { streams } = read(&request, payload, &app, Example::Streams).await?;
    let names = definition::names(&streams).map_err(Refused::from)?;
    app.subscriptions.add(&id, names).await?;
    Ok(fresh(HttpResponse::NoContent()).finish())
}

async fn remove(request: HttpRequest, app: web::Data<App>) -> Answer {
    let id = id(&request)?;
    let name = definition::name_in_path(part(&request, 7)).map_err(Refused::from)?;
    app.subscriptions.remove(&id, name).await?;
    Ok(fresh(HttpResponse::NoContent()).finish())
}

#[derive(Deserialize)]
struct ClaimBody {
    worker: String,
}

async fn claim(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    let id = id(&request)?;
    let ClaimBody { worker } = read(&request, payload, &app, Example::Claim).await?;
    let worker = WorkerName::parse(&worker).map_err(Refused::from)?;
    Ok(fresh(HttpResponse::Ok()).json(app.subscriptions.claim(&id, worker).await?))
}

/// What a worker says about its wake.
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

async fn callback(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    report(&request, payload, &app, Way::Webhook).await
}

async fn ack(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    report(&request, payload, &app, Way::PullWake).await
}

async fn report(request: &HttpRequest, payload: web::Payload, app: &App, way: Way) -> Answer {
    let (id, token) = (id(request)?, bearer(request)?);
    let ReportBody { wake_id, generation, acks, done } = read(request, payload, app, Example::Report).await?;
    let ack = |ack: AckBody| {
        let name = definition::name(&ack.stream).map_err(Refused::from)?;
        let offset: StreamOffset = ack.offset.parse().map_err(SubscriptionRefusal::Offset)?;
        Ok((name, offset))
    };
    let acks = acks.into_iter().map(ack).collect::<Result<_, SubscriptionRefusal>>()?;
    let report = Report { key: WakeKey { generation, wake_id }, acks, done };
    let next_wake = app.subscriptions.report(&id, way, &token, report).await?;
    Ok(fresh(HttpResponse::Ok()).json(Reported { ok: true, next_wake }))
}

#[derive(Deserialize)]
struct ReleaseBody {
    wake_id: String,
    generation: u64,
}

async fn release(request: HttpRequest, payload: web::Payload, app: web::Data<App>) -> Answer {
    let (id, token) = (id(&request)?, bearer(&request)?);
    let ReleaseBody { wake_id, generation } = read(&request, payload, &app, Example::Release).await?;
    app.subscriptions.release(&id, &token, WakeKey { generation, wake_id }).await?;
    Ok(fresh(HttpResponse::NoContent()).finish())
}

async fn only_get(request: HttpRequest) -> HttpResponse {
    method_refused(&request, "GET, OPTIONS")
}

async fn only_post(request: HttpRequest) -> HttpResponse {
    method_refused(&request, "POST, OPTIONS")
}

async fn only_delete(request: HttpRequest) -> HttpResponse {
    method_refused(&request, "DELETE, OPTIONS")
}

async fn only_a_subscription(request: HttpRequest) -> HttpResponse {
    method_refused(&request, "PUT, GET, DELETE, OPTIONS")
}

/// What a refusal shows as the body that was expected.
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

/// The JSON of a request's body.
async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    example: Example,
) -> Result<T, SubscriptionRefusal> {
    let body = received(request, payload, app, BODY_BYTES_MAX).await?;
    document::read(&body.bytes).map_err(|error| {
        SubscriptionRefusal::Body(format!("the body is not what is expected here: {error}; send {}", example.text()))
    })
}

fn id(request: &HttpRequest) -> Result<SubscriptionId, SubscriptionRefusal> {
    let id = percent::decode(part(request, 5)).map_err(|_| DefinitionError::Id);
    Ok(id.and_then(|id| SubscriptionId::parse(&id)).map_err(Refused::from)?)
}

/// What stands behind so many slashes of the path, as it came; the seventh part reaches to the end.
fn part(request: &HttpRequest, slashes: usize) -> &str {
    request.uri().path().splitn(8, '/').nth(slashes).unwrap_or_default()
}

fn bearer(request: &HttpRequest) -> Result<String, SubscriptionRefusal> {
    let map = ActixHeaders(request.headers());
    let value = single(&map, &AUTHORIZATION)?.and_then(|value| std::str::from_utf8(value).ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    token.filter(|token| !token.is_empty()).ok_or(SubscriptionRefusal::Refused(Refused::Token))
}

/// Under which URL the one who asks knows this server: the host that passed the gate. What a proxy in front says about
/// itself (`X-Forwarded-Host`) is not believed; `--public-url` is for that.
fn base(request: &HttpRequest) -> Result<String, SubscriptionRefusal> {
    let map = ActixHeaders(request.headers());
    let host = Some(gate_head(request, &map).host()?).filter(|host| !host.is_empty());
    // Only HTTP/1.0 may name none.
    Ok(definition::base_url(host.unwrap_or("localhost")).map_err(Refused::from)?)
}

/// Nothing of this is worth keeping.
fn fresh(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
