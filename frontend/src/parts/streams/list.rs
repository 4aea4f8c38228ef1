//! The list of streams: searched and paged on the server.

use leptos::prelude::*;
use tailwater_protocol::Token;
use tailwater_protocol::inspect::StreamSummary;

use crate::app::Step;
use crate::browser;
use crate::model::listing::{Known, Listing, PAGE};
use crate::model::place::{Place, Shelf};
use crate::model::wish::Wish;
use crate::pages::streams::Streams;
use crate::parts::nav::is_plain;
use crate::parts::notes::Command;
use crate::parts::streams::line::Line;
use crate::text::numbers;

/// How long the typing has to rest before the server is asked, ms.
const REST_MS: u64 = 150;

/// The list with its search.
#[component]
pub fn List() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let line = Signal::derive(move || {
        let (search, after) = streams.shelf.with(|shelf| (shelf.search.clone(), shelf.after.clone()));
        Wish::list(&search, after.as_deref(), PAGE).curl(&browser::origin())
    });
    view! {
        <section class="list" aria-labelledby="list-title">
            <header>
                <h2 id="list-title">{streams.say(|text| text.list)}</h2>
                <Line line id="curl-list" />
                <button
                    class="primary"
                    data-testid="new"
                    on:click=move |_| streams.shell.open(Step::Recorded, |shelf| shelf.stream = None)
                >
                    {streams.say(|text| text.new_stream)}
                </button>
            </header>
            <Search />
            <Rows />
            <Turn />
        </section>
    }
}

#[component]
fn Search() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let typed = RwSignal::new(streams.shelf.with_untracked(|shelf| shelf.search.clone()));
    // Another address, as by the way back, has another search.
    Effect::new(move |_| {
        let search = streams.shelf.with(|shelf| shelf.search.clone());
        if search != typed.get_untracked().trim() {
            typed.set(search);
        }
    });
    let resting = StoredValue::new(None::<TimeoutHandle>);
    let search = move || {
        let search = typed.get_untracked().trim().to_owned();
        streams.shell.open(Step::Silent, |shelf| {
            if search != shelf.search {
                shelf.after = None;
                shelf.search = search;
            }
        });
    };
    let rest = move || {
        if let Some(timer) = resting.get_value() {
            timer.clear();
        }
        resting.set_value(set_timeout_with_handle(search, std::time::Duration::from_millis(REST_MS)).ok());
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
            <label class="spoken" for="stream-search">{streams.say(|text| text.search)}</label>
            <input
                id="stream-search"
                data-testid="search"
                type="text"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                placeholder=move || format!("{} ( / )", streams.text().search)
                prop:value=move || typed.get()
                on:input=move |event| {
                    typed.set(event_target_value(&event));
                    rest();
                }
            />
        </form>
    }
}

#[component]
fn Rows() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let kind = Memo::new(move |_| {
        streams.listing.with(|listing| match &listing.page {
            Known::Awaited => Kind::Awaited,
            Known::Here(page) if page.streams.is_empty() => Kind::Empty,
            Known::Here(_) => Kind::Rows,
            Known::Missing => Kind::Refused(String::new()),
            Known::Refused(why) => Kind::Refused(why.clone()),
        })
    });
    let rows = Memo::new(move |_| {
        streams.listing.with(|listing| listing.page.here().map(|page| page.streams.clone()).unwrap_or_default())
    });
    move || match kind.get() {
        Kind::Awaited => view! { <p class="hint">{streams.say(|text| text.loading)}</p> }.into_any(),
        Kind::Refused(why) => view! { <p class="fault">{(streams.text().refused)(&why)}</p> }.into_any(),
        Kind::Empty => view! { <Empty /> }.into_any(),
        Kind::Rows => view! {
            <ul class="rows" data-testid="rows">
                <For each=move || rows.get() key=|stream| stream.name.clone() let:stream>
                    <Row name=stream.name rows />
                </For>
            </ul>
        }
        .into_any(),
    }
}

#[derive(Clone, PartialEq)]
enum Kind {
    Awaited,
    Empty,
    Rows,
    Refused(String),
}

/// One stream; what it shows follows the list, and the link stays the same element, so that it keeps the focus.
#[component]
fn Row(name: String, rows: Memo<Vec<StreamSummary>>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let name = StoredValue::new(name);
    let stream = Memo::new(move |before: Option<&Option<StreamSummary>>| {
        let now = rows.with(|rows| name.with_value(|name| rows.iter().find(|stream| stream.name == *name).cloned()));
        // A row that is about to go shows what it showed.
        now.or_else(|| before.cloned().flatten())
    });
    let with =
        move |part: fn(&StreamSummary) -> String| stream.with(|stream| stream.as_ref().map(part).unwrap_or_default());
    let is = move |part: fn(&StreamSummary) -> bool| stream.with(|stream| stream.as_ref().is_some_and(part));
    let is_chosen =
        move || streams.shelf.with(|shelf| name.with_value(|name| shelf.stream.as_deref() == Some(name.as_str())));
    let href = move || {
        let shelf = Shelf { stream: Some(name.get_value()), ..streams.shelf.get() };
        streams.shell.settings.with(|settings| browser::address(&Place::Streams(shelf).to_query(settings)))
    };
    view! {
        <li>
            <a
                href=href
                data-testid="row"
                aria-current=move || is_chosen().then_some("true")
                on:click=move |event| {
                    if is_plain(&event) {
                        event.prevent_default();
                        streams.said.set(None);
                        streams.shell.open(Step::Recorded, |shelf| shelf.stream = Some(name.get_value()));
                    }
                }
            >
                <span class="name">{name.get_value()}</span>
                <span class="badges">
                    <span class="badge live" hidden=move || !is(|stream| stream.readers > 0)>
                        {move || (streams.text().live)(&with(|stream| numbers::count(stream.readers as u64)))}
                    </span>
                    <span class="badge" hidden=move || !is(|stream| stream.forked_from.is_some())>
                        {streams.say(|text| text.is_fork)}
                    </span>
                    <span class="badge" hidden=move || !is(|stream| stream.closed)>{streams.say(|text| text.closed)}</span>
                </span>
                <span class="type">{move || with(|stream| stream.content_type.clone())}</span>
                <span class="kept">{move || with(kept)}</span>
            </a>
        </li>
    }
}

fn kept(stream: &StreamSummary) -> String {
    let bytes = |token: &Token| token.as_str().parse::<u64>().unwrap_or(0);
    numbers::size(bytes(&stream.next_offset).saturating_sub(bytes(&stream.earliest_offset)))
}

/// No stream at all, or none that fits the search.
#[component]
fn Empty() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let search = Memo::new(move |_| streams.shelf.with(|shelf| shelf.search.clone()));
    let line = format!("curl -X PUT -H 'content-type: application/json' {}/v1/stream/demo", browser::origin());
    move || {
        let search = search.get();
        if search.is_empty() {
            view! {
                <div class="empty" data-testid="empty">
                    <h3>{streams.say(|text| text.none_title)}</h3>
                    <p>{streams.say(|text| text.none)}</p>
                    <Command line=line.clone() />
                </div>
            }
            .into_any()
        } else {
            view! {
                <div class="empty" data-testid="empty">
                    <p>{move || (streams.text().nothing_found)(&search)}</p>
                    <button
                        class="tool wide"
                        on:click=move |_| streams.shell.open(Step::Silent, |shelf| {
                            shelf.search.clear();
                            shelf.after = None;
                        })
                    >
                        {streams.say(|text| text.show_all)}
                    </button>
                </div>
            }
            .into_any()
        }
    }
}

/// On to the next page and back.
#[component]
fn Turn() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let has_next = Memo::new(move |_| streams.listing.with(|listing| listing.next().is_some()));
    let has_previous = Memo::new(move |_| streams.shelf.with(|shelf| shelf.after.is_some()));
    let turn = move |turn: fn(&mut Listing, Option<String>) -> Option<Option<String>>| {
        let from = streams.shelf.with_untracked(|shelf| shelf.after.clone());
        let to = streams.listing.try_update(|listing| turn(listing, from)).flatten();
        if let Some(after) = to {
            streams.shell.open(Step::Silent, |shelf| shelf.after = after);
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
                        on:click=move |_| turn(|listing, _| Some(listing.turn_back()))
                    >
                        {streams.say(|text| text.previous_page)}
                    </button>
                    <button
                        class="tool wide"
                        data-testid="next"
                        disabled=move || !has_next.get()
                        on:click=move |_| turn(|listing, from| listing.turn_on(from).map(Some))
                    >
                        {streams.say(|text| text.next_page)}
                    </button>
                </div>
            }
        })
    }
}
