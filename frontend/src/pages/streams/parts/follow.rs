//! Follows a stream on the page, by any of the five techniques.

use leptos::prelude::*;
use tailwater_protocol::inspect::StreamDetails;
use tailwater_protocol::{StreamName, Technique, Token};

use super::curl::CurlButton;
use crate::api::request::follow_line;
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::size;
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::controller::{DEFAULT_TECHNIQUE, Following};
use crate::pages::streams::model::tailing::ShownMessage;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;

/// The choice of technique, the messages, and their counts.
#[component]
pub fn FollowSection(
    /// The stream.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let selected = Memo::new(move |_| {
        streams
            .address
            .with(|address| address.technique.unwrap_or(DEFAULT_TECHNIQUE))
    });
    let from = RwSignal::new(Token::beginning());
    Effect::new(move || {
        if let Some(how) = streams.following.get() {
            from.set(how.from);
        }
    });
    let has_ttl = Memo::new(move |_| {
        details.with(|details| {
            details
                .as_ref()
                .is_some_and(|it| it.configuration.ttl_seconds.is_some())
        })
    });
    let is_on = Memo::new(move |_| streams.following.with(Option::is_some));
    let line = Signal::derive(move || {
        name.with_value(|name| follow_line(&browser::origin(), name, selected.get(), &from.get()))
    });
    let start = move || {
        let how = Following {
            technique: selected.get_untracked(),
            from: from.get_untracked(),
        };
        streams.controller().follow(how);
    };
    view! {
        <section class="part" aria-labelledby="follow-title">
            <h3 id="follow-title">{streams.localized(|text| text.follow_title)}</h3>
            <Techniques selected />
            <div class="row">
                <select
                    data-testid="follow-from"
                    aria-label=streams.localized(|text| text.follow_from)
                    on:change=move |event| {
                        from.set(if event_target_value(&event) == "now" { Token::now() } else { Token::beginning() });
                        if is_on.get_untracked() {
                            start();
                        }
                    }
                >
                    <option value="-1" prop:selected=move || from.get() != Token::now()>{streams.localized(|text| text.from_beginning)}</option>
                    <option value="now" prop:selected=move || from.get() == Token::now()>{streams.localized(|text| text.from_now)}</option>
                </select>
                <button
                    class="tool wide"
                    data-testid="follow-toggle"
                    on:click=move |_| if is_on.get_untracked() { streams.controller().unfollow() } else { start() }
                >
                    {move || if is_on.get() { streams.text().stop } else { streams.text().start }}
                </button>
                <CurlButton line id="curl-follow" />
            </div>
            <p class="hint" hidden=move || !has_ttl.get()>{streams.localized(|text| text.renews)}</p>
            <FollowStatus selected />
            <MessageList />
        </section>
    }
}

/// The choice of one of the five techniques.
#[component]
fn Techniques(selected: Memo<Technique>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    view! {
        <div class="techniques" role="radiogroup" aria-label=streams.shell.localized(|text| text.technique)>
            {Technique::ALL
                .map(|technique| {
                    view! {
                        <label class=format!("t-{}", technique.name())>
                            <input
                                type="radio"
                                class="visually-hidden"
                                name="follow-technique"
                                data-testid=format!("by-{}", technique.name())
                                prop:checked=move || selected.get() == technique
                                on:change=move |_| {
                                    streams.open(HistoryChange::Replace, |address| {
                                        address.technique = Some(technique).filter(|one| *one != DEFAULT_TECHNIQUE);
                                    });
                                }
                            />
                            <TechniqueBadge technique />
                            <span>{move || look(technique).label.in_language(streams.shell.language.get())}</span>
                        </label>
                    }
                })
                .collect_view()}
        </div>
    }
}

/// The state of the follower, and its counts.
#[component]
fn FollowStatus(selected: Memo<Technique>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let says = Signal::derive(move || {
        let text = streams.text();
        if streams.following.with(Option::is_none) {
            return text.stopped.to_owned();
        }
        streams.tailing.with(|tailing| {
            let other = tailing
                .technique
                .filter(|one| *one != selected.get() && *one != Technique::Poll);
            let parts = [
                Some((text.follow_state)(&tailing.state)),
                other.map(|other| {
                    (text.replaced_by)(look(other).label.in_language(streams.shell.language.get()))
                }),
                Some((text.counts)(
                    tailing.count,
                    tailing.bytes,
                    tailing.requests,
                )),
            ];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
        })
    });
    view! { <p class="hint" data-testid="follow-state">{says}</p> }
}

/// The last messages, the newest first.
#[component]
fn MessageList() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let numbers = move || {
        streams.tailing.with(|tailing| {
            tailing
                .messages
                .iter()
                .rev()
                .map(|message| message.number)
                .collect::<Vec<_>>()
        })
    };
    let message = move |number: u64| {
        streams.tailing.with_untracked(|tailing| {
            tailing
                .messages
                .iter()
                .find(|message| message.number == number)
                .cloned()
        })
    };
    let is_empty = Memo::new(move |_| streams.tailing.with(|tailing| tailing.messages.is_empty()));
    let is_on = move || streams.following.with(Option::is_some);
    view! {
        <p class="hint" hidden=move || !is_empty.get() || !is_on()>{streams.localized(|text| text.nothing_yet)}</p>
        <ol class="messages" data-testid="messages" tabindex="0" aria-labelledby="follow-title" hidden=move || is_empty.get()>
            <For each=numbers key=|number| *number children=move |number| message(number).map(|message| view! { <MessageEntry message /> }) />
        </ol>
    }
}

#[component]
fn MessageEntry(message: ShownMessage) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let whole = move || size(message.bytes as u64, streams.shell.language.get());
    view! {
        <li>
            <span class="offset" aria-hidden="true">{message.next.map(|next| next.to_string())}</span>
            <code>
                {message.is_hex.then(|| view! { <small>{move || (streams.text().bytes_of)(&whole())} " "</small> }.into_any())}
                {message.text}
                {message.is_cut.then(|| view! { <small>{move || (streams.text().cut)(&whole())}</small> }.into_any())}
            </code>
        </li>
    }
}
