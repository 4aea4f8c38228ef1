//! The Race page: one stream followed by every technique side by side, drawn and measured.

#[cfg(target_arch = "wasm32")]
pub mod controller;
#[cfg(target_arch = "wasm32")]
pub mod frames;
pub mod model;
pub mod parts;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod view;
