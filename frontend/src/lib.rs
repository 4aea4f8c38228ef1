//! The dashboard: pages about the streams of a server. The first one compares the techniques.
//!
//! A native build has only what needs no browser: models, texts, requests as data, and the layouts of drawings.

#![cfg_attr(
    target_arch = "wasm32",
    allow(unreachable_pub, reason = "Leptos' #[component] emits `pub`")
)]

pub mod api;
pub mod app;
#[cfg(target_arch = "wasm32")]
pub mod browser;
pub mod lanes;
pub mod language;
pub mod numbers;
pub mod pages;
#[cfg(target_arch = "wasm32")]
pub mod reactive;
pub mod techniques;
pub mod theme;
pub mod widgets;
