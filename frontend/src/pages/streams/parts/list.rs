//! The list of streams, which the server searches and pages.

use leptos::prelude::*;
use tailwater_protocol::Token;
use tailwater_protocol::inspect::StreamSummary;

use crate::api::request::ApiRequest;
use crate::app::HistoryChange;
use crate::app::nav::is_plain;
use crate::browser;
use crate::language::Language;
use crate::numbers;
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::model::listing::{FetchedKind, Listing, PAGE};
use crate::pages::streams::parts::curl::CurlButton;
use crate::widgets::command::CommandLine;
use crate::widgets::field::TextField;

/// How long the typing has to rest before the server is asked, ms.
const REST_MS: u64 = 150;

/// The list with its search.
#[component]
pub fn ListSection() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = Signal::derive(move || {
        let (search, after) = streams
            .address
            .with(|address| (address.search.clone(), address.after.clone()));
        ApiRequest::list(&search, after.as_deref(), PAGE).curl(&browser::origin())
    });
    view! {
        <section class="list" aria-labelledby="list-title">
            <header>
                <h2 id="list-title">{streams.localized(|text| text.list)}</h2>
                <CurlButton line id="curl-list" />
                <button
                    class="primary"
                    data-testid="new"
                    on:click=move |_| streams.open(HistoryChange::Push, |address| address.stream = None)
                >
                    {streams.localized(|text| text.new_stream)}
                </button>
            </header>
            <SearchForm />
            <Rows />
            <PageTurn />
        </section>
    }
}

#[component]
fn SearchForm() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let typed = RwSignal::new(
        streams
            .address
            .with_untracked(|address| address.search.clone()),
    );
    // Another address, as by the way back, has another search.
    Effect::new(move || {
        let search = streams.address.with(|address| address.search.clone());
        if search != typed.get_untracked().trim() {
            typed.set(search);
        }
    });
    let resting = StoredValue::new(None::<TimeoutHandle>);
    let search = move || {
        let search = typed.get_untracked().trim().to_owned();
        streams.open(HistoryChange::Replace, |address| {
            if search != address.search {
                address.after = None;
                address.search = search;
            }
        });
    };
    let rest = move || {
        if let Some(timer) = resting.get_value() {
            timer.clear();
        }
        resting.set_value(
            set_timeout_with_handle(search, std::time::Duration::from_millis(REST_MS)).ok(),
        );
    };
    on_cleanup(move || {
        if let Some(timer) = resting.get_value() {
            timer.clear();
        }
    });
    view! {
        <form
            role="search"
            on:submit=move |event| {
                event.prevent_default();
                search();
            }
        >
            <label class="visually-hidden" for="stream-search">{streams.localized(|text| text.search)}</label>
            <TextField
                id="stream-search"
                value=typed
                placeholder=Signal::derive(move || format!("{} ( / )", streams.text().search))
                typed=move |()| rest()
            />
        </form>
    }
}

#[component]
fn Rows() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let kind = Memo::new(move |_| {
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
    move || match kind.get() {
        FetchedKind::Loading => {
            view! { <p class="hint">{streams.localized(|text| text.loading)}</p> }.into_any()
        }
        FetchedKind::Refused(why) => {
            view! { <p class="fault">{(streams.text().refused)(&why)}</p> }.into_any()
        }
        FetchedKind::Missing => view! { <Empty /> }.into_any(),
        FetchedKind::Loaded => view! {
            <ul class="rows" data-testid="rows">
                <For each=rows key=String::clone children=|name| view! { <ListRow name /> } />
            </ul>
        }
        .into_any(),
    }
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
    let bytes = |token: &Token| token.as_str().parse::<u64>().unwrap_or(0);
    let kept = bytes(&stream.next_offset).saturating_sub(bytes(&stream.earliest_offset));
    numbers::size(kept, language)
}

/// Shown if there are no streams, or none that matches the search.
#[component]
fn Empty() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let search = Memo::new(move |_| streams.address.with(|address| address.search.clone()));
    let line = format!(
        "curl -X PUT -H 'content-type: application/json' {}/v1/stream/demo",
        browser::origin()
    );
    move || {
        let search = search.get();
        if search.is_empty() {
            view! {
                <div class="empty" data-testid="empty">
                    <h3>{streams.localized(|text| text.none_title)}</h3>
                    <p>{streams.localized(|text| text.none)}</p>
                    <CommandLine line=line.clone() />
                </div>
            }
            .into_any()
        } else {
            view! {
                <div class="empty" data-testid="empty">
                    <p>{move || (streams.text().nothing_found)(&search)}</p>
                    <button
                        class="tool wide"
                        on:click=move |_| streams.open(HistoryChange::Replace, |address| {
                            address.search.clear();
                            address.after = None;
                        })
                    >
                        {streams.localized(|text| text.show_all)}
                    </button>
                </div>
            }
            .into_any()
        }
    }
}

/// On to the next page and back.
#[component]
fn PageTurn() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let has_next = Memo::new(move |_| streams.listing.with(|listing| listing.next().is_some()));
    let has_previous = Memo::new(move |_| streams.address.with(|address| address.after.is_some()));
    let turn = move |turn: fn(&mut Listing, Option<String>) -> Option<Option<String>>| {
        let from = streams
            .address
            .with_untracked(|address| address.after.clone());
        let to = streams
            .listing
            .try_update(|listing| turn(listing, from))
            .flatten();
        if let Some(after) = to {
            streams.open(HistoryChange::Replace, |address| address.after = after);
        }
    };
    move || {
        (has_next.get() || has_previous.get()).then(|| {
            view! {
                <div class="turn">
                    <button
                        class="tool wide"
                        data-testid="previous"
                        disabled=move || !has_previous.get()
                        on:click=move |_| turn(|listing, _| Some(listing.open_previous()))
                    >
                        {streams.localized(|text| text.previous_page)}
                    </button>
                    <button
                        class="tool wide"
                        data-testid="next"
                        disabled=move || !has_next.get()
                        on:click=move |_| turn(|listing, from| listing.open_next(from).map(Some))
                    >
                        {streams.localized(|text| text.next_page)}
                    </button>
                </div>
            }
        })
    }
}
