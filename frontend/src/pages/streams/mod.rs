//! The Streams page: the list of streams, the details of one, and the actions on it.

#[cfg(target_arch = "wasm32")]
pub mod context;
#[cfg(target_arch = "wasm32")]
pub mod controller;
#[cfg(target_arch = "wasm32")]
mod keys;
pub mod model;
#[cfg(target_arch = "wasm32")]
pub mod parts;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod view;

#[cfg(target_arch = "wasm32")]
use {
    crate::app::page::DashboardPage, leptos::prelude::*, model::address::StreamsAddress,
    text::StreamsText,
};

/// Its row in the table of pages.
#[cfg(target_arch = "wasm32")]
pub const PAGE: DashboardPage = DashboardPage {
    name: "streams",
    label: |language| StreamsText::of(language).name,
    title: |language, query| {
        StreamsAddress::from_query(query).title(StreamsText::of(language).title)
    },
    resumes: false,
    stream_link: None,
    keys: &keys::KEYS,
    help_title: |language| StreamsText::of(language).help_title,
    help: || view! { <parts::help::StreamsHelp /> }.into_any(),
    view: || view! { <view::StreamsPage /> }.into_any(),
};
