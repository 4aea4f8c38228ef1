//! Thin drivers that join the [`reader`](crate::reader) to a network: the only place of this crate that does I/O.
//!
//! Both offer the same: [`FollowOptions`](crate::reader::FollowOptions), `follow(stream_url, options, on_report)` and a
//! `Follower` that takes requests and ends everything when dropped.

#[cfg(all(feature = "browser", target_arch = "wasm32"))]
pub mod browser;
#[cfg(any(feature = "native", all(feature = "browser", target_arch = "wasm32")))]
mod drive;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
pub mod native;
