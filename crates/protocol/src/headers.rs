//! Header names of the protocol, as they go over the wire (lower case, as every HTTP library compares them).

/// The position after what was sent or appended.
pub const STREAM_NEXT_OFFSET: &str = "stream-next-offset";
/// `true` when the answer holds everything up to the tail.
pub const STREAM_UP_TO_DATE: &str = "stream-up-to-date";
/// `true` closes a stream, or says that it is closed and read to its end.
pub const STREAM_CLOSED: &str = "stream-closed";
/// The collapsing key that a reader echoes as `cursor=`.
pub const STREAM_CURSOR: &str = "stream-cursor";
/// A writer's own rising sequence.
pub const STREAM_SEQ: &str = "stream-seq";
/// Sliding time to live in seconds.
pub const STREAM_TTL: &str = "stream-ttl";
/// Absolute expiry, RFC 3339.
pub const STREAM_EXPIRES_AT: &str = "stream-expires-at";
/// Path of the stream that a fork begins with.
pub const STREAM_FORKED_FROM: &str = "stream-forked-from";
/// Where the fork leaves its source.
pub const STREAM_FORK_OFFSET: &str = "stream-fork-offset";
/// Messages or bytes past the fork offset.
pub const STREAM_FORK_SUB_OFFSET: &str = "stream-fork-sub-offset";
/// `base64` when server-sent events carry bytes that are not text.
pub const STREAM_SSE_DATA_ENCODING: &str = "stream-sse-data-encoding";
/// Our extensions, announced when a stream is created and by HEAD.
pub const STREAM_EXTENSIONS: &str = "stream-extensions";
/// Bytes that a stream keeps, oldest go first.
pub const STREAM_RETENTION_BYTES: &str = "stream-retention-bytes";
/// Seconds for which a stream keeps messages.
pub const STREAM_RETENTION_AGE: &str = "stream-retention-age";
/// The earliest position still kept, on 410.
pub const STREAM_EARLIEST_OFFSET: &str = "stream-earliest-offset";
/// An idempotent producer's name.
pub const PRODUCER_ID: &str = "producer-id";
/// An idempotent producer's session.
pub const PRODUCER_EPOCH: &str = "producer-epoch";
/// An idempotent producer's count within its session.
pub const PRODUCER_SEQ: &str = "producer-seq";
/// The sequence number that an idempotent producer has to send next, on 409.
pub const PRODUCER_EXPECTED_SEQ: &str = "producer-expected-seq";
/// The sequence number that came instead, on 409.
pub const PRODUCER_RECEIVED_SEQ: &str = "producer-received-seq";

/// The fields that requests may have; web pages of allowed origins may send them.
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

/// The fields that responses may have; web pages of allowed origins may read all of them.
pub const IN_RESPONSES: [&str; 15] = [
    STREAM_NEXT_OFFSET,
    STREAM_UP_TO_DATE,
    STREAM_CLOSED,
    STREAM_CURSOR,
    STREAM_SSE_DATA_ENCODING,
    STREAM_EXTENSIONS,
    STREAM_EARLIEST_OFFSET,
    PRODUCER_EPOCH,
    PRODUCER_SEQ,
    PRODUCER_EXPECTED_SEQ,
    PRODUCER_RECEIVED_SEQ,
    STREAM_TTL,
    STREAM_EXPIRES_AT,
    STREAM_RETENTION_BYTES,
    STREAM_RETENTION_AGE,
];

/// Whether a boolean protocol header counts as set: exactly `true`, in any case; anything else is as if absent.
pub fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// What a stream's bytes are to formats made of text (SSE, NDJSON, WebSocket text frames).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// `application/json`: a sequence of JSON messages.
    Json,
    /// `text/*`: UTF-8 text.
    Text,
    /// Anything else: bytes, in base64 where only text can travel.
    Binary,
}

impl ContentKind {
    /// The kind of a `Content-Type` value; parameters and case do not count.
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
    fn every_name_is_in_the_list_of_requests_or_responses_for_cors() {
        let source = include_str!("headers.rs");
        let names = source.lines().filter_map(|line| {
            let (_, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
            value.strip_suffix("\";")
        });
        let unlisted: Vec<_> = names
            .filter(|name| !IN_REQUESTS.contains(name) && !IN_RESPONSES.contains(name))
            .collect();
        assert_eq!(unlisted, Vec::<&str>::new());
    }

    #[test]
    fn the_kind_ignores_case_and_parameters() {
        assert_eq!(
            ContentKind::of("Application/JSON; charset=utf-8"),
            ContentKind::Json
        );
        assert_eq!(ContentKind::of("text/plain"), ContentKind::Text);
        assert_eq!(ContentKind::of("application/ndjson"), ContentKind::Binary);
    }
}
