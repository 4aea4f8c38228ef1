//! The list of streams, the details of a stream and of the server, and routes to export and import.

use super::Methods;
use super::export::export;
use super::head::ActixHeaders;
use super::import::{IMPORT_PREFIX, import};
use super::server_details::server_details;
use crate::api::gate::Gate;
use crate::api::{App, Headers, Refusal, check_uncoded};
use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tailwater_core::{
    Accepted, ListOrder, ListQuery, Log, ProducerId, ReaderStatus, StreamId, StreamName,
};
use tailwater_protocol::inspect::{
    LIST_LIMIT, LIST_LIMIT_MAX, LiveReader, NAMED_MAX, Origin, ProducerPosition, StreamDetails,
    StreamList, StreamSummary,
};
use tailwater_protocol::{Technique, Token};

/// Path of the server's details.
const SERVER: &str = "/v1/server";

/// What a request besides the streams asks for.
#[derive(Debug)]
pub(super) enum StreamsRoute {
    /// The methods of the path.
    Methods(Methods),
    /// The details of the server.
    Server,
    /// A page of the list.
    List(ListQuery),
    /// The details of a stream.
    Inspect(Arc<Log>),
    /// An export of a stream.
    Export(Arc<Log>),
    /// An import of a stream with this name.
    Import(StreamName),
}

impl StreamsRoute {
    /// Determines the route from the head, before a body is received.
    ///
    /// - `path`: not decoded.
    ///
    /// # Errors
    /// [`Refusal::NoRoute`], [`Refusal::Method`]; [`Refusal::Query`] for a list; as [`App::log`]
    /// and [`App::name`] for streams; as [`check_uncoded`] for an import.
    pub(super) fn of(
        app: &App,
        method: &Method,
        path: &str,
        query: &str,
        map: &impl Headers,
    ) -> Result<Self, Refusal> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let otherwise = || Methods::of(method, "GET, HEAD, OPTIONS").map(Self::Methods);
        let name_after = |prefix| path.strip_prefix(prefix);
        if path == SERVER {
            return if is_read {
                Ok(Self::Server)
            } else {
                otherwise()
            };
        }
        if path == "/v1/streams" {
            return if is_read {
                parse_query(query).map(Self::List)
            } else {
                otherwise()
            };
        }
        if let Some(name) = name_after("/v1/streams/") {
            return if is_read {
                app.log(name).map(Self::Inspect)
            } else {
                otherwise()
            };
        }
        if let Some(name) = name_after("/v1/export/") {
            return if is_read {
                app.log(name).map(Self::Export)
            } else {
                otherwise()
            };
        }
        let Some(name) = name_after(IMPORT_PREFIX) else {
            return Err(Refusal::NoRoute(path.to_owned()));
        };
        if *method != Method::PUT {
            return Methods::of(method, "PUT, OPTIONS").map(Self::Methods);
        }
        let name = App::name(name)?;
        check_uncoded(map)?;
        Ok(Self::Import(name))
    }
}

/// Registers the routes; the state is a `web::Data<App>`.
pub(super) fn configure(service: &mut web::ServiceConfig) {
    for path in [
        "/server",
        "/streams",
        "/streams/{name:.*}",
        "/export/{name:.*}",
        "/import/{name:.*}",
    ] {
        service.service(web::resource(path).to(handle));
    }
}

async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
    gate: web::Data<Gate>,
) -> Result<HttpResponse, Refusal> {
    let map = ActixHeaders(request.headers());
    match StreamsRoute::of(
        &app,
        request.method(),
        app.local_path(request.uri().path()),
        request.query_string(),
        &map,
    )? {
        StreamsRoute::Methods(methods) => Ok(methods.answer()),
        StreamsRoute::Server => Ok(no_store(&server_details(&app, &gate).await)),
        StreamsRoute::List(wanted) => Ok(list(&app, &wanted).await),
        StreamsRoute::Inspect(log) => Ok(inspect(&app, &log).await),
        StreamsRoute::Export(log) => export(&app, log).await,
        StreamsRoute::Import(name) => import(&request, payload, &app, &name).await,
    }
}

async fn list(app: &App, wanted: &ListQuery) -> HttpResponse {
    let (logs, has_more) = app.streams.list(wanted).await;
    let last = logs.last().filter(|_| has_more);
    let after = last.map(|log| match wanted.order {
        ListOrder::Name(_) => log.name().to_string(),
        ListOrder::Newest(_) => log.id().0.to_string(),
    });
    no_store(&StreamList {
        streams: logs.iter().map(|log| summary(log)).collect(),
        after,
        total: app.streams.count(),
    })
}

async fn inspect(app: &App, log: &Log) -> HttpResponse {
    let forks = app.streams.forks_of(log, NAMED_MAX).await;
    // Readers first, then the tail, so that no reader is ahead of it.
    let whereabouts = log.readers().statuses(NAMED_MAX);
    let tail = log.tail_now();
    let earliest = log.earliest();
    let lag_bytes = |at: ReaderStatus| tail.next.bytes().saturating_sub(at.at.bytes());
    let reader = |it: &ReaderStatus| LiveReader {
        technique: it.technique,
        offset: log.offset(it.at).into(),
        lag_bytes: lag_bytes(*it),
        seconds: it.present_for.as_secs_f64(),
    };
    let producers = log.producers();
    let waiting = Technique::waiting();
    no_store(&StreamDetails {
        name: log.name().to_string(),
        configuration: log.config().into(),
        earliest_offset: log.offset(earliest).into(),
        next_offset: tail.offset().into(),
        created_ms: since_1970_ms(log.created()),
        kept_bytes: tail.next.bytes().saturating_sub(earliest.bytes()),
        closed: tail.closed(),
        forked_from: log.config().fork.as_ref().map(Origin::from),
        fork_count: log.forks(),
        forks,
        plain_reads: log.readers().count(Technique::Poll),
        reader_counts: waiting
            .map(|technique| (technique, log.readers().count(technique)))
            .collect(),
        readers: whereabouts.iter().map(reader).collect(),
        producer_count: producers.len(),
        producers: producers.iter().take(NAMED_MAX).map(position).collect(),
    })
}

fn position((id, at): &(ProducerId, Accepted)) -> ProducerPosition {
    ProducerPosition {
        id: id.to_string(),
        epoch: at.epoch,
        seq: at.seq,
    }
}

fn summary(log: &Log) -> StreamSummary {
    let tail = log.tail_now();
    StreamSummary {
        name: log.name().to_string(),
        content_type: log.config().content_type.to_string(),
        earliest_offset: Token::from(log.offset(log.earliest())),
        next_offset: tail.offset().into(),
        created_ms: since_1970_ms(log.created()),
        closed: tail.closed(),
        readers: log.readers().live(),
        forked_from: log
            .config()
            .fork
            .as_ref()
            .map(|fork| fork.source_name.to_string()),
    }
}

/// Milliseconds since 1970.
fn since_1970_ms(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// The parameters of a list, each of them optional.
#[derive(Debug, Default)]
struct ListParameters {
    prefix: Option<String>,
    search: Option<String>,
    exclude: Option<String>,
    sort: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

impl ListParameters {
    fn read(query: &str) -> Result<Self, Refusal> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| Refusal::Query(format!("malformed query: {error}")))?;
        let mut all = Self::default();
        for (name, value) in pairs.into_inner() {
            let slot = match name.as_str() {
                "prefix" => &mut all.prefix,
                "search" => &mut all.search,
                "exclude" => &mut all.exclude,
                "sort" => &mut all.sort,
                "after" => &mut all.after,
                "limit" => &mut all.limit,
                _ => continue,
            };
            if slot.is_some() {
                return Err(Refusal::Query(format!(
                    "`{name}` is given twice, expected once"
                )));
            }
            *slot = Some(value);
        }
        Ok(all)
    }
}

fn parse_query(query: &str) -> Result<ListQuery, Refusal> {
    let all = ListParameters::read(query)?;
    let limit = match all.limit {
        None => LIST_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                Refusal::Query(format!(
                    "limit={text} is out of range, expected 1 to {LIST_LIMIT_MAX}"
                ))
            })?,
    };
    let after = all.after.filter(|after| !after.is_empty());
    let order = match all.sort.as_deref() {
        None | Some("name") => ListOrder::Name(after),
        Some("newest") => {
            let number = after.map(|text| {
                let number = text.parse().map(StreamId);
                let expected = "expected the `after` of a page with sort=newest";
                number.map_err(|_| Refusal::Query(format!("after={text} is invalid, {expected}")))
            });
            ListOrder::Newest(number.transpose()?)
        }
        Some(other) => {
            return Err(Refusal::Query(format!(
                "sort={other} is unknown, expected name or newest"
            )));
        }
    };
    Ok(ListQuery {
        prefix: all.prefix.unwrap_or_default(),
        search: all.search.unwrap_or_default(),
        exclude: all.exclude.unwrap_or_default(),
        order,
        limit,
    })
}

/// A `no-store` response.
fn no_store(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(value)
}
