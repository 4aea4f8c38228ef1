//! The head of an answer on HTTP/1.1, as bytes.

use actix_web::http::StatusCode;
use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What heads of one worker have in common: the date, made once a second.
#[derive(Default)]
pub(super) struct Heads {
    second: Cell<u64>,
    date: RefCell<String>,
    buffer: Cell<Vec<u8>>,
}

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heads").field("second", &self.second).finish_non_exhaustive()
    }
}

impl Heads {
    /// An empty buffer, which may have room already.
    pub(super) fn borrow_buffer(&self) -> Vec<u8> {
        let mut buffer = self.buffer.take();
        buffer.clear();
        buffer
    }

    /// Keeps the room of a buffer for the next head.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        self.buffer.set(buffer);
    }

    /// Writes a head.
    ///
    /// - `fields`: writes fields of its own, a line each.
    /// - `standing`: lines that every answer has.
    /// - `body_bytes`: the body's length; `None` for answers that can have none.
    /// - `closes`: whether the connection is closed after it.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        status: StatusCode,
        fields: impl FnOnce(&mut Vec<u8>),
        standing: &[u8],
        body_bytes: Option<usize>,
        closes: bool,
    ) {
        // A vector takes everything; so the results of writing are passed over.
        let _taken = write!(out, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
        if let Some(bytes) = body_bytes {
            let _taken = write!(out, "content-length: {bytes}\r\n");
        }
        if closes {
            out.extend_from_slice(b"connection: close\r\n");
        }
        fields(out);
        out.extend_from_slice(standing);
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(self.date().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// The second since 1970 that a head written now bears.
    pub(super) fn second(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }

    fn date(&self) -> Ref<'_, String> {
        let second = self.second();
        if self.second.replace(second) != second {
            self.date.replace(httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)));
        }
        self.date.borrow()
    }
}
