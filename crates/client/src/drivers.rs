//! Drivers that connect the [`reader`](crate::reader) to a network: the only modules of this crate that do I/O.
//!
//! Both have the same interface: [`FollowOptions`](crate::reader::FollowOptions), `follow(stream_url, options, on_report)`
//! and a `Follower`, which controls the reader and stops it when dropped.

#[cfg(all(feature = "browser", target_arch = "wasm32"))]
pub mod browser;
#[cfg(any(feature = "native", all(feature = "browser", target_arch = "wasm32")))]
mod drive;
#[cfg(all(feature = "native", not(target_arch = "wasm32")))]
pub mod native;
