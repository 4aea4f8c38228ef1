//! The result in a link: the button that copies the link, the section about a saved result, and its medians in the cards.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use crate::browser;
use crate::language::Language;
use crate::numbers;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::saved_result::SavedResult;
use crate::pages::race::text::saved;
use crate::widgets::command::CopyButton;

/// The button that copies a link to the result that is shown.
#[component]
pub fn CopyResultLink() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let label = page.localized(|text| text.copy_link);
    let content = move |()| page.controller().result_link();
    let disabled = Signal::derive(move || page.summary.with(|summary| !summary.is_result()));
    view! { <CopyButton content label id="copy-result" disabled /> }
}

/// Where a saved result is from, with the time in the person's time zone.
pub fn origin_text(saved: &SavedResult, language: Language) -> String {
    let at = browser::moment(saved.at_ms as f64, language.name());
    saved::origin(saved, &at, language)
}

/// Where the saved result is from, with a button to measure or to remove it; or that the link has no result.
#[component]
pub fn SavedSection() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let action = move |_| {
        if page.only_saved.get_untracked() {
            page.measure();
        } else {
            page.shows_saved.set(false);
        }
        browser::refocus("page-name");
    };
    move || {
        let language = page.language.get();
        let text = page.text();
        if page.link_is_broken {
            let problem = view! { <p class="fault" role="alert" data-testid="link-error">{text.broken_link}</p> };
            return Some(problem.into_any());
        }
        page.with_saved(|saved| {
            // The style sheet hides what belongs to a race if there is none.
            let (class, label) = if page.only_saved.get() {
                ("saved-result alone", text.measure_here)
            } else {
                ("saved-result", text.remove_saved)
            };
            let section = view! {
                <section class=class data-testid="saved-result">
                    <p>{origin_text(saved, language)}</p>
                    <button class="primary" data-testid="saved-action" on:click=action>{label}</button>
                </section>
            };
            Some(section.into_any())
        })
    }
}

/// The median of the saved result, in a card of the race beside which it is shown.
#[component]
pub fn SavedMedian(
    /// The lane.
    technique: Technique,
) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let median = move || {
        page.with_saved(|saved| {
            let p50_ms = saved.summary.lanes[technique.index()].p50_ms;
            p50_ms.filter(|_| !page.only_saved.get())
        })
    };
    move || {
        median().map(|p50_ms| {
            let language = page.language.get();
            view! {
                <div class="saved-median">
                    <dt>{page.text().saved}</dt>
                    <dd data-testid="saved-p50">{numbers::in_ms(p50_ms, language)}</dd>
                </div>
            }
            .into_any()
        })
    }
}
