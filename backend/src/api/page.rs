//! The response to a plain read or a long-poll.

use super::fields::{FieldValue, Fields};
use super::{Answer, Charge, Content, NO_STORE, names};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use std::borrow::Cow;
use tailwater_core::{Batch, Log, ReadStart};

/// A page with data never changes, so it may be cached.
const CACHE_PAGE: &str = "public, max-age=60, stale-while-revalidate=300";
/// Keeps browsers from running scripts in a stream's data.
pub const SANDBOX: &str = "sandbox";

/// A page, or the information that it is empty.
#[derive(Debug)]
pub struct PageAnswer<'a> {
    /// The log that was read.
    pub log: &'a Log,
    /// The data that was read.
    pub batch: &'a Batch,
    /// The position the reader requested.
    pub requested: ReadStart,
    /// Whether a long-poll reads; its response also has a [`PageAnswer::cursor`] unless the stream
    /// is closed.
    pub is_long_poll: bool,
}

impl PageAnswer<'_> {
    /// 200, 204 for a long-poll without data, or 304.
    ///
    /// - `if_none_match`: all values of the request's field.
    /// - `charge`: the page's charge on the budget.
    ///
    /// Source: Durable Streams protocol, sections 5.6, 5.7 and 10.1.
    pub fn answer<'r>(
        &self,
        if_none_match: impl Iterator<Item = &'r [u8]>,
        charge: Option<Charge>,
    ) -> Answer {
        let &Self {
            log,
            batch,
            requested,
            is_long_poll,
        } = self;
        let is_empty = batch.data.is_empty();
        let etag = (requested != ReadStart::Now && !(is_long_poll && is_empty))
            .then(|| ETag::of(log, batch));
        let is_unchanged = etag
            .as_ref()
            .is_some_and(|etag| etag.is_among(if_none_match));
        let mut answer = Answer::new(match () {
            () if is_unchanged => StatusCode::NOT_MODIFIED,
            () if is_long_poll && is_empty => StatusCode::NO_CONTENT,
            () => StatusCode::OK,
        });
        answer.put_end(batch.next_offset(), batch.closed());
        if batch.up_to_date() {
            answer.put(&names::STREAM_UP_TO_DATE, "true");
        }
        if let Some(etag) = &etag {
            answer.put(&ETAG, etag);
        }
        answer.put(&CONTENT_SECURITY_POLICY, SANDBOX);
        let cache = if is_empty || requested == ReadStart::Now {
            NO_STORE.into()
        } else {
            cacheable(log)
        };
        answer.put(&CACHE_CONTROL, &*cache);
        if answer.status == StatusCode::OK {
            answer.put(&CONTENT_TYPE, &*log.config().content_type);
            answer.content = Some(Content {
                charge,
                ..Content::messages(log.kind(), batch.data.clone())
            });
        }
        answer
    }

    /// The header field of a long-poll's cursor.
    pub fn cursor(cursor: u64) -> Fields {
        let mut fields = Fields::default();
        fields.put(&names::STREAM_CURSOR, &cursor);
        fields
    }
}

/// How long caches may store a page with data: no longer than its stream exists.
fn cacheable(log: &Log) -> Cow<'static, str> {
    log.time_left().map_or(CACHE_PAGE.into(), |left| {
        format!("public, max-age={}", left.as_secs().min(60)).into()
    })
}

/// Identifies the bytes of a page and the closure: the stream's number, the range, and `c` when it
/// ends a closed stream.
#[derive(Debug)]
pub(super) struct ETag(pub(super) Vec<u8>);

impl FieldValue for ETag {
    fn push_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl ETag {
    fn of(log: &Log, batch: &Batch) -> Self {
        let mut etag = Vec::with_capacity(64);
        etag.push(b'"');
        log.id().0.push_to(&mut etag);
        for position in [batch.from, batch.next] {
            etag.push(b':');
            position.bytes().push_to(&mut etag);
        }
        etag.extend_from_slice(if batch.closed() { b":c\"" } else { b"\"" });
        Self(etag)
    }

    /// Whether it is one of the listed, or the whole field is `*`. Source: RFC 9110, section
    /// 13.1.2.
    fn is_among<'r>(&self, mut if_none_match: impl Iterator<Item = &'r [u8]>) -> bool {
        let is_it = |one: &[u8]| one.strip_prefix(b"W/").unwrap_or(one) == self.0;
        let (first, second) = (if_none_match.next(), if_none_match.next());
        if second.is_none() && first.is_some_and(|field| field.trim_ascii() == b"*") {
            return true;
        }
        let mut fields = first.into_iter().chain(second).chain(if_none_match);
        fields.any(|list| {
            list.split(|byte| *byte == b',')
                .any(|one| is_it(one.trim_ascii()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_matches_in_lists_and_a_lone_star() {
        let etag = ETag(b"\"a\"".to_vec());
        for (fields, is_among) in [
            (&["\"a\""][..], true),
            (&["W/\"a\""], true),
            (&[" \"b\" ,\t\"a\""], true),
            (&["\"b\"", "\"c\", W/\"a\""], true),
            (&["*"], true),
            (&[" * "], true),
            (&[], false),
            (&[""], false),
            (&["a"], false),
            (&["\"*\""], false),
            (&["W/*"], false),
            (&["*, \"b\""], false),
            (&["\"b\", *"], false),
            (&["*,"], false),
            (&["*", "\"b\""], false),
            (&["\"b\"", "*"], false),
            (&["*", "*"], false),
            // Malformed members are ignored.
            (&["*, \"a\""], true),
        ] {
            assert_eq!(
                etag.is_among(fields.iter().map(|field| field.as_bytes())),
                is_among,
                "{fields:?}"
            );
        }
    }
}
