//! What the server says of itself.

use serde_json::Value;

use crate::numbers::whole_seconds;

/// What `GET /v1/server` says, as far as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The server's version.
    pub version: String,
    /// Whole seconds since it started.
    pub uptime_seconds: u64,
    /// Memory of its process.
    pub resident_bytes: Option<u64>,
    /// Bytes that are stored.
    pub stored_bytes: Option<u64>,
    /// Bytes that may be stored, in memory.
    pub limit_bytes: Option<u64>,
    /// Bytes that are free on the disk.
    pub free_bytes: Option<u64>,
    /// Whether nothing can be appended, as no more is free than has to stay free.
    pub is_full: bool,
}

impl ServerFacts {
    /// Reads them by name, which takes less code than the derived reader of `ServerDetails`; `None` for anything else.
    pub fn parse(json: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(json).ok()?;
        let store = &said["store"];
        let number = |name: &str| store[name].as_u64();
        Some(Self {
            version: said["version"].as_str()?.to_owned(),
            uptime_seconds: whole_seconds(said["uptimeSeconds"].as_f64()?),
            resident_bytes: said["residentBytes"].as_u64(),
            stored_bytes: number("storedBytes"),
            limit_bytes: number("limitBytes"),
            free_bytes: number("freeBytes"),
            is_full: number("freeBytes").is_some_and(|free| Some(free) <= number("reservedBytes")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_protocol::inspect::{ServerDetails, StoreDetails};

    #[test]
    fn what_a_server_says_is_read() {
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
        let read = |details: &ServerDetails| {
            ServerFacts::parse(&serde_json::to_string(details).unwrap()).unwrap()
        };
        let facts = read(&details);
        assert_eq!((&*facts.version, facts.uptime_seconds), ("1.2.3", 7));
        assert_eq!((facts.stored_bytes, facts.limit_bytes), (Some(5), None));
        assert!(!facts.is_full);
        details.store.free_bytes = Some(10);
        assert!(read(&details).is_full);
        details.store.free_bytes = None;
        assert!(!read(&details).is_full);
        assert_eq!(ServerFacts::parse("[]"), None);
    }
}
