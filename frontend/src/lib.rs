//! The dashboard: pages on the streams of a server, of which the first shows the techniques side by side.
//!
//! Natively only what needs no browser is built: models, texts, requests as data, and the layouts of drawings.

#![cfg_attr(
    target_arch = "wasm32",
    allow(unreachable_pub, reason = "Leptos' #[component] emits `pub`")
)]

pub mod api;
pub mod app;
#[cfg(target_arch = "wasm32")]
pub mod browser;
pub mod lanes;
pub mod numbers;
pub mod pages;
pub mod techniques;
pub mod widgets;
