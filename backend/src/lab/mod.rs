//! The lab: sources that write known events, relays that count bytes and add delay, and their
//! common clock.

pub mod races;
pub mod relay;
pub mod source;

use races::{RaceLimits, Races};
use source::{SourceLimits, SourceTable};
use std::net::SocketAddr;
use std::sync::Arc;
use tailwater_core::Streams;
use tailwater_core::clock::Clock;
use tokio::runtime::Handle;

/// A field of a request is out of range (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is `{received}`, expected {allowed}")]
pub struct WrongField {
    /// The field's name.
    pub field: &'static str,
    /// The allowed range.
    pub allowed: String,
    /// The value received.
    pub received: String,
}

/// The lab of one server.
#[derive(Debug)]
pub struct Lab {
    /// The sources.
    pub sources: SourceTable,
    /// The races.
    pub races: Races,
}

impl Lab {
    /// A lab for the server at `address`, whose sources write to `streams`.
    ///
    /// - `runtime`: must run as long as the server, so it can't be the runtime of a worker.
    pub fn new(streams: Arc<Streams>, clock: Clock, address: SocketAddr, runtime: &Handle) -> Self {
        Self {
            sources: SourceTable::new(streams, clock, runtime.clone(), SourceLimits::default()),
            races: Races::new(address, clock, runtime.clone(), RaceLimits::default()),
        }
    }

    /// Ends all sources and races.
    pub async fn close(&self) {
        self.sources.stop_all().await;
        self.races.end_all();
    }
}
