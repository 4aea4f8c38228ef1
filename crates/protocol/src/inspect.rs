//! Responses that describe a server and its streams: the details of the server, the list of streams,
//! and the details of one stream.

use crate::{Technique, Token};
use serde::{Deserialize, Serialize};

/// The default number of streams on a page of the list.
pub const LIST_LIMIT: usize = 100;
/// The maximum number of streams on a page of the list.
pub const LIST_LIMIT_MAX: usize = 1_000;
/// The maximum number of last messages that an inspection lists.
pub const LAST_MAX: usize = 1_000;
/// The maximum number of readers, producers and forks that an inspection lists. Their total numbers
/// are always included.
pub const NAMED_MAX: usize = 100;

/// `GET /v1/server`: the details of the server. Unavailable numbers are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerDetails {
    /// The server's version.
    pub version: String,
    /// Seconds since the server started.
    pub uptime_seconds: f64,
    /// Resident memory of its process in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// The store of its streams.
    pub store: StoreDetails,
    /// The number of streams, including deleted ones that still have forks.
    pub stream_count: usize,
    /// The number of live readers of all streams, by all techniques except polling.
    pub live_readers: usize,
    /// The number of open TCP connections; absent in an application that mounts the streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
}

/// The store of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreDetails {
    /// `disk` or `memory`; empty if the store of an embedding application does not report it.
    pub kind: String,
    /// Number of bytes stored in files or in memory, including metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// Capacity in bytes (`--memory-max`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
    /// Free space of the file system in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// The part of the free space that is not used (`--disk-reserve`), in bytes: appends are refused if
    /// no more is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_bytes: Option<u64>,
}

/// `GET /v1/streams?prefix=&search=&exclude=&sort=&after=&limit=`: a page of the list, in the byte
/// order of names or, with `sort=newest`, by creation, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamList {
    /// The streams.
    pub streams: Vec<StreamSummary>,
    /// The `after` of the next page, with the same `sort`; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The number of all streams of the server, independent of the query, including deleted ones that
    /// still have forks.
    #[serde(default)]
    pub total: usize,
}

/// A stream in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSummary {
    /// The name, not percent-encoded.
    pub name: String,
    /// The content type as it was given on creation.
    pub content_type: String,
    /// The earliest retained offset.
    pub earliest_offset: Token,
    /// The offset after the last message.
    pub next_offset: Token,
    /// The time of its creation, in milliseconds since 1970 UTC.
    #[serde(default)]
    pub created_ms: u64,
    /// Whether the stream is closed for appends.
    pub closed: bool,
    /// The current number of live readers, by all techniques except polling.
    pub readers: usize,
    /// The stream it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
}

/// The configuration of a stream, as in inspections and exports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The content type as it was given on creation.
    pub content_type: String,
    /// The number of seconds after the last read or write at which the stream expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The date of expiry, in milliseconds since 1970 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// The number of bytes to retain; the oldest messages are removed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<u64>,
    /// The number of seconds for which messages are retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
}

/// The source of a fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The name of the source stream when the fork was created.
    pub stream: String,
    /// The offset at which the fork's own messages start.
    pub offset: Token,
    /// The number of bytes beyond that offset that the fork inherited as part of its own first message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sub_offset: u64,
}

/// `GET /v1/streams/{name}?last=`: the details of one stream without its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamDetails {
    /// The name, not percent-encoded.
    pub name: String,
    /// The configuration.
    pub configuration: Configuration,
    /// The earliest retained offset.
    pub earliest_offset: Token,
    /// The offset after the last message.
    pub next_offset: Token,
    /// The time of its creation, in milliseconds since 1970 UTC.
    #[serde(default)]
    pub created_ms: u64,
    /// The number of stored bytes between the two offsets.
    pub kept_bytes: u64,
    /// Whether the stream is closed for appends.
    pub closed: bool,
    /// The source stream, if this stream is a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Origin>,
    /// The number of forks.
    pub fork_count: usize,
    /// The names of the first [`NAMED_MAX`] forks.
    pub forks: Vec<String>,
    /// The number of plain reads since the server started. Polling readers are not tracked
    /// individually.
    pub plain_reads: usize,
    /// The current number of live readers by technique.
    pub reader_counts: ReaderCounts,
    /// The first [`NAMED_MAX`] live readers, in the order in which they connected.
    pub readers: Vec<LiveReader>,
    /// The number of idempotent producers that have appended.
    pub producer_count: usize,
    /// The first [`NAMED_MAX`] producers, ordered by identifier.
    pub producers: Vec<ProducerPosition>,
    /// The last messages, in order and without gaps up to `next_offset`; only with `last=COUNT`, and
    /// fewer than that if they are long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_messages: Vec<MessagePlace>,
}

/// The offsets of a message, and when it was appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagePlace {
    /// The offset before the message: a read from here begins with it.
    pub offset: Token,
    /// The offset after the message: a fork at this offset ends with it.
    pub next_offset: Token,
    /// The time of its append, in milliseconds since 1970 UTC.
    pub appended_ms: u64,
}

/// The number of live readers by technique; without polling, whose readers are not tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ReaderCounts {
    /// Readers that long-poll.
    pub long_poll: usize,
    /// Readers of NDJSON.
    pub ndjson: usize,
    /// Readers of server-sent events.
    pub sse: usize,
    /// Readers over WebSocket.
    pub websocket: usize,
}

impl ReaderCounts {
    /// The number of live readers that use `technique`.
    pub fn of(&self, technique: Technique) -> usize {
        match technique {
            Technique::Poll => 0,
            Technique::LongPoll => self.long_poll,
            Technique::Ndjson => self.ndjson,
            Technique::Sse => self.sse,
            Technique::Websocket => self.websocket,
        }
    }

    /// The number of live readers by all techniques.
    pub fn total(&self) -> usize {
        self.long_poll + self.ndjson + self.sse + self.websocket
    }
}

/// A reader that uses a technique other than polling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveReader {
    /// The technique.
    pub technique: Technique,
    /// The offset after the data that was sent to it.
    pub offset: Token,
    /// The number of bytes between that offset and the tail.
    pub lag_bytes: u64,
    /// The age of its request in seconds.
    pub seconds: f64,
}

/// The position of an idempotent producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerPosition {
    /// The identifier of the producer.
    pub id: String,
    /// The current epoch.
    pub epoch: u64,
    /// The last sequence number accepted in that epoch.
    pub seq: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn an_inspection_is_camel_case_json_and_parses_back() {
        let details = StreamDetails {
            name: "a/b".to_owned(),
            configuration: Configuration {
                content_type: "text/plain".to_owned(),
                keep_seconds: Some(60),
                ..Default::default()
            },
            earliest_offset: "0000000000000003".parse().unwrap(),
            next_offset: "0000000000000009".parse().unwrap(),
            created_ms: 1_795_996_800_123,
            kept_bytes: 6,
            closed: false,
            forked_from: Some(Origin {
                stream: "a".to_owned(),
                offset: "0000000000000003".parse().unwrap(),
                sub_offset: 0,
            }),
            fork_count: 0,
            forks: Vec::new(),
            plain_reads: 2,
            reader_counts: ReaderCounts {
                long_poll: 1,
                ..Default::default()
            },
            readers: vec![LiveReader {
                technique: Technique::LongPoll,
                offset: "0000000000000009".parse().unwrap(),
                lag_bytes: 0,
                seconds: 1.5,
            }],
            producer_count: 1,
            producers: vec![ProducerPosition {
                id: "p".to_owned(),
                epoch: 1,
                seq: 7,
            }],
            last_messages: vec![MessagePlace {
                offset: "0000000000000003".parse().unwrap(),
                next_offset: "0000000000000009".parse().unwrap(),
                appended_ms: 1_795_996_800_456,
            }],
        };
        let text = serde_json::to_string(&details).unwrap();
        for part in [
            r#""configuration":{"contentType":"text/plain","keepSeconds":60}"#,
            r#""forkedFrom":{"stream":"a","offset":"0000000000000003"}"#,
            r#""lastMessages":[{"offset":"0000000000000003","nextOffset":"0000000000000009","appendedMs":1795996800456}]"#,
            r#""readerCounts":{"long-poll":1,"ndjson":0,"sse":0,"websocket":0}"#,
            r#""readers":[{"technique":"long-poll","offset":"0000000000000009","lagBytes":0,"seconds":1.5}]"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(
            document::read::<StreamDetails>(text.as_bytes()).unwrap(),
            details
        );
        assert_eq!(
            serde_json::from_str::<StreamDetails>(&text).unwrap(),
            details
        );
    }

    #[test]
    fn an_offset_that_no_server_issues_is_refused() {
        let list = r#"{"streams":[{"name":"a","contentType":"b/c","earliestOffset":"0&0","nextOffset":"1","closed":false,"readers":0}]}"#;
        let fault = document::read::<StreamList>(list.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("earliestOffset: ") && fault.contains("is not an offset"),
            "{fault}"
        );
    }
}
