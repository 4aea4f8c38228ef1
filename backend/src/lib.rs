//! Tailwater: append-only streams over HTTP, followed by polling, long-polling, streaming or WebSocket.
//!
//! The way of an append: `api/append.rs` decides, `log/` orders, `store/` keeps, the tail moves. The way of a read:
//! `api/read.rs` decides, `live/` waits and reads `log/`, the bytes leave by `http/` or `takeover/`.

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
