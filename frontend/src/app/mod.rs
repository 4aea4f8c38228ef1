//! The frame around all pages: the table of pages, where one is, language, theme, keys.
//!
//! It knows a page by its row in the table (`pages.rs`) and nothing of its inside.

pub mod address;
#[cfg(target_arch = "wasm32")]
mod keys;
pub mod language;
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
pub mod theme;

#[cfg(target_arch = "wasm32")]
pub use shell::{HistoryChange, Shell, mount};
