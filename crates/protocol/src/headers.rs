//! Header names of the protocol, in lower case.

/// The offset after the data that was sent or appended.
pub const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// `true` if the response ends at the tail.
pub const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// In a request, `true` closes the stream. In a response, `true` means that the stream is closed and
/// the response ends at its end.
pub const STREAM_CLOSED: &str = "stream-closed";
/// The cursor for request collapsing; readers repeat it as `cursor=`.
pub const STREAM_CURSOR: &str = "stream-cursor";
/// A sequence string of the writer, which must increase in byte order.
pub const STREAM_SEQ: &str = "stream-seq";
/// The time to live in seconds, counted from the last use.
pub const STREAM_TTL: &str = "stream-ttl";
/// The date of expiry, as in RFC 3339.
pub const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// The path of the source stream of a fork.
pub const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// The offset in the source stream at which a fork begins.
pub const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// The number of messages (JSON) or bytes beyond the fork offset that a fork inherits.
pub const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
/// `base64` if the server-sent events contain binary data.
pub const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// The protocol extensions that this server supports, in responses to PUT and HEAD.
pub const STREAM_EXTENSIONS: &str = "stream-extensions";
/// The number of bytes that a stream retains; the oldest messages are removed first.
pub const STREAM_RETENTION_BYTES: &str = "stream-retention-bytes";
/// The number of seconds for which a stream retains messages.
pub const STREAM_RETENTION_AGE: &str = "stream-retention-age";
/// The earliest retained offset, on 410.
pub const STREAM_EARLIEST_OFFSET: &str = "stream-earliest-offset";
/// The identifier of an idempotent producer.
pub const PRODUCER_ID: &str = "producer-id";
/// The epoch of an idempotent producer, higher after each of its restarts.
pub const PRODUCER_EPOCH: &str = "producer-epoch";
/// The sequence number of an idempotent producer's append within its epoch.
pub const PRODUCER_SEQ: &str = "producer-seq";
/// The expected sequence number, on 409.
pub const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// The received sequence number, on 409.
pub const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";

/// The protocol's request headers. CORS allows pages of permitted origins to send them.
pub const IN_REQUESTS: [&str; 12] = [
    STREAM_SEQ,
    STREAM_TTL,
    STREAM_EXPIRES_AT,
    STREAM_CLOSED,
    STREAM_FORKED_FROM,
    STREAM_FORK_OFFSET,
    STREAM_FORK_SUB_OFFSET,
    STREAM_RETENTION_BYTES,
    STREAM_RETENTION_AGE,
    PRODUCER_ID,
    PRODUCER_EPOCH,
    PRODUCER_SEQ,
];

/// Whether a boolean protocol header is set: its value is `true`, ignoring case. Any other value
/// is treated like an absent header.
pub fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// The value of a `Content-Length` field; `None` unless it consists of digits.
///
/// Source: RFC 9110, section 8.6.
pub fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// How text formats (SSE, NDJSON, WebSocket text frames) encode a stream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// `application/json`: a sequence of JSON messages.
    Json,
    /// `text/*`: UTF-8 text.
    Text,
    /// Anything else: bytes, encoded in base64 in text formats.
    Binary,
}

impl ContentKind {
    /// The kind of a `Content-Type` value; parameters and case are ignored.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Self::Json,
            text if text.starts_with("text/") => Self::Text,
            _ => Self::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_ignores_case_and_parameters() {
        assert_eq!(
            ContentKind::of("Application/JSON; charset=utf-8"),
            ContentKind::Json
        );
        assert_eq!(ContentKind::of("text/plain"), ContentKind::Text);
        assert_eq!(ContentKind::of("application/ndjson"), ContentKind::Binary);
    }

    #[test]
    fn a_content_length_consists_of_digits() {
        for (value, bytes) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1, 1", None),
            ("0x1", None),
            ("1.0", None),
        ] {
            assert_eq!(content_length(value.as_bytes()), bytes, "{value:?}");
        }
    }
}
