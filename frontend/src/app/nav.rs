//! The common parts of the head of all pages: the name, the links to pages, language, theme, help.

use leptos::prelude::*;

use crate::app::page::DashboardPage;
use crate::app::preferences::Preferences;
use crate::app::{HistoryChange, Shell};
use crate::browser;
use crate::language::Language;
use crate::theme::Theme;
use crate::widgets::views::CollectAny;

/// The name, and a link to each page.
#[component]
pub fn Nav() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let here = move || (shell.page().label)(shell.language.get());
    let links = shell.pages().iter().map(|page| view! { <PageLink page /> });
    view! {
        <h1 class="brand" id="page-name" tabindex="-1">"Tailwater " <span class="visually-hidden">{move || here()}</span></h1>
        <nav class="nav" aria-label=shell.localized(|text| text.pages)>{links.collect_any()}</nav>
    }
}

/// The link that skips to the element `to`. It leaves the fragment of the address alone, which can hold a result.
#[component]
pub fn SkipLink(
    /// The element's id.
    to: &'static str,
    /// Its label.
    label: Signal<&'static str>,
) -> impl IntoView {
    let skip = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        browser::focus(to);
    };
    view! { <a class="skip" href=format!("#{to}") on:click=skip>{label}</a> }
}

/// A link to a page.
#[component]
pub fn PageLink(
    /// The target of the link.
    page: &'static DashboardPage,
) -> impl IntoView {
    let shell = expect_context::<Shell>();
    let is_current = move || shell.page() == page;
    let there = move || shell.reopened(page);
    view! {
        <a
            href=move || shell.href(page.name, &there())
            data-testid=format!("nav-{}", page.name)
            aria-current=move || is_current().then_some("page")
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    // A link to the current page does not close what is open.
                    if !untrack(is_current) {
                        shell.go(page.name, untrack(there), HistoryChange::Push);
                    }
                }
            }
        >
            {move || (page.label)(shell.language.get())}
        </a>
    }
}

/// Whether a click opens the link in the same tab.
pub fn is_plain(event: &web_sys::MouseEvent) -> bool {
    event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key())
}

/// Language, theme and help.
#[component]
pub fn Choices() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let languages = Language::ALL.map(|language| {
        let is_chosen = move || shell.language.get() == language;
        view! {
            <option value=language.name() lang=language.name() selected=is_chosen>{language.own_name()}</option>
        }
    });
    let themes = Theme::ALL.map(|one| {
        view! {
            <option value=one.name() selected=move || shell.theme.get() == one>
                {move || (shell.text().theme_name)(one)}
            </option>
        }
    });
    view! {
        <div class="group">
            <select
                data-testid="language"
                aria-label=shell.localized(|text| text.language)
                prop:value=move || shell.language.get().name()
                on:change=move |event| {
                    let language = Language::from_name(&event_target_value(&event));
                    shell.choose(Preferences { language, theme: None });
                }
            >
                {languages.collect_any()}
            </select>
            <select
                data-testid="theme"
                aria-label=shell.localized(|text| text.theme)
                prop:value=move || shell.theme.get().name()
                on:change=move |event| {
                    let theme = Theme::from_name(&event_target_value(&event));
                    shell.choose(Preferences { theme, language: None });
                }
            >
                {themes.collect_any()}
            </select>
            <button
                class="tool"
                data-testid="help"
                aria-label=shell.localized(|text| text.help)
                title="?"
                on:click=move |_| shell.help_is_open.set(true)
            >
                "?"
            </button>
        </div>
    }
}
