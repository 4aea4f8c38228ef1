//! The list of streams, the details of a stream and of the server, and routes to export and import.

use super::Methods;
use super::answer::no_store;
use super::export::export;
use super::head::ActixHeaders;
use super::import::{IMPORT_PREFIX, import};
use super::server_details::server_details;
use crate::api::gate::Gate;
use crate::api::{App, Headers, Refusal, check_uncoded, set_once};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tailwater_core::store::StoredMessage;
use tailwater_core::{
    Accepted, ListOrder, ListQuery, Log, ProducerId, ReaderStatus, StreamId, StreamName,
};
use tailwater_protocol::inspect::{
    LAST_MAX, LIST_LIMIT, LIST_LIMIT_MAX, LiveReader, MessagePlace, NAMED_MAX, Origin,
    ProducerPosition, ReaderCounts, StreamDetails, StreamList, StreamSummary,
};
use tailwater_protocol::{Technique, Token};

/// Path of the server's details.
const SERVER: &str = "/v1/server";

/// The resource and the operation of a request to a path other than those of streams.
#[derive(Debug)]
pub(super) enum StreamsRoute {
    /// The methods of the path.
    Methods(Methods),
    /// The details of the server.
    Server,
    /// A page of the list.
    List(ListQuery),
    /// The details of a stream, and the number of last messages to list.
    Inspect(Arc<Log>, usize),
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
                let log = app.log(name)?;
                parse_last(query).map(|last| Self::Inspect(log, last))
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
        StreamsRoute::Server => {
            Ok(no_store(HttpResponse::Ok()).json(server_details(&app, &gate).await))
        }
        StreamsRoute::List(query) => Ok(list(&app, &query).await),
        StreamsRoute::Inspect(log, last) => inspect(&app, &log, last).await,
        StreamsRoute::Export(log) => export(&app, log).await,
        StreamsRoute::Import(name) => import(&request, payload, &app, &name).await,
    }
}

async fn list(app: &App, query: &ListQuery) -> HttpResponse {
    let (logs, has_more) = app.streams.list(query).await;
    let last = logs.last().filter(|_| has_more);
    let after = last.map(|log| match query.order {
        ListOrder::Name(_) => log.name().to_string(),
        ListOrder::Newest(_) => log.id().0.to_string(),
    });
    no_store(HttpResponse::Ok()).json(&StreamList {
        streams: logs.iter().map(|log| summary(log)).collect(),
        after,
        total: app.streams.count(),
    })
}

async fn inspect(app: &App, log: &Log, last: usize) -> Result<HttpResponse, Refusal> {
    let forks = app.streams.forks_of(log, NAMED_MAX).await;
    // Readers first, then the tail, so that no reader is ahead of it.
    let statuses = log.readers().statuses(NAMED_MAX);
    let tail = log.tail_now();
    let last_messages = log.last_messages(tail.next, last).await?;
    let earliest = log.earliest();
    let lag_bytes = |at: ReaderStatus| tail.next.bytes().saturating_sub(at.at.bytes());
    let reader = |it: &ReaderStatus| LiveReader {
        technique: it.technique,
        offset: log.offset(it.at).into(),
        lag_bytes: lag_bytes(*it),
        seconds: it.present_for.as_secs_f64(),
    };
    let producers = log.producers();
    let position_of = |message: &StoredMessage| MessagePlace {
        offset: log.offset(message.at).into(),
        next_offset: log.offset(message.end).into(),
        appended_ms: since_1970_ms(message.time),
    };
    Ok(no_store(HttpResponse::Ok()).json(&StreamDetails {
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
        reader_counts: ReaderCounts {
            long_poll: log.readers().count(Technique::LongPoll),
            ndjson: log.readers().count(Technique::Ndjson),
            sse: log.readers().count(Technique::Sse),
            websocket: log.readers().count(Technique::Websocket),
        },
        readers: statuses.iter().map(reader).collect(),
        producer_count: producers.len(),
        producers: producers.iter().take(NAMED_MAX).map(position).collect(),
        last_messages: last_messages.iter().map(position_of).collect(),
    }))
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

/// Milliseconds since 1970 UTC.
fn since_1970_ms(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// The values of the parameters with these names, in this order. Other parameters are ignored.
fn parameters<const N: usize>(
    query: &str,
    names: [&str; N],
) -> Result<[Option<String>; N], Refusal> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| Refusal::Query(format!("malformed query: {error}")))?;
    let mut values = [const { None }; N];
    for (name, value) in pairs.into_inner() {
        let Some(at) = names.iter().position(|expected| *expected == name) else {
            continue;
        };
        set_once(&mut values[at], &name, value)?;
    }
    Ok(values)
}

/// The value of a numeric parameter, or `default` if it is absent.
fn parse_count(
    name: &str,
    text: Option<String>,
    default: usize,
    allowed: RangeInclusive<usize>,
) -> Result<usize, Refusal> {
    let Some(text) = text else {
        return Ok(default);
    };
    let count = text.parse().ok().filter(|count| allowed.contains(count));
    count.ok_or_else(|| {
        let (min, max) = (allowed.start(), allowed.end());
        Refusal::Query(format!(
            "{name}={text} is out of range, expected {min} to {max}"
        ))
    })
}

/// The number of last messages that an inspection lists.
fn parse_last(query: &str) -> Result<usize, Refusal> {
    let [last] = parameters(query, ["last"])?;
    parse_count("last", last, 0, 0..=LAST_MAX)
}

/// Parses the query of a list.
///
/// # Errors
/// [`Refusal::Query`].
pub(super) fn parse_query(query: &str) -> Result<ListQuery, Refusal> {
    let names = ["prefix", "search", "exclude", "sort", "after", "limit"];
    let [prefix, search, exclude, sort, after, limit] = parameters(query, names)?;
    let limit = parse_count("limit", limit, LIST_LIMIT, 1..=LIST_LIMIT_MAX)?;
    let after = after.filter(|after| !after.is_empty());
    let order = match sort.as_deref() {
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
        prefix: prefix.unwrap_or_default(),
        search: search.unwrap_or_default(),
        exclude: exclude.unwrap_or_default(),
        order,
        limit,
    })
}
