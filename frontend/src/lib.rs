//! The dashboard: the techniques side by side on one stream, drawn and measured.
//!
//! Natively only what needs no browser is built: [`model`], [`text`], [`techniques`] and the layouts of [`parts`].

#![cfg_attr(
    target_arch = "wasm32",
    allow(unreachable_pub, reason = "Leptos' #[component] emits `pub`")
)]

pub mod model;
pub mod parts;
pub mod techniques;
pub mod text;

#[cfg(target_arch = "wasm32")]
pub mod app;
#[cfg(target_arch = "wasm32")]
pub mod ask;
#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(target_arch = "wasm32")]
pub mod desk;
#[cfg(target_arch = "wasm32")]
pub mod feed;
#[cfg(target_arch = "wasm32")]
pub mod frames;
#[cfg(target_arch = "wasm32")]
pub mod pages;
