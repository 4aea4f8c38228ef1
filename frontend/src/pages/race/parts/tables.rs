//! The drawings as tables, for screen readers and for exact figures.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use crate::browser;
use crate::numbers;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::LaneSummary;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::text::RaceText;
use crate::techniques::look;
use crate::widgets::table::table;
use crate::widgets::views::CollectAny;

/// Requests of each lane that are listed.
const REQUESTS: usize = 4;

struct RequestRow {
    technique: Technique,
    ago_s: f64,
    status: u16,
    bytes: u64,
    lasted_ms: Option<f64>,
}

/// The last requests of each lane.
#[component]
pub fn RequestTable(
    /// The title of the drawing that the table replaces.
    of: fn(&RaceText) -> &'static str,
) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let rows = move || {
        page.summary.track();
        page.stepped_ms.track();
        page.controller()
            .with_shown(browser::now_ms(), request_rows)
    };
    let rows = move || {
        rows()
            .into_iter()
            .map(|request| {
                let cells = [
                    numbers::fixed(request.ago_s, 1),
                    if request.status == 0 {
                        "…".to_owned()
                    } else {
                        request.status.to_string()
                    },
                    numbers::count(request.bytes),
                    request
                        .lasted_ms
                        .map_or_else(|| page.text().still_open.to_owned(), numbers::ms),
                ];
                row(page, request.technique, false, cells.into())
            })
            .collect::<Vec<_>>()
    };
    let caption = page.localized(|text| text.open_requests);
    table(
        "request-table",
        page.localized(of),
        Some(caption),
        Callback::new(move |()| request_columns(page)),
        rows.into_any(),
    )
}

fn request_columns(page: RaceContext) -> Vec<&'static str> {
    let text = page.text();
    vec![
        page.shell.text().technique,
        text.since,
        text.response,
        text.body_column,
        text.lasted,
    ]
}

/// The row of a technique.
pub(super) fn row(
    page: RaceContext,
    technique: Technique,
    is_current: bool,
    cells: Vec<String>,
) -> AnyView {
    let name = look(technique).label.in_language(page.language.get());
    view! {
        <tr aria-current=is_current.to_string()>
            <th scope="row">{name}</th>
            {cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_any()}
        </tr>
    }
    .into_any()
}

fn request_rows(race: &RaceState, at_ms: f64) -> Vec<RequestRow> {
    let mut rows = Vec::new();
    for technique in Technique::ALL {
        if race.lanes[technique.index()].phase == LanePhase::Off {
            continue;
        }
        let from_ms = at_ms - race.settings.window_s * 1_000.0;
        let requests: Vec<_> = race.traces[technique.index()]
            .requests(from_ms, at_ms)
            .collect();
        rows.extend(requests.iter().rev().take(REQUESTS).map(|request| {
            RequestRow {
                technique,
                ago_s: (at_ms - request.sent_ms) / 1_000.0,
                status: request.status,
                bytes: request.bytes,
                lasted_ms: request
                    .end_ms
                    .filter(|end| *end <= at_ms)
                    .map(|end| end - request.sent_ms),
            }
        }));
    }
    rows
}

/// Every figure of every lane.
#[component]
pub fn FigureTable() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let rows = move || {
        page.summary.with(|summary| {
            let rows = summary.lanes.iter().map(|lane| figure_row(page, lane));
            rows.collect::<Vec<_>>()
        })
    };
    let label = page.localized(|text| text.table_late);
    table(
        "figure-table",
        label,
        Some(label),
        Callback::new(move |()| figure_columns(page)),
        rows.into_any(),
    )
}

fn figure_columns(page: RaceContext) -> Vec<&'static str> {
    let text = page.text();
    vec![
        page.shell.text().technique,
        text.samples,
        text.minimum,
        text.median,
        text.p90,
        text.p99,
        text.maximum,
        text.mean,
        text.predicted,
        text.client_time,
        text.client_p99,
        text.to_catch_up,
        text.request_heads,
        text.response_heads,
        text.framing,
        text.bodies,
        text.own_port,
        text.connections,
    ]
}

fn figure_row(page: RaceContext, lane: &LaneSummary) -> AnyView {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), numbers::ms);
    let counts = lane.counts;
    let bytes = |take: fn(&tailwater_protocol::lab::LaneCounts) -> u64| {
        counts
            .as_ref()
            .map_or_else(|| "–".to_owned(), |counts| numbers::count(take(counts)))
    };
    let cells = [
        numbers::count(lane.samples),
        ms(lane.min_ms),
        ms(lane.p50_ms),
        ms(lane.p90_ms),
        ms(lane.p99_ms),
        ms(lane.max_ms),
        ms(lane.mean_ms),
        ms(lane.predicted_ms),
        numbers::fixed(lane.client_down_ms, 2),
        numbers::fixed(lane.client_p99_ms, 2),
        numbers::count(lane.catch_up_requests),
        bytes(|counts| counts.request_head_bytes),
        bytes(|counts| counts.response_head_bytes),
        bytes(|counts| counts.request_framing_bytes + counts.response_framing_bytes),
        bytes(|counts| counts.request_body_bytes + counts.response_body_bytes),
        bytes(|counts| counts.cross_origin_bytes),
        bytes(|counts| counts.connections_open),
    ];
    row(page, lane.technique, false, cells.into())
}
