//! Components that several pages use; none depends on a page.

#[cfg(target_arch = "wasm32")]
pub mod badge;
pub mod canvas;
#[cfg(target_arch = "wasm32")]
pub mod command;
pub mod connection;
#[cfg(target_arch = "wasm32")]
pub mod field;
#[cfg(target_arch = "wasm32")]
pub mod table;
#[cfg(target_arch = "wasm32")]
pub mod views;
