//! The Streams page: the list of streams, what is known of one, and what can be done with it.

#[cfg(target_arch = "wasm32")]
pub mod controller;
pub mod model;
#[cfg(target_arch = "wasm32")]
pub mod parts;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod view;
