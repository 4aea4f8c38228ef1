//! HTTP/1.1 response heads and chunks as bytes.

use super::HEAD_ROOM;
use crate::api::{Answer, Content, FieldValue};
use http::StatusCode;
use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// State shared by the response heads of one worker: the date, formatted once a second.
#[derive(Default)]
pub struct Heads {
    second: Cell<u64>,
    date: RefCell<String>,
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads")
            .field("second", &self.second)
            .finish_non_exhaustive()
    }
}

impl Heads {
    /// Appends the head of a response.
    ///
    /// - `common`: header lines of every response to this client.
    /// - `closes`: whether the connection is closed afterwards.
    pub fn write(&self, out: &mut Vec<u8>, answer: &Answer, common: &[u8], closes: bool) {
        begin(out, answer, closes);
        out.extend_from_slice(common);
        self.end(out);
    }

    /// A whole response on a connection that stays open, without the lines of a particular client.
    /// Returns the bytes and the position at which those lines are to be inserted.
    pub fn whole(&self, answer: Answer) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(512 + answer.content.as_ref().map_or(0, Content::len));
        begin(&mut out, &answer, false);
        let insert_at = out.len();
        self.end(&mut out);
        for part in answer.content.into_iter().flat_map(|content| content.parts) {
            out.extend_from_slice(&part);
        }
        (out, insert_at)
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(self.date().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn date(&self) -> Ref<'_, String> {
        let second = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        if self.second.replace(second) != second {
            self.date.replace(httpdate::fmt_http_date(
                UNIX_EPOCH + Duration::from_secs(second),
            ));
        }
        self.date.borrow()
    }
}

fn begin(out: &mut Vec<u8>, answer: &Answer, closes: bool) {
    let status = answer.status;
    for part in [
        "HTTP/1.1 ",
        status.as_str(),
        " ",
        status.canonical_reason().unwrap_or_default(),
        "\r\n",
    ] {
        out.extend_from_slice(part.as_bytes());
    }
    if answer.content.is_some() || !has_no_length(status) {
        out.extend_from_slice(b"content-length: ");
        (answer.content.as_ref().map_or(0, Content::len) as u64).push_to(out);
        out.extend_from_slice(b"\r\n");
    }
    if closes {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(answer.fields.lines());
}

/// Whether a response of this status has neither content nor a length. Source: RFC 9110, section
/// 8.6.
fn has_no_length(status: StatusCode) -> bool {
    status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

/// Writes the head of a chunk to the end of `buffer`; returns that part.
pub(super) fn chunk_head(length: usize, buffer: &mut [u8; HEAD_ROOM]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    buffer[HEAD_ROOM - 2..].copy_from_slice(b"\r\n");
    let (mut at, mut left) = (HEAD_ROOM - 2, length);
    while left > 0 || at == HEAD_ROOM - 2 {
        at -= 1;
        buffer[at] = DIGITS[left & 15];
        left >>= 4;
    }
    &buffer[at..]
}
