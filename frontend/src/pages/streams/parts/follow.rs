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
use crate::pages::streams::model::tailing::{FollowStart, FollowState, ShownMessage};
use crate::reactive;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;
use crate::widgets::connection::{ServerConnection, is_without_response};
use crate::widgets::views::{CollectAny, KeyedViews};

/// The choice of technique, the messages, and their counts.
#[component]
pub fn FollowSection(
    /// The stream.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    // The name of a [`FollowStart`].
    let start_at = RwSignal::new(String::new());
    let from = move || {
        let start = FollowStart::from_name(&start_at.get());
        details.with(|details| {
            let here = details.as_ref();
            here.map_or_else(Token::beginning, |it| start.offset(it))
        })
    };
    let has_ttl = reactive::memo(move || {
        details.with(|details| {
            details
                .as_ref()
                .is_some_and(|it| it.configuration.ttl_seconds.is_some())
        })
    });
    let is_on = reactive::memo(move || streams.following.with(Option::is_some));
    let line = Signal::derive(move || {
        // The position of the follower, or the one selected if there is no follower.
        let followed = streams.following.get().map(|how| how.from);
        let from = followed.unwrap_or_else(from);
        name.with_value(|name| follow_line(&browser::origin(), name, streams.technique(), &from))
    });
    let start = move || {
        let how = Following {
            technique: untrack(move || streams.technique()),
            from: untrack(from),
        };
        streams.controller().follow(how);
    };
    view! {
        <section class="part" aria-labelledby="follow-title">
            <h3 id="follow-title">{streams.localized(|text| text.follow_title)}</h3>
            <Techniques />
            <div class="row">
                <StartChoice start_at chosen=move |()| if is_on.get_untracked() { start() } />
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
            <FollowStatus />
            <MessageList />
        </section>
    }
}

/// The choice of the position to start at.
#[component]
fn StartChoice(start_at: RwSignal<String>, #[prop(into)] chosen: Callback<()>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let starts = FollowStart::ALL.map(|start| {
        view! { <option value=start.name()>{move || (streams.text().start_at)(start)}</option> }
    });
    view! {
        <select
            data-testid="follow-from"
            aria-label=streams.localized(|text| text.follow_from)
            on:change=move |event| {
                start_at.set(event_target_value(&event));
                chosen.run(());
            }
        >
            {starts.collect_any()}
        </select>
    }
}

/// The choice of one of the five techniques.
#[component]
fn Techniques() -> impl IntoView {
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
                                prop:checked=move || streams.technique() == technique
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
                .collect_any()}
        </div>
    }
}

/// The state of the follower, and its counts.
#[component]
fn FollowStatus() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let status = Signal::derive(move || {
        let text = streams.text();
        if streams.following.with(Option::is_none) {
            return text.stopped.to_owned();
        }
        let is_lost = streams.connection.get() == ServerConnection::Lost;
        let reconnecting = (streams.shell.text().connection)(ServerConnection::Reconnecting);
        streams.tailing.with(|tailing| {
            let other = tailing
                .technique
                .filter(|one| *one != streams.technique() && *one != Technique::Poll);
            let state = match &tailing.state {
                // The notice explains it.
                FollowState::Retrying(why) if is_lost || is_without_response(why) => {
                    reconnecting.to_owned()
                }
                state => (text.follow_state)(state),
            };
            let parts = [
                Some(state),
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
    view! { <p class="hint" data-testid="follow-state">{status}</p> }
}

/// The last messages, the newest first. An entry is rendered again once the time of its message is known.
#[component]
fn MessageList() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let keys = move || {
        streams.tailing.with(|tailing| {
            let newest = tailing.messages.iter().rev();
            newest.map(ShownMessage::key).collect::<Vec<_>>()
        })
    };
    let entry = move |key: String| {
        let message = streams.tailing.with_untracked(|tailing| {
            let mut messages = tailing.messages.iter();
            messages.find(|message| message.key() == key).cloned()
        });
        message
            .map(|message| view! { <MessageEntry message /> })
            .into_any()
    };
    let is_empty =
        reactive::memo(move || streams.tailing.with(|tailing| tailing.messages.is_empty()));
    let is_on = move || streams.following.with(Option::is_some);
    view! {
        <p class="hint" hidden=move || !is_empty.get() || !is_on()>{streams.localized(|text| text.nothing_yet)}</p>
        <ol class="messages" data-testid="messages" tabindex="0" aria-labelledby="follow-title" hidden=move || is_empty.get()>
            <KeyedViews keys=move |()| keys() view=entry />
        </ol>
    }
}

#[component]
fn MessageEntry(message: ShownMessage) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let whole = move || size(message.bytes as u64, streams.shell.language.get());
    let next = message.next.map(|next| {
        let offset = next.to_string();
        let at = offset.clone();
        let label = Signal::derive(move || (streams.text().fork_here)(&at));
        view! {
            <button class="offset" title=label aria-label=label data-testid="fork-here" on:click=move |_| {
                streams.fork_at.set(next.to_string());
                browser::focus("fork-name");
            }>
                {offset}
            </button>
        }
        .into_any()
    });
    let time = message.appended_ms.map(|ms| {
        let time = move || browser::moment(ms as f64, streams.shell.language.get().name());
        view! { <time>{move || time()}</time> }.into_any()
    });
    view! {
        <li>
            <span class="place">{next}{time}</span>
            <code>
                {message.is_hex.then(|| view! { <small>{move || (streams.text().bytes_of)(&whole())} " "</small> }.into_any())}
                {message.text}
                {message.is_cut.then(|| view! { <small>{move || (streams.text().cut)(&whole())}</small> }.into_any())}
            </code>
        </li>
    }
}
