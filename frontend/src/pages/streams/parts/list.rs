//! The list of streams, searched and paged by the server.

use leptos::prelude::*;
use tailwater_protocol::inspect::StreamSummary;

use super::filter::{ListChoices, SearchForm};
use super::server::ServerLine;
use crate::api::request::{ApiRequest, ListFilter};
use crate::app::HistoryChange;
use crate::app::nav::is_plain;
use crate::browser;
use crate::language::Language;
use crate::numbers;
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::model::listing::{FetchedKind, PAGE, bytes_before};
use crate::pages::streams::parts::curl::CurlButton;
use crate::reactive;
use crate::widgets::command::CommandLine;
use crate::widgets::views::KeyedViews;

/// The list with its search.
#[component]
pub fn ListSection() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = Signal::derive(move || {
        let request = streams
            .address
            .with(|address| ApiRequest::list(&address.filter, PAGE));
        request.curl(&browser::origin())
    });
    let number = Signal::derive(move || {
        let total = streams.listing.with(|listing| listing.total);
        total.map(streams.text().stream_count).unwrap_or_default()
    });
    view! {
        <section class="list" aria-labelledby="list-title">
            <header>
                <h2 id="list-title">{streams.localized(|text| text.list)}</h2>
                <CurlButton line id="curl-list" />
                <button
                    class="primary"
                    data-testid="new"
                    on:click=move |_| streams.open_create_form()
                >
                    {streams.localized(|text| text.new_stream)}
                </button>
            </header>
            <SearchForm />
            <ListChoices />
            <p class="hint" data-testid="total">{number}</p>
            <Rows />
            <PageTurn />
            <ServerLine />
        </section>
    }
}

#[component]
fn Rows() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let kind = reactive::memo(move || {
        streams
            .listing
            .with(|listing| match (&listing.page, listing.is_empty()) {
                (page, false) => page.kind(),
                (_, true) => FetchedKind::Missing,
            })
    });
    let rows = move || {
        streams.listing.with(|listing| {
            listing
                .page
                .loaded()
                .map(|page| {
                    page.streams
                        .iter()
                        .map(|stream| stream.name.clone())
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        })
    };
    let shown = move || {
        match kind.get() {
        FetchedKind::Loading => {
            view! { <p class="hint">{streams.localized(|text| text.loading)}</p> }.into_any()
        }
        FetchedKind::Refused(why) => {
            view! { <p class="fault">{(streams.text().refused)(&why)}</p> }.into_any()
        }
        FetchedKind::Missing => view! { <Empty /> }.into_any(),
        FetchedKind::Loaded => view! {
            <ul class="rows" data-testid="rows">
                <KeyedViews keys=move |()| rows() view=|name| view! { <ListRow name /> }.into_any() />
            </ul>
        }
        .into_any(),
    }
    };
    view! { {move || shown()} }
}

/// One stream. Its figures follow the list, and the link stays the same element, so that it keeps the focus.
#[component]
fn ListRow(name: String) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let name = StoredValue::new(name);
    let with = move |part: fn(&StreamSummary, Language) -> String| {
        Signal::derive(move || {
            streams.listing.with(|listing| {
                let rows = listing.page.loaded().map_or(&[][..], |page| &page.streams);
                let stream =
                    name.with_value(|name| rows.iter().find(|stream| stream.name == *name));
                stream
                    .map(|stream| part(stream, streams.shell.language.get()))
                    .unwrap_or_default()
            })
        })
    };
    let live = with(|stream, _| {
        if stream.readers > 0 {
            numbers::count(stream.readers as u64)
        } else {
            String::new()
        }
    });
    let is_fork = with(|stream, _| {
        if stream.forked_from.is_some() {
            "fork".to_owned()
        } else {
            String::new()
        }
    });
    let is_closed = with(|stream, _| {
        if stream.closed {
            "closed".to_owned()
        } else {
            String::new()
        }
    });
    let is_chosen = move || {
        streams.address.with(|address| {
            name.with_value(|name| address.stream.as_deref() == Some(name.as_str()))
        })
    };
    let href = move || streams.href(|address| address.stream = Some(name.get_value()));
    view! {
        <li>
            <a
                href=href
                data-testid="row"
                aria-current=move || is_chosen().then_some("true")
                on:click=move |event| {
                    if is_plain(&event) {
                        event.prevent_default();
                        streams.last_action.set(None);
                        streams.open(HistoryChange::Push, |address| address.stream = Some(name.get_value()));
                    }
                }
            >
                <span class="name">{name.get_value()}</span>
                <span class="badges">
                    <span class="badge live" hidden=move || live.with(String::is_empty)>
                        {move || live.with(|live| (streams.text().live)(live))}
                    </span>
                    <span class="badge" hidden=move || is_fork.with(String::is_empty)>{streams.localized(|text| text.is_fork)}</span>
                    <span class="badge" hidden=move || is_closed.with(String::is_empty)>{streams.localized(|text| text.closed)}</span>
                </span>
                <span class="type">{with(|stream, _| stream.content_type.clone())}</span>
                <span class="kept">{with(kept)}</span>
            </a>
        </li>
    }
}

fn kept(stream: &StreamSummary, language: Language) -> String {
    let kept =
        bytes_before(&stream.next_offset).saturating_sub(bytes_before(&stream.earliest_offset));
    numbers::size(kept, language)
}

/// Shown if there are no streams, or none that matches the search.
#[component]
fn Empty() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let search =
        reactive::memo(move || streams.address.with(|address| address.filter.text.clone()));
    let has_others = reactive::memo(move || streams.listing.with(|it| it.total > Some(0)));
    let line = format!(
        "curl -X PUT -H 'content-type: application/json' {}/v1/stream/demo",
        browser::origin()
    );
    let shown = move || {
        let search = search.get();
        if search.is_empty() && !has_others.get() {
            view! {
                <div class="empty" data-testid="empty">
                    <h3>{streams.localized(|text| text.none_title)}</h3>
                    <p>{streams.localized(|text| text.none)}</p>
                    <CommandLine line=line.clone() />
                </div>
            }
            .into_any()
        } else {
            let notice = move || {
                let text = streams.text();
                let is_only_lab_hidden = streams
                    .address
                    .with(|address| address.filter.hides_lab() && address.filter.after.is_none());
                match search.as_str() {
                    "" if is_only_lab_hidden => text.only_lab.to_owned(),
                    "" => text.nothing_here.to_owned(),
                    search => (text.nothing_found)(search),
                }
            };
            view! {
                <div class="empty" data-testid="empty">
                    <p>{move || notice()}</p>
                    <button
                        class="tool wide"
                        on:click=move |_| streams.open(HistoryChange::Replace, |address| {
                            address.filter = ListFilter {
                                newest: address.filter.newest,
                                lab: address.filter.lab || address.filter.text.is_empty(),
                                ..ListFilter::default()
                            };
                        })
                    >
                        {streams.localized(|text| text.show_all)}
                    </button>
                </div>
            }
            .into_any()
        }
    };
    view! { {move || shown()} }
}

/// The buttons for the next and the previous page; each adds an entry to the browser's history.
#[component]
fn PageTurn() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    // Unchanged while a page is loading, so that the buttons stay the same elements and keep the focus.
    let has_next = reactive::memo_of_last(move |before: Option<&bool>| {
        streams
            .listing
            .with(|listing| listing.has_next().or_else(|| before.copied()))
            .unwrap_or_default()
    });
    let has_previous = reactive::memo(move || {
        streams
            .address
            .with(|address| address.filter.after.is_some())
    });
    let turn = move |is_next: bool| {
        let from = streams
            .address
            .with_untracked(|address| address.filter.after.clone());
        let mut to = None;
        streams.listing.update_untracked(|listing| {
            to = if is_next {
                listing.open_next(from.as_deref())
            } else {
                listing.previous(from.as_deref())
            };
        });
        if !is_next || to.is_some() {
            streams.open(HistoryChange::Push, |address| address.filter.after = to);
        }
    };
    let button = move |id: &'static str, is_next: bool, is_enabled: Memo<bool>| {
        let label = move || {
            let text = streams.text();
            if is_next {
                text.next_page
            } else {
                text.previous_page
            }
        };
        view! {
            <button class="tool wide" data-testid=id disabled=move || !is_enabled.get() on:click=move |_| turn(is_next)>
                {move || label()}
            </button>
        }
    };
    let has_any = reactive::memo(move || has_next.get() || has_previous.get());
    let shown = move || {
        has_any.get().then(|| {
            view! {
                <div class="turn">
                    {button("previous", false, has_previous)}
                    {button("next", true, has_next)}
                </div>
            }
            .into_any()
        })
    };
    view! { {move || shown()} }
}
