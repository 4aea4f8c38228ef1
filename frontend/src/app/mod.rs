//! The frame around all pages: the table of pages, the current page, language, theme, keys.
//!
//! It uses a page only through its row in the table (`pages.rs`).

pub mod address;
#[cfg(target_arch = "wasm32")]
pub mod help;
#[cfg(target_arch = "wasm32")]
mod keys;
#[cfg(target_arch = "wasm32")]
pub mod nav;
#[cfg(target_arch = "wasm32")]
mod not_found;
#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(target_arch = "wasm32")]
mod pages;
pub mod preferences;
pub mod query;
#[cfg(target_arch = "wasm32")]
pub mod shell;
pub mod text;

#[cfg(target_arch = "wasm32")]
pub use shell::{HistoryChange, Shell, mount};
