//! Tailwater: append-only streams over HTTP, followed by polling, long-polling, streaming or WebSocket.
//!
//! The way of an append: `http/append.rs` parses, `log/` orders, `store/` keeps, the tail moves. The way of a read:
//! `http/read.rs` parses, one of `techniques/` waits and reads `log/`, the bytes leave.

pub mod cli;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod dialect;
pub mod handoff;
pub mod http;
pub mod lab;
pub mod log;
pub mod offload;
pub mod server;
pub mod store;
pub mod subscriptions;
pub mod techniques;
