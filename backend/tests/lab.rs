//! The lab against a real server on loopback: counts are compared with what passed a client's own socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what failed by panicking"
)]

#[path = "lab/endpoints.rs"]
mod endpoints;
#[path = "lab/heads.rs"]
mod heads;
#[path = "in_process/mod.rs"]
mod in_process;
#[path = "lab/raw.rs"]
mod raw;
#[path = "lab/relay.rs"]
mod relay;
