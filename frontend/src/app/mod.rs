//! The dashboard as a whole: where one is, language, theme, keys, and the page that is shown.

#[cfg(target_arch = "wasm32")]
mod keys;
pub mod place;
#[cfg(target_arch = "wasm32")]
pub mod shell;

#[cfg(target_arch = "wasm32")]
pub use shell::{Page, Shell, Step, mount};
