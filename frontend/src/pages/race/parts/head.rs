//! The head of the page: its name, the state of the connection, and the tools.

use leptos::prelude::*;
use tailwater_client::duration_ms;

use crate::app::nav::{Choices, Nav};
use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::headline::Headline;
use crate::pages::race::parts::exports::Exports;
use crate::reactive;
use crate::widgets::connection::ConnectionMark;

/// Least interval between two announcements of the status, ms.
const ANNOUNCE_EVERY_MS: f64 = 5_000.0;

/// The head.
#[component]
pub fn RaceHead() -> impl IntoView {
    view! {
        <header class="head">
            <Nav />
            <RaceStatus />
            <div class="tools">
                <Playback />
                <Exports />
                <Choices />
            </div>
        </header>
    }
}

/// The state of the connection: shown at once, announced to screen readers at most every five seconds.
#[component]
fn RaceStatus() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let connection = Signal::derive(move || page.summary.with(|summary| summary.connection));
    // An announcement is made if the state, the kind of headline or the groups change, not for every figure.
    let topic = reactive::memo(move || {
        page.summary
            .with(|summary| format!("{} {}", summary.connection.name(), summary.headline.topic()))
    });
    let announcement = RwSignal::new(String::new());
    let announced_ms = RwSignal::new(f64::NEG_INFINITY);
    reactive::effect(move || {
        // `get` instead of `track`: a memo that was never read does not notify.
        topic.get();
        let text = page.text();
        let wait_ms =
            (announced_ms.get_untracked() + ANNOUNCE_EVERY_MS - browser::now_ms()).max(0.0);
        let announce = move || {
            announced_ms.set(browser::now_ms());
            let summary = page.summary.get_untracked();
            let headline = match summary.headline {
                Headline::Connecting => String::new(),
                headline => (text.headline)(&headline),
            };
            let state = if page.only_saved.get_untracked() {
                text.saved
            } else {
                (page.shell.text().connection)(summary.connection)
            };
            announcement.set((text.announced)(state, &headline));
        };
        let timer = set_timeout_with_handle(announce, duration_ms(wait_ms));
        on_cleanup(move || {
            if let Ok(timer) = timer {
                timer.clear();
            }
        });
    });
    view! {
        <ConnectionMark connection label=Signal::derive(move || (page.shell.text().connection)(connection.get())) />
        <p class="visually-hidden" role="status" data-testid="status" data-state=move || connection.get().name()>
            {move || announcement.get()}
        </p>
    }
}

/// The buttons for pause and steps.
#[component]
fn Playback() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let label = move || {
        if page.paused.get() {
            page.text().resume
        } else {
            page.text().pause
        }
    };
    view! {
        <div class="group">
            <button
                class="tool wide"
                data-testid="pause"
                aria-pressed=move || page.paused.get().to_string()
                title="Space"
                on:click=move |_| page.controller().toggle_pause()
            >
                <Icon path=Signal::derive(move || if page.paused.get() { PLAY } else { PAUSE }) />
                {move || label()}
            </button>
            <button class="tool" aria-label=page.localized(|text| text.step_back) title="Shift S" on:click=move |_| page.controller().step(false)>
                <Icon path=Signal::stored(BACK) />
            </button>
            <button class="tool" data-testid="step" aria-label=page.localized(|text| text.step) title="S" on:click=move |_| page.controller().step(true)>
                <Icon path=Signal::stored(FORWARD) />
            </button>
        </div>
    }
}

const PAUSE: &str = "M4 2h3v12H4zM9 2h3v12H9z";
const PLAY: &str = "M4 2l9 6-9 6z";
const BACK: &str = "M3 2h2v12H3zM13 2v12L6 8z";
const FORWARD: &str = "M11 2h2v12h-2zM3 2l7 6-7 6z";

#[component]
fn Icon(#[prop(into)] path: Signal<&'static str>) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" focusable="false">
            <path d=path />
        </svg>
    }
}
