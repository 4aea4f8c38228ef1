//! Tailwater: append-only streams over HTTP, followed by polling, long-polling, streaming or
//! WebSocket.
//!
//! An append: `api/append.rs` reads the request, the log of `tailwater_core` accepts and orders it,
//! the store persists it, and the tail moves. A read: `api/read.rs` decides, `live/` waits and reads
//! the log, `http/` or `takeover/` send the bytes.

pub mod api;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod http;
#[cfg(feature = "lab")]
pub mod lab;
#[cfg(not(feature = "lab"))]
#[path = "lab/absent.rs"]
pub mod lab;
pub mod live;
pub mod mount;
pub mod server;
pub mod subscriptions;
pub mod takeover;
