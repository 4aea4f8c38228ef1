//! The Race page: one stream followed by every technique side by side, drawn and measured.

#[cfg(target_arch = "wasm32")]
pub mod context;
#[cfg(target_arch = "wasm32")]
pub mod controller;
#[cfg(target_arch = "wasm32")]
pub mod frames;
#[cfg(target_arch = "wasm32")]
mod keys;
pub mod model;
pub mod parts;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod view;

#[cfg(target_arch = "wasm32")]
use {
    crate::app::page::{DashboardPage, StreamLink},
    leptos::prelude::*,
    model::settings::RaceSettings,
    text::RaceText,
};

/// Its row in the table of pages.
#[cfg(target_arch = "wasm32")]
pub const PAGE: DashboardPage = DashboardPage {
    name: "race",
    label: |language| RaceText::of(language).name,
    title: |language, _| RaceText::of(language).title.to_owned(),
    resumes: true,
    stream_link: Some(StreamLink {
        label: |language| RaceText::of(language).stream_link,
        query: |open, stream| {
            RaceSettings::from_query(open)
                .with_stream(stream)
                .to_query()
        },
    }),
    keys: &keys::KEYS,
    help_title: |language| RaceText::of(language).help_title,
    help: || view! { <parts::help::RaceHelp /> }.into_any(),
    view: || view! { <view::RacePage /> }.into_any(),
};
