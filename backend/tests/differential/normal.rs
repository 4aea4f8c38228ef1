//! Replaces values that may differ between two servers: dates, addresses, cursors, values of entity
//! tags, and in a list the times of creation and the total number of streams.

use super::recorded::{Recorded, RecordedBody, RecordedResponse, find};
use std::net::SocketAddr;

/// Greater than every cursor of this century.
const CURSOR_MAX: u64 = 200_000_000;

/// Makes the responses of one server comparable with those of another.
#[derive(Debug)]
pub(crate) struct Normalizer {
    /// The server's address as text.
    address: String,
    /// The entity tags in the order of their appearance: which responses have the same tag is
    /// compared, not its value.
    etags: Vec<String>,
}

impl Normalizer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address: address.to_string(),
            etags: Vec::new(),
        }
    }

    /// Replaces everything that may differ.
    pub(crate) fn apply(&mut self, seen: &mut Recorded) {
        match seen {
            Recorded::Response(answer) => self.answer(answer),
            Recorded::Frame(_, payload) => *payload = self.bytes(payload),
            Recorded::Malformed(_, bytes) => *bytes = self.bytes(bytes),
            Recorded::Closed | Recorded::Silence => {}
        }
    }

    fn answer(&mut self, answer: &mut RecordedResponse) {
        for (name, value) in &mut answer.fields {
            *value = match name.as_str() {
                "date" => "a date".to_owned(),
                "stream-cursor" => cursor(value),
                "etag" => self.etag(value),
                _ => value.replace(&self.address, "SERVER"),
            };
        }
        // The length includes what was replaced; the body itself is compared.
        let has_replaced = match &mut answer.body {
            RecordedBody::Whole(bytes) | RecordedBody::Broken(bytes) => {
                let normal = self.bytes(bytes);
                std::mem::replace(bytes, normal.clone()) != normal
            }
            RecordedBody::None | RecordedBody::Missing => false,
        };
        if has_replaced {
            answer.fields.retain(|(name, _)| name != "content-length");
        }
    }

    fn etag(&mut self, value: &str) -> String {
        let known = self.etags.iter().position(|etag| etag == value);
        let number = known.unwrap_or_else(|| {
            self.etags.push(value.to_owned());
            self.etags.len() - 1
        });
        format!("entity tag {number}")
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = replaced(bytes, b"\"streamCursor\":\"", b"\"", cursor);
        for key in [&b"\"createdMs\":"[..], b"\"total\":"] {
            out = replaced(&out, key, b",}", number);
        }
        match String::from_utf8(out) {
            Ok(text) => {
                let text = text.replace(&self.address, "SERVER");
                let tags = self
                    .etags
                    .iter()
                    .map(|etag| etag.trim_matches('"'))
                    .filter(|tag| tag.contains(':'));
                // Refusals quote the values that they refuse.
                tags.fold(text, |text, tag| text.replace(tag, "an entity tag"))
                    .into_bytes()
            }
            Err(binary) => binary.into_bytes(),
        }
    }
}

/// Replaces the value after each `key` and before one of the bytes `ends`.
fn replaced(bytes: &[u8], key: &[u8], ends: &[u8], with: fn(&str) -> String) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, key) {
        let (before, value) = rest.split_at(at + key.len());
        let end = value
            .iter()
            .position(|byte| ends.contains(byte))
            .unwrap_or(value.len());
        out.extend_from_slice(before);
        out.extend_from_slice(with(&String::from_utf8_lossy(&value[..end])).as_bytes());
        rest = &value[end..];
    }
    out.extend_from_slice(rest);
    out
}

fn number(value: &str) -> String {
    match value.parse::<u64>() {
        Ok(_) => "a number".to_owned(),
        Err(_) => value.to_owned(),
    }
}

fn cursor(value: &str) -> String {
    match value.parse::<u64>() {
        Ok(..CURSOR_MAX) => "a cursor".to_owned(),
        _ => format!("an absurd cursor {value}"),
    }
}

impl RecordedResponse {
    /// The body; empty if there is none.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.body {
            RecordedBody::Whole(bytes) | RecordedBody::Broken(bytes) => bytes,
            RecordedBody::None | RecordedBody::Missing => &[],
        }
    }

    /// Whether the connection ends after it: the response says so, or it is a refusal by the HTTP
    /// library.
    pub(crate) fn closes(&self) -> bool {
        let says_close = |value: &str| {
            value
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("close"))
        };
        let is_close = |(name, value): &(String, String)| name == "connection" && says_close(value);
        self.is_librarys_refusal() || self.fields.iter().any(is_close)
    }

    /// Whether it refuses a request and lacks what all our responses have.
    fn is_librarys_refusal(&self) -> bool {
        self.status >= 400
            && !self
                .fields
                .iter()
                .any(|(name, _)| name == "x-content-type-options")
    }

    /// Whether the body contains `text`.
    pub(crate) fn is_about(&self, text: &str) -> bool {
        find(self.bytes(), text.as_bytes()).is_some()
    }
}
