//! Streams and their logs: slow stores, failing commits, forks, expiry, names that are used again.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod delaying_store;
mod forks_model;
mod lifetimes;
mod pending_appends;
mod reused_names;
mod slow_store;

use bytes::Bytes;
use tailwater_core::{ForkRequest, StreamName};

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

/// A fork at the tail of `source` that inherits all settings.
fn fork_of(source: &str) -> ForkRequest {
    ForkRequest {
        source: name(source),
        at: None,
        sub: 0,
        content_type: None,
        expiry: None,
        keep_bytes: None,
        keep_age: None,
        body: Bytes::new(),
        closed: false,
    }
}
