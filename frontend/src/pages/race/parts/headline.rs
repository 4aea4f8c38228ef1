//! The headline, the notes that explain its figures, and the notices that are shown while there is nothing to draw.

use leptos::prelude::*;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::percent::encode_path;

use crate::browser;
use crate::lanes::ReaderPlace;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::headline::Headline;
use crate::pages::race::model::lane_summary::Measure;
use crate::pages::race::model::summary::LanePath;
use crate::reactive;
use crate::widgets::command::CommandLine;
use crate::widgets::connection::ServerConnection;
use crate::widgets::views::CollectAny;

/// The headline and the notes under it.
#[component]
pub fn HeadlineSection() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <section class="verdict" aria-labelledby="verdict">
            <p class="sentence" id="verdict" data-testid="verdict">{move || page.summary.with(|summary| (page.text().headline)(&summary.headline))}</p>
            <p class="cost">{move || page.summary.with(|summary| summary.cost.as_ref().map(page.text().cost)).unwrap_or_default()}</p>
            <MeasurementNotes />
        </section>
    }
}

/// The limits of the figures: clocks, duration, byte counts, times while hidden, missing stamps.
#[component]
fn MeasurementNotes() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let notes = move || {
        let text = page.text();
        page.summary.with(|summary| {
            let mut notes: Vec<(String, bool)> = Vec::new();
            match summary.clock {
                Some(clock) => notes.push(((text.clock)(clock.bound_ms, clock.probes), false)),
                None => notes.push((text.clock_unknown.to_owned(), false)),
            }
            if summary.lanes.iter().any(|lane| lane.samples > 0) {
                notes.push(((text.measured_for)(summary.run_s), false));
            }
            let in_page = summary.readers == ReaderPlace::Page;
            notes.push(((text.readers)(summary.readers).to_owned(), in_page));
            match summary.path {
                LanePath::Unknown => {}
                LanePath::Relay => notes.push((text.relay_counts.to_owned(), false)),
                LanePath::NoneFree => notes.push((text.none_free.to_owned(), true)),
                LanePath::LabOff => notes.push((text.lab_off.to_owned(), true)),
                LanePath::PortsShut => notes.push((text.ports_shut.to_owned(), true)),
            }
            if summary
                .lanes
                .iter()
                .any(|lane| lane.measure == Measure::BehindFirst)
            {
                notes.push((text.behind_first.to_owned(), true));
            }
            if summary.is_periodic {
                notes.push((text.periodic.to_owned(), false));
            }
            if summary.skipped_bytes > 0 {
                notes.push(((text.from_tail)(summary.skipped_bytes), false));
            }
            if summary.hidden_samples() > 0 {
                notes.push(((text.hidden)(summary.hidden_samples()), true));
            }
            if summary.connection == ServerConnection::Paused {
                notes.push((text.paused_note.to_owned(), true));
            }
            notes
        })
    };
    view! {
        <ul class="notes">
            {move || {
                notes()
                    .into_iter()
                    .map(|(words, matters)| view! { <li class:matters=matters>{words}</li> })
                    .collect_any()
            }}
        </ul>
    }
}

/// The notice to show instead of the drawings.
#[derive(Clone, PartialEq)]
enum NoticeKind {
    Waiting,
    Missing,
    NoSource,
    Gone,
    Failed(String),
}

/// Explains why there is nothing to draw, and what to do.
#[component]
pub fn Notice() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let kind = reactive::memo(move || {
        page.summary.with(|summary| match &summary.headline {
            Headline::Waiting { .. } | Headline::Unfinished { .. } => {
                Some((NoticeKind::Waiting, summary.stream.clone()))
            }
            Headline::Missing(stream) => Some((NoticeKind::Missing, stream.clone())),
            Headline::NoSource => Some((NoticeKind::NoSource, "logs/demo".to_owned())),
            Headline::Unreachable => Some((NoticeKind::Gone, summary.stream.clone())),
            Headline::Failed(why) => {
                Some((NoticeKind::Failed(why.clone()), summary.stream.clone()))
            }
            _ => None,
        })
    });
    // Whether the button of the notice was pressed; the button is removed with the notice.
    let acted = RwSignal::new(false);
    reactive::effect(move || {
        kind.get();
        if acted.get_untracked() {
            acted.set(false);
            browser::refocus("stage");
        }
    });
    view! { {move || kind.get().map(|(kind, stream)| view! { <NoticeBox kind stream acted /> }.into_any())} }
}

#[component]
fn NoticeBox(kind: NoticeKind, stream: String, acted: RwSignal<bool>) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let url = format!("{}/v1/stream/{}", browser::origin(), encode_path(&stream));
    let create = format!("curl -X PUT -H 'content-type: application/json' {url}");
    let content_type = page
        .summary
        .with_untracked(|summary| summary.content_type.clone());
    let append = append_line(&url, &content_type);
    let problem = RwSignal::new(String::new());
    let on_create = move |_| {
        let controller = page.controller();
        wasm_bindgen_futures::spawn_local(async move {
            match controller.create().await {
                Ok(()) => acted.set(true),
                Err(why) => problem.set(why),
            }
        });
    };
    // If there are drawings, the notice is positioned over them and does not move them.
    let is_over = matches!(kind, NoticeKind::Waiting | NoticeKind::Gone);
    let body = match kind {
        NoticeKind::Waiting => view! {
            <h2>{page.localized(|text| text.waiting_title)}</h2>
            <p>{move || (page.text().waiting)(&stream)}</p>
            <CommandLine line=append />
        }
        .into_any(),
        NoticeKind::Missing => view! {
            <h2>{page.localized(|text| text.missing_title)}</h2>
            <p>{move || (page.text().missing)(&stream)}</p>
            <button class="primary" data-testid="create" on:click=on_create>{page.localized(|text| text.create)}</button>
            <p class="fault">{move || problem.get()}</p>
            <CommandLine line=create />
            <p>{page.localized(|text| text.or_append)}</p>
            <CommandLine line=append />
        }
        .into_any(),
        NoticeKind::NoSource => view! {
            <h2>{page.localized(|text| text.no_source_title)}</h2>
            <p>{page.localized(|text| text.no_source)}</p>
            <button class="primary" on:click=move |_| browser::focus("stream-name")>{page.localized(|text| text.stream_name)}</button>
            <CommandLine line=create />
            <p>{page.localized(|text| text.or_append)}</p>
            <CommandLine line=append />
        }
        .into_any(),
        NoticeKind::Gone => view! {
            <p>{page.localized(|text| text.gone)}</p>
            <CommandLine line="cargo xtask serve".to_owned() />
        }
        .into_any(),
        NoticeKind::Failed(why) => view! {
            <h2>{page.localized(|text| text.failed_title)}</h2>
            <p>{why}</p>
        }
        .into_any(),
    };
    view! { <section class="notice" class:over=is_over data-testid="notice">{body}</section> }
}

/// The curl command that appends a message: a line if the stream is text or binary, as their messages are counted by lines.
///
/// - `content_type`: of the stream; empty if it does not exist yet.
fn append_line(url: &str, content_type: &str) -> String {
    match ContentKind::of(content_type) {
        ContentKind::Text | ContentKind::Binary if !content_type.is_empty() => {
            format!("curl -H 'content-type: {content_type}' --data-binary $'hello\\n' {url}")
        }
        _ => {
            format!("curl -H 'content-type: application/json' -d '{{\"hello\":\"world\"}}' {url}")
        }
    }
}
