//! The lab: sources that write known events, relays that count bytes and add transit, and the clock that both go by.

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

/// A value of a request that is outside what is allowed (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {allowed}, but `{received}` came")]
pub struct WrongField {
    /// Which field.
    pub field: &'static str,
    /// What is allowed.
    pub allowed: String,
    /// What came.
    pub received: String,
}

/// All that the lab of one server owns.
#[derive(Debug)]
pub struct Lab {
    /// What writes events.
    pub sources: SourceTable,
    /// What counts bytes.
    pub races: Races,
}

impl Lab {
    /// A lab in front of the server at `address`, writing to its `streams`.
    ///
    /// - `runtime`: must live as long as the server; not a worker's own.
    pub fn new(streams: Arc<Streams>, clock: Clock, address: SocketAddr, runtime: &Handle) -> Self {
        Self {
            sources: SourceTable::new(streams, clock, runtime.clone(), SourceLimits::default()),
            races: Races::new(address, clock, runtime.clone(), RaceLimits::default()),
        }
    }

    /// Ends all sources and races.
    pub async fn close(&self) {
        self.sources.dismiss_all().await;
        self.races.end_all();
    }
}
