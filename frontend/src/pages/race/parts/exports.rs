//! The buttons that export the result: as a file, as a picture, and as a link.

use leptos::prelude::*;

use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::export::{self, Provenance};
use crate::pages::race::model::export_har;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::model::summary::Summary;
use crate::pages::race::parts::saved::{self, CopyResultLink};
use crate::pages::race::text::RaceText;
use crate::widgets::views::CollectAny;

/// Writes a file about a race.
type WriteExport = fn(&RaceState, &Summary, &Provenance) -> String;

/// A kind of file.
struct ExportFile {
    /// The button's id for tests.
    id: &'static str,
    label: fn(&RaceText) -> &'static str,
    /// The end of the file's name.
    ending: &'static str,
    media_type: &'static str,
    /// Writes the file; `None` for the picture, which shows what is drawn, also without a race.
    write: Option<WriteExport>,
}

const FILES: [ExportFile; 5] = [
    ExportFile {
        id: "export-json",
        label: |text| text.export_json,
        ending: ".json",
        media_type: "application/json",
        write: Some(export::json),
    },
    ExportFile {
        id: "export-csv",
        label: |text| text.export_csv,
        ending: ".csv",
        media_type: "text/csv",
        write: Some(export::csv),
    },
    ExportFile {
        id: "export-samples",
        label: |text| text.export_samples,
        ending: "-samples.csv",
        media_type: "text/csv",
        write: Some(|race, _, provenance| export::samples_csv(race, provenance)),
    },
    ExportFile {
        id: "export-har",
        label: |_| "HAR",
        ending: ".har",
        media_type: "application/json",
        write: Some(|race, _, provenance| {
            export_har::har(race, provenance, &browser::origin(), iso_time)
        }),
    },
    ExportFile {
        id: "export-png",
        label: |_| "PNG",
        ending: ".png",
        media_type: "image/png",
        write: None,
    },
];

/// The buttons that export the result.
#[component]
pub fn Exports() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let buttons = FILES.into_iter().map(|file| {
        let is_missing = move || file.write.is_some() && page.only_saved.get();
        let hint = Signal::derive(move || {
            if is_missing() {
                page.text().not_in_link
            } else {
                page.text().export
            }
        });
        view! {
            <button
                class="tool wide"
                data-testid=file.id
                title=hint
                disabled=is_missing
                on:click=move |_| save(page, &file)
            >
                {page.localized(file.label)}
            </button>
        }
    });
    view! {
        <div class="group" role="group" aria-label=page.localized(|text| text.export)>
            {buttons.collect_any()}
            <CopyResultLink />
        </div>
    }
}

fn save(page: RaceContext, file: &ExportFile) {
    let stream = page
        .summary
        .with_untracked(|summary| summary.stream.replace('/', "-"));
    let name = format!("tailwater-{stream}{}", file.ending);
    match file.write {
        Some(write) => {
            let content = page.controller().export(write);
            browser::download(&name, file.media_type, &content).ok();
        }
        None => save_picture(page, name),
    }
}

/// Downloads the charts as one picture; without a race only the distribution.
fn save_picture(page: RaceContext, name: String) {
    let controller = page.controller();
    let text = RaceText::of(page.language.get_untracked());
    let time_charts = [Some(text.sequence), Some(text.waterfall)];
    let (heading, [sequence, waterfall]) = match controller.shown_saved() {
        (Some(result), true) => {
            let origin = saved::origin_text(result, page.language.get_untracked());
            (origin, [None; 2])
        }
        _ => {
            let heading = controller.export(picture_heading);
            let at = controller.with_shown(browser::now_ms(), |_, at_ms| iso_time(at_ms));
            (format!("{heading}\n{at}"), time_charts)
        }
    };
    if let Some(canvases) = page.canvas().borrow().as_ref() {
        let titles = [sequence, waterfall, Some(text.distribution)];
        canvases.download(name, &heading, titles);
    }
}

/// The server's version, the stream, the address and the seed.
fn picture_heading(_: &RaceState, summary: &Summary, provenance: &Provenance) -> String {
    let Provenance {
        server_version,
        url,
        seed,
        ..
    } = provenance;
    let stream = &summary.stream;
    format!("Tailwater {server_version}: {stream}\n{url}\nseed {seed}")
}

/// A time on the page's clock in ISO 8601.
fn iso_time(at_ms: f64) -> String {
    browser::iso_moment(browser::performance().time_origin() + at_ms)
}
