//! The lab with a real server on loopback: its counts are compared with the bytes on a client's
//! socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
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
