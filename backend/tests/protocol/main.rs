//! The server over HTTP, as far as the conformance suite does not test it. One module per subject;
//! see `local_server.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod actix_flush;
mod bodies;
mod both_ways;
mod caching;
mod codings;
mod concurrent_clients;
mod disconnecting;
mod exporting;
mod forks;
#[path = "../in_process/mod.rs"]
mod in_process;
mod inspecting;
mod json;
mod last_event;
mod lifetimes;
mod limits;
mod live;
mod local_server;
mod long_poll;
mod mounted;
mod nesting;
mod paging;
mod producers;
mod refusals;
mod restarting;
mod retention;
mod reused_names;
mod security;
mod stopping;
mod streaming;
mod subscription_lists;
mod subscriptions;
mod takeover;
mod values;
mod webhook_receiver;
mod webhooks;
mod websocket;
