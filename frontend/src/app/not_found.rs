//! The page for unknown addresses: shows the requested path and links to all pages.

use leptos::prelude::*;

use super::Shell;
use super::page::DashboardPage;
use super::text::SharedText;
use crate::app::help::Help;
use crate::app::nav::{Choices, Nav, PageLink};
use crate::browser;
use crate::widgets::views::CollectAny;

/// The page for unknown addresses, which is not in the table of pages.
pub(super) static NOT_FOUND: DashboardPage = DashboardPage {
    name: "",
    label: |language| SharedText::of(language).not_found,
    title: |language, _| SharedText::of(language).not_found_title.to_owned(),
    resumes: false,
    stream_link: None,
    keys: &[],
    help_title: |language| SharedText::of(language).not_found,
    help: || {
        view! { <p>{expect_context::<Shell>().localized(|text| text.not_found_hint)}</p> }
            .into_any()
    },
    view: || view! { <NotFoundPage /> }.into_any(),
};

/// Whether the dashboard is at this path.
pub(super) fn is_known(path: &str) -> bool {
    matches!(path, "/" | "/index.html")
}

#[component]
fn NotFoundPage() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let links = shell.pages().iter();
    view! {
        <header class="head">
            <Nav />
            <div class="tools"><Choices /></div>
        </header>
        <main class="not-found" data-testid="not-found">
            <h2>{shell.localized(|text| text.not_found)}</h2>
            <p><code>{browser::path()}</code></p>
            <p>{shell.localized(|text| text.not_found_hint)}</p>
            <ul>{links.map(|page| view! { <li><PageLink page /></li> }).collect_any()}</ul>
        </main>
        <Help />
    }
}
