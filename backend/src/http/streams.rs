//! What there is beside the content: a page of the list of streams, and one stream looked at closely.

use super::export::export;
use super::import::import;
use crate::api::{App, Refusal};
use crate::log::{Accepted, Expiry, Fork, Log, ProducerId, StreamConfig, Wanted, Whereabouts};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, guard, web};
use serde::Serialize;
use std::time::UNIX_EPOCH;
use tailwater_protocol::inspect::{
    Configuration, LIST_LIMIT, LIST_LIMIT_MAX, LiveReader, NAMED_MAX, Origin, ProducerPosition, StreamDetails,
    StreamList, StreamSummary,
};
use tailwater_protocol::{Technique, Token};

/// Registers the routes; the state is a `web::Data<App>`.
pub(super) fn configure(service: &mut web::ServiceConfig) {
    let gets = [
        ("/v1/streams", web::route().to(list)),
        ("/v1/streams/{name:.*}", web::route().to(inspect)),
        ("/v1/export/{name:.*}", web::route().to(export)),
    ];
    for (path, route) in gets {
        service.service(
            web::resource(path)
                .route(route.guard(guard::Any(guard::Get()).or(guard::Head())))
                .default_service(web::to(only_get)),
        );
    }
    let put = web::put().to(import);
    service.service(web::resource("/v1/import/{name:.*}").route(put).default_service(web::to(only_put)));
}

async fn only_put(request: HttpRequest) -> HttpResponse {
    super::method_refused(&request, "PUT, OPTIONS")
}

async fn only_get(request: HttpRequest) -> HttpResponse {
    super::method_refused(&request, "GET, HEAD, OPTIONS")
}

async fn list(request: HttpRequest, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let (logs, has_more) = app.streams.list(&wanted(&request)?).await;
    let after = logs.last().filter(|_| has_more).map(|log| log.name().to_string());
    Ok(fresh(&StreamList { streams: logs.iter().map(|log| summary(log)).collect(), after }))
}

async fn inspect(request: HttpRequest, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let log = super::log(&app, &request, "/v1/streams/")?;
    let forks = app.streams.forks_of(&log, NAMED_MAX).await;
    // The readers before the tail: what they were given can't lie beyond it.
    let whereabouts = log.readers().whereabouts(NAMED_MAX);
    let tail = log.tail_now();
    let earliest = log.earliest();
    let lag_bytes = |at: Whereabouts| tail.next.bytes().saturating_sub(at.at.bytes());
    let reader = |it: &Whereabouts| LiveReader {
        technique: it.technique,
        offset: log.offset(it.at).into(),
        lag_bytes: lag_bytes(*it),
        seconds: it.present_for.as_secs_f64(),
    };
    let producers = log.producers();
    let waiting = Technique::ALL.into_iter().filter(|technique| technique.live().is_some());
    Ok(fresh(&StreamDetails {
        name: log.name().to_string(),
        configuration: configuration(log.config()),
        earliest_offset: log.offset(earliest).into(),
        next_offset: tail.offset().into(),
        kept_bytes: tail.next.bytes().saturating_sub(earliest.bytes()),
        closed: tail.closed(),
        forked_from: log.config().fork.as_ref().map(Origin::from),
        fork_count: log.forks(),
        forks,
        plain_reads: log.readers().count(Technique::Poll),
        reader_counts: waiting.map(|technique| (technique, log.readers().count(technique))).collect(),
        readers: whereabouts.iter().map(reader).collect(),
        producer_count: producers.len(),
        producers: producers.iter().take(NAMED_MAX).map(position).collect(),
    }))
}

fn position((id, at): &(ProducerId, Accepted)) -> ProducerPosition {
    ProducerPosition { id: id.to_string(), epoch: at.epoch, seq: at.seq }
}

impl From<&Fork> for Origin {
    fn from(fork: &Fork) -> Self {
        Self { stream: fork.source_name.to_string(), offset: fork.at.into(), sub_offset: fork.sub }
    }
}

fn summary(log: &Log) -> StreamSummary {
    let tail = log.tail_now();
    StreamSummary {
        name: log.name().to_string(),
        content_type: log.config().content_type.to_string(),
        earliest_offset: Token::from(log.offset(log.earliest())),
        next_offset: tail.offset().into(),
        closed: tail.closed(),
        readers: log.readers().live(),
        forked_from: log.config().fork.as_ref().map(|fork| fork.source_name.to_string()),
    }
}

/// A stream's configuration as inspections and exports tell it.
pub(super) fn configuration(config: &StreamConfig) -> Configuration {
    let (ttl_seconds, expires_at_ms) = match config.expiry {
        None => (None, None),
        Some(Expiry::Idle(time)) => (Some(time.as_secs()), None),
        Some(Expiry::At(moment)) => {
            let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
            (None, Some(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)))
        }
    };
    Configuration {
        content_type: config.content_type.to_string(),
        ttl_seconds,
        expires_at_ms,
        keep_bytes: config.keep_bytes,
        keep_seconds: config.keep_age.map(|age| age.as_secs()),
    }
}

fn wanted(request: &HttpRequest) -> Result<Wanted, Refusal> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map_err(|error| Refusal::Query(format!("the query can't be read: {error}")))?;
    let (mut prefix, mut search, mut after, mut limit) = (None, None, None, None);
    for (name, value) in pairs.into_inner() {
        let slot = match name.as_str() {
            "prefix" => &mut prefix,
            "search" => &mut search,
            "after" => &mut after,
            "limit" => &mut limit,
            _ => continue,
        };
        if slot.is_some() {
            return Err(Refusal::Query(format!("`{name}` is given twice")));
        }
        *slot = Some(value);
    }
    let limit = match limit {
        None => LIST_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit)).ok_or_else(|| {
            Refusal::Query(format!("limit={text}: expected a number of streams from 1 to {LIST_LIMIT_MAX}"))
        })?,
    };
    Ok(Wanted {
        prefix: prefix.unwrap_or_default(),
        search: search.unwrap_or_default(),
        after: after.filter(|after| !after.is_empty()),
        limit,
    })
}

/// What is true only at this moment.
fn fresh(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(value)
}
