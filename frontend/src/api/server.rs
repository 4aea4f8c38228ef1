//! The state of the server: version, uptime, memory and storage.

use tailwater_protocol::document;
use tailwater_protocol::inspect::ServerDetails;

use crate::numbers::whole_seconds;

/// The fields of the response to `GET /v1/server` that the page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The server's version.
    pub version: String,
    /// Whole seconds since it started.
    pub uptime_seconds: u64,
    /// Resident memory of its process.
    pub resident_bytes: Option<u64>,
    /// Number of bytes stored.
    pub stored_bytes: Option<u64>,
    /// The most bytes that may be stored, if they are stored in memory.
    pub limit_bytes: Option<u64>,
    /// Number of free bytes on the disk.
    pub free_bytes: Option<u64>,
    /// Whether appends are refused, because no more bytes are free than are reserved.
    pub is_full: bool,
}

impl ServerFacts {
    /// Parses the response; `None` if a required field is missing.
    pub fn parse(json: &str) -> Option<Self> {
        let ServerDetails {
            version,
            uptime_seconds,
            resident_bytes,
            store,
            ..
        } = document::read(json.as_bytes()).ok()?;
        Some(Self {
            version,
            uptime_seconds: whole_seconds(uptime_seconds),
            resident_bytes,
            stored_bytes: store.stored_bytes,
            limit_bytes: store.limit_bytes,
            free_bytes: store.free_bytes,
            is_full: store
                .free_bytes
                .is_some_and(|free| Some(free) <= store.reserved_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_protocol::inspect::StoreDetails;

    #[test]
    fn details_of_the_server_are_parsed() {
        let mut details = ServerDetails {
            version: "1.2.3".to_owned(),
            uptime_seconds: 7.9,
            resident_bytes: Some(1_000),
            store: StoreDetails {
                kind: "disk".to_owned(),
                stored_bytes: Some(5),
                limit_bytes: None,
                free_bytes: Some(11),
                reserved_bytes: Some(10),
            },
            stream_count: 1,
            live_readers: 0,
            connections: None,
        };
        let parsed = |details: &ServerDetails| {
            ServerFacts::parse(&serde_json::to_string(details).unwrap()).unwrap()
        };
        let facts = parsed(&details);
        assert_eq!((&*facts.version, facts.uptime_seconds), ("1.2.3", 7));
        assert_eq!((facts.stored_bytes, facts.limit_bytes), (Some(5), None));
        assert!(!facts.is_full);
        details.store.free_bytes = Some(10);
        assert!(parsed(&details).is_full);
        details.store.free_bytes = None;
        assert!(!parsed(&details).is_full);
        assert_eq!(ServerFacts::parse("[]"), None);
    }
}
