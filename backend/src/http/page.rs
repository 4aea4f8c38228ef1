//! The answer of a plain read or a long-poll: status, header fields and body, whoever sends them.

use super::fields::Fields;
use super::names;
use super::pieces::Pieces;
use crate::log::{Batch, Log, Start};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use std::borrow::Cow;

/// A page that holds data never changes; who reads it again may have it from a cache.
const CACHE_PAGE: &str = "public, max-age=60, stale-while-revalidate=300";
/// What is true only at this moment.
const CACHE_NEVER: &str = "no-store";

/// One page, or the news that there is none.
#[derive(Debug)]
pub struct Page<'a> {
    log: &'a Log,
    batch: &'a Batch,
    etag: Option<String>,
    is_unchanged: bool,
    /// Of a long-poll.
    cursor: Option<u64>,
    cache: Cow<'static, str>,
}

impl<'a> Page<'a> {
    /// What `batch` is answered with.
    ///
    /// - `asked`: where the reader wanted to begin.
    /// - `cursor`: of a long-poll; `None` for a plain read.
    /// - `if_none_match`: the request's field, every one of them.
    pub fn new<'r>(
        log: &'a Log,
        batch: &'a Batch,
        asked: Start,
        cursor: Option<u64>,
        if_none_match: impl Iterator<Item = &'r str>,
    ) -> Self {
        let is_empty = batch.data.is_empty();
        let cache = if is_empty || asked == Start::Now { CACHE_NEVER.into() } else { cacheable(log) };
        let etag = (asked != Start::Now && !(cursor.is_some() && is_empty)).then(|| etag(log, batch));
        let is_unchanged = etag.as_deref().is_some_and(|etag| matches(if_none_match, etag));
        Self { log, batch, etag, is_unchanged, cursor, cache }
    }

    /// 200, 204 for a long-poll without news, or 304.
    pub fn status(&self) -> StatusCode {
        match self.cursor {
            _ if self.is_unchanged => StatusCode::NOT_MODIFIED,
            Some(_) if self.batch.data.is_empty() => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }

    /// The fields that are this answer's own; not the body's length.
    pub fn put_fields(&self, fields: &mut impl Fields) {
        let Self { log, batch, .. } = self;
        fields.put(&names::STREAM_NEXT_OFFSET, batch.next.digits());
        if batch.up_to_date() {
            fields.put(&names::STREAM_UP_TO_DATE, "true");
        }
        if batch.closed() {
            fields.put(&names::STREAM_CLOSED, "true");
        } else if let Some(cursor) = self.cursor {
            fields.put(&names::STREAM_CURSOR, cursor.to_string());
        }
        if let Some(etag) = &self.etag {
            fields.put(&ETAG, etag);
        }
        fields.put(&CACHE_CONTROL, &*self.cache);
        if self.status() == StatusCode::OK {
            fields.put(&CONTENT_TYPE, &*log.config().content_type);
        }
    }

    /// The body, if the status has one.
    pub fn body(&self) -> Option<Pieces> {
        (self.status() == StatusCode::OK).then(|| Pieces::of(self.log.kind(), self.batch.data.clone()))
    }
}

/// How long caches may keep a page that holds data: no longer than its stream lives.
///
/// Source: Durable Streams protocol, sections 5.6 and 10.1.
fn cacheable(log: &Log) -> Cow<'static, str> {
    match log.left() {
        None => CACHE_PAGE.into(),
        Some(left) => format!("public, max-age={}", left.as_secs().min(60)).into(),
    }
}

/// Names the bytes and the closure: the stream's number, the range, and `c` when its end is the stream's.
fn etag(log: &Log, batch: &Batch) -> String {
    let closed = if batch.closed() { ":c" } else { "" };
    format!("\"{}:{}:{}{closed}\"", log.id().0, batch.from.bytes(), batch.next.bytes())
}

fn matches<'r>(mut if_none_match: impl Iterator<Item = &'r str>, etag: &str) -> bool {
    if_none_match
        .any(|list| list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == etag || one == "*"))
}
