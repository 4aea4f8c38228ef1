//! The answer of a plain read or a long-poll.

use super::{Answer, Charge, Content, names};
use crate::log::{Batch, Log, Start};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue};

/// A page that holds data never changes; who reads it again may have it from a cache.
const CACHE_PAGE: HeaderValue = HeaderValue::from_static("public, max-age=60, stale-while-revalidate=300");
/// What is true only at this moment.
const CACHE_NEVER: HeaderValue = HeaderValue::from_static("no-store");
/// A stream's bytes are not this server's pages: a browser that shows them runs no script of theirs.
pub(super) const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

/// One page, or the news that there is none.
#[derive(Debug)]
pub struct Page<'a> {
    /// The log that was read.
    pub log: &'a Log,
    /// What was read.
    pub batch: &'a Batch,
    /// Where the reader wanted to begin.
    pub asked: Start,
    /// Of a long-poll; `None` for a plain read.
    pub cursor: Option<u64>,
}

impl Page<'_> {
    /// 200, 204 for a long-poll without news, or 304.
    ///
    /// - `if_none_match`: the request's field, every one of them.
    /// - `charge`: what the page holds of the budget.
    ///
    /// Source: Durable Streams protocol, sections 5.6, 5.7 and 10.1.
    pub fn answer<'r>(&self, if_none_match: impl Iterator<Item = &'r [u8]>, charge: Option<Charge>) -> Answer {
        let &Self { log, batch, asked, cursor } = self;
        let is_empty = batch.data.is_empty();
        let etag = (asked != Start::Now && !(cursor.is_some() && is_empty)).then(|| etag(log, batch));
        let is_unchanged = etag.as_deref().is_some_and(|etag| matches(if_none_match, etag));
        let mut answer = Answer::new(match cursor {
            _ if is_unchanged => StatusCode::NOT_MODIFIED,
            Some(_) if is_empty => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        });
        answer.put_text(&names::STREAM_NEXT_OFFSET, batch.next_offset().to_string());
        if batch.up_to_date() {
            answer.put(&names::STREAM_UP_TO_DATE, HeaderValue::from_static("true"));
        }
        if batch.closed() {
            answer.put(&names::STREAM_CLOSED, HeaderValue::from_static("true"));
        } else if let Some(cursor) = cursor {
            answer.put(&names::STREAM_CURSOR, cursor.into());
        }
        if let Some(etag) = etag {
            answer.put_text(&ETAG, etag);
        }
        answer.put(&CONTENT_SECURITY_POLICY, SANDBOX);
        answer.put(&CACHE_CONTROL, if is_empty || asked == Start::Now { CACHE_NEVER } else { cacheable(log) });
        if answer.status == StatusCode::OK {
            answer.put_text(&CONTENT_TYPE, log.config().content_type.to_string());
            answer.content = Some(Content { charge, ..Content::messages(log.kind(), batch.data.clone()) });
        }
        answer
    }
}

/// How long caches may keep a page that holds data: no longer than its stream lives.
fn cacheable(log: &Log) -> HeaderValue {
    let Some(left) = log.left() else { return CACHE_PAGE };
    HeaderValue::from_maybe_shared(format!("public, max-age={}", left.as_secs().min(60))).unwrap_or(CACHE_NEVER)
}

/// Names the bytes and the closure: the stream's number, the range, and `c` when its end is the stream's.
fn etag(log: &Log, batch: &Batch) -> String {
    let closed = if batch.closed() { ":c" } else { "" };
    format!("\"{}:{}:{}{closed}\"", log.id().0, batch.from.bytes(), batch.next.bytes())
}

fn matches<'r>(mut if_none_match: impl Iterator<Item = &'r [u8]>, etag: &str) -> bool {
    if_none_match.any(|list| {
        let Ok(list) = std::str::from_utf8(list) else { return false };
        list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == etag || one == "*")
    })
}
