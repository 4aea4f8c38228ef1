//! Streams and their logs over whole lives: slow stores, failing commits, forks, ends, names that are used again.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of a test may fail it"
)]

mod appends_under_way;
mod delaying_store;
mod forks_model;
mod lifetimes;
mod reused_names;
mod slow_store;
