//! Fork, close, delete: what can't be undone asks twice.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::curl::{CurlButton, FieldFault};
use crate::api::name::typed as typed_name;
use crate::api::request::ApiRequest;
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::count;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::widgets::field::TextField;

/// The three.
#[component]
pub fn ChangeSection(
    /// Whose.
    name: StoredValue<StreamName>,
    /// What is known of it.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let closed = Memo::new(move |_| {
        details.with(|details| details.as_ref().is_some_and(|details| details.closed))
    });
    let forks = Memo::new(move |_| {
        details.with(|details| details.as_ref().map_or(0, |details| details.fork_count))
    });
    let close = move || name.with_value(ApiRequest::close);
    let delete = move || name.with_value(ApiRequest::delete);
    view! {
        <section class="part" aria-labelledby="change-title">
            <h3 id="change-title">{streams.say(|text| text.change_title)}</h3>
            <ForkForm name details />
            <div class="dangers">
                {move || (!closed.get()).then(|| view! {
                    <Twice
                        id="close"
                        act=Signal::derive(move || streams.text().close)
                        ask=Signal::derive(move || streams.text().close_ask.to_owned())
                        sure=Signal::derive(move || streams.text().close_sure)
                        request=Memo::new(move |_| close())
                        done=move |()| streams.said.set(Some(LastAction::Closed(name.get_value().to_string())))
                    />
                })}
                <Twice
                    id="delete"
                    act=Signal::derive(move || streams.text().delete)
                    ask=Signal::derive(move || {
                        let text = streams.text();
                        let ask = name.with_value(|name| (text.delete_ask)(name.as_str()));
                        match forks.get() as u64 {
                            0 => ask,
                            forks => format!("{ask} {}", (text.delete_forks)(&count(forks))),
                        }
                    })
                    sure=Signal::derive(move || streams.text().delete_sure)
                    request=Memo::new(move |_| delete())
                    done=move |()| {
                        streams.said.set(Some(LastAction::Deleted(name.get_value().to_string())));
                        streams.open(HistoryChange::Push, |address| address.stream = None);
                    }
                />
            </div>
        </section>
    }
}

/// A button that asks before it acts; the focus goes with the question.
#[component]
fn Twice(
    id: &'static str,
    act: Signal<&'static str>,
    ask: Signal<String>,
    sure: Signal<&'static str>,
    request: Memo<ApiRequest>,
    #[prop(into)] done: Callback<()>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_asking = RwSignal::new(false);
    let is_busy = RwSignal::new(false);
    let fault = RwSignal::new(String::new());
    let line = Signal::derive(move || request.with(|request| request.curl(&browser::origin())));
    let turn = move |to: bool| {
        is_asking.set(to);
        fault.set(String::new());
        // Once it is there.
        let next = format!("{id}-{}", if to { "keep" } else { "ask" });
        request_animation_frame(move || browser::focus(&next));
    };
    let go = move |_| {
        if is_busy.get_untracked() {
            return;
        }
        is_busy.set(true);
        let request = request.get_untracked();
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = if request.method == "DELETE" {
                controller.delete(&request).await
            } else {
                controller.send(&request).await
            };
            is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    is_asking.try_set(false);
                    done.run(());
                }
                Err(why) => {
                    fault.try_set(why);
                }
            }
        });
    };
    view! {
        <div class="twice" on:keydown=move |event| if event.key() == "Escape" && is_asking.get_untracked() { turn(false) }>
            {move || if is_asking.get() {
                view! {
                    <p role="alert">{move || ask.get()}</p>
                    <div class="row">
                        <button class="danger" data-testid=format!("{id}-sure") disabled=move || is_busy.get() on:click=go>
                            {move || sure.get()}
                        </button>
                        <button class="tool wide" id=format!("{id}-keep") data-testid=format!("{id}-keep") on:click=move |_| turn(false)>
                            {streams.say(|text| text.keep)}
                        </button>
                    </div>
                }
                .into_any()
            } else {
                view! {
                    <div class="row">
                        <button class="tool wide" id=format!("{id}-ask") data-testid=format!("{id}-ask") on:click=move |_| turn(true)>
                            {move || act.get()}
                        </button>
                        <CurlButton line id=if id == "close" { "curl-close" } else { "curl-delete" } />
                    </div>
                }
                .into_any()
            }}
            <FieldFault fault />
        </div>
    }
}

/// A new stream that begins with this one's messages.
#[component]
fn ForkForm(name: StoredValue<StreamName>, details: Memo<Option<StreamDetails>>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let typed = RwSignal::new(String::new());
    let at = RwSignal::new(String::new());
    let fault = RwSignal::new(String::new());
    let is_busy = RwSignal::new(false);
    let content_type = Memo::new(move |_| {
        details.with(|details| {
            details
                .as_ref()
                .map(|it| it.configuration.content_type.clone())
                .unwrap_or_default()
        })
    });
    let request = move |typed: &str, at: &str| {
        name.with_value(|name| {
            content_type
                .with_untracked(|content_type| ApiRequest::fork(name, content_type, typed, at))
        })
    };
    let line = Signal::derive(move || {
        let request = typed.with(|typed| at.with(|at| request(typed, at)));
        request
            .map(|request| request.curl(&browser::origin()))
            .unwrap_or_default()
    });
    let fork = move || {
        if is_busy.get_untracked() {
            return;
        }
        let request = match request(&typed.get_untracked(), &at.get_untracked()) {
            Ok(request) => request,
            Err(field) => return fault.set((streams.text().field)(&field)),
        };
        let made = typed_name(&typed.get_untracked())
            .map(|name| name.to_string())
            .unwrap_or_default();
        is_busy.set(true);
        fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = controller.send(&request).await;
            is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    streams.said.try_set(Some(LastAction::Forked(made.clone())));
                    streams.open(HistoryChange::Push, |address| address.stream = Some(made));
                }
                Err(why) => {
                    fault.try_set(why);
                }
            }
        });
    };
    view! {
        <form
            class="form fork"
            on:submit=move |event| {
                event.prevent_default();
                fork();
            }
        >
            <p class="hint">{streams.say(|text| text.fork_hint)}</p>
            <div class="row">
                <TextField
                    id="fork-name"
                    value=typed
                    label=streams.say(|text| text.stream_name)
                    placeholder=Signal::derive(move || name.with_value(|name| format!("{name}-2")))
                    typed=move |()| fault.set(String::new())
                />
                <TextField
                    id="fork-at"
                    class="offset"
                    numeric=true
                    value=at
                    label=streams.say(|text| text.fork_at)
                    placeholder=Signal::derive(move || format!("{}: {}", streams.text().fork_at, streams.text().fork_tail))
                />
                <button class="tool wide" type="submit" data-testid="fork-send" disabled=move || is_busy.get()>
                    {streams.say(|text| text.fork)}
                </button>
                <CurlButton line id="curl-fork" />
            </div>
            <FieldFault fault />
        </form>
    }
}
