//! The actions fork, close and delete; those that can't be undone need a confirmation.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::curl::{CurlButton, FieldFault};
use crate::api::name::typed as typed_name;
use crate::api::request::{ApiRequest, InvalidField};
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::count;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::widgets::field::TextField;

/// The three actions.
#[component]
pub fn ChangeSection(
    /// The stream.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
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
            <h3 id="change-title">{streams.localized(|text| text.change_title)}</h3>
            <ForkForm name details />
            <div class="dangers">
                {move || (!closed.get()).then(|| view! {
                    <ConfirmButton
                        id="close"
                        act=Signal::derive(move || streams.text().close)
                        ask=Signal::derive(move || streams.text().close_ask.to_owned())
                        sure=Signal::derive(move || streams.text().close_sure)
                        request=Memo::new(move |_| close())
                        done=move |()| streams.last_action.set(Some(LastAction::Closed(name.get_value().to_string())))
                    />
                })}
                <ConfirmButton
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
                        streams.last_action.set(Some(LastAction::Deleted(name.get_value().to_string())));
                        streams.open(HistoryChange::Push, |address| address.stream = None);
                    }
                />
            </div>
        </section>
    }
}

/// Whether an action waits for a confirmation, and what became of it.
#[derive(Clone, Copy)]
struct ConfirmState {
    id: &'static str,
    is_asking: RwSignal<bool>,
    is_busy: RwSignal<bool>,
    fault: RwSignal<String>,
}

impl ConfirmState {
    fn new(id: &'static str) -> Self {
        Self {
            id,
            is_asking: RwSignal::new(false),
            is_busy: RwSignal::new(false),
            fault: RwSignal::new(String::new()),
        }
    }

    /// Shows or hides the question, and moves the focus to the button that is there then.
    fn ask(self, is_asking: bool) {
        self.is_asking.set(is_asking);
        self.fault.set(String::new());
        let next = format!("{}-{}", self.id, if is_asking { "keep" } else { "ask" });
        // The button exists from the next frame on.
        request_animation_frame(move || browser::focus(&next));
    }

    /// Sends the request that was confirmed.
    fn send(self, streams: StreamsContext, request: ApiRequest, done: Callback<()>) {
        if self.is_busy.get_untracked() {
            return;
        }
        self.is_busy.set(true);
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = if request.method == "DELETE" {
                controller.delete(&request).await
            } else {
                controller.send(&request).await
            };
            self.is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    self.is_asking.try_set(false);
                    done.run(());
                }
                Err(why) => {
                    self.fault.try_set(why);
                }
            }
        });
    }
}

/// A button for an action that must be confirmed; the focus moves to the question.
#[component]
fn ConfirmButton(
    id: &'static str,
    act: Signal<&'static str>,
    ask: Signal<String>,
    sure: Signal<&'static str>,
    request: Memo<ApiRequest>,
    #[prop(into)] done: Callback<()>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let state = ConfirmState::new(id);
    let ConfirmState {
        is_asking,
        is_busy,
        fault,
        ..
    } = state;
    let line = Signal::derive(move || request.with(|request| request.curl(&browser::origin())));
    let turn = move |to: bool| state.ask(to);
    let go = move |_| state.send(streams, request.get_untracked(), done);
    view! {
        <div class="confirm" on:keydown=move |event| if event.key() == "Escape" && is_asking.get_untracked() { turn(false) }>
            {move || if is_asking.get() {
                view! {
                    <p role="alert">{move || ask.get()}</p>
                    <div class="row">
                        <button class="danger" data-testid=format!("{id}-sure") disabled=move || is_busy.get() on:click=go>
                            {move || sure.get()}
                        </button>
                        <button class="tool wide" id=format!("{id}-keep") data-testid=format!("{id}-keep") on:click=move |_| turn(false)>
                            {streams.localized(|text| text.keep)}
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

/// What is typed into the form of a fork, and what became of sending it.
#[derive(Clone, Copy)]
struct ForkFields {
    source: StoredValue<StreamName>,
    content_type: Memo<String>,
    name: RwSignal<String>,
    at: RwSignal<String>,
    fault: RwSignal<String>,
    is_busy: RwSignal<bool>,
}

impl ForkFields {
    fn new(source: StoredValue<StreamName>, details: Memo<Option<StreamDetails>>) -> Self {
        let content_type = Memo::new(move |_| {
            details.with(|details| {
                details
                    .as_ref()
                    .map(|it| it.configuration.content_type.clone())
                    .unwrap_or_default()
            })
        });
        Self {
            source,
            content_type,
            name: RwSignal::new(String::new()),
            at: RwSignal::new(String::new()),
            fault: RwSignal::new(String::new()),
            is_busy: RwSignal::new(false),
        }
    }

    fn request(self) -> Result<ApiRequest, InvalidField> {
        self.source.with_value(|source| {
            self.content_type.with_untracked(|content_type| {
                self.name.with(|name| {
                    self.at
                        .with(|at| ApiRequest::fork(source, content_type, name, at))
                })
            })
        })
    }

    fn send(self, streams: StreamsContext) {
        if self.is_busy.get_untracked() {
            return;
        }
        let request = match untrack(move || self.request()) {
            Ok(request) => request,
            Err(field) => return self.fault.set((streams.text().field)(&field)),
        };
        let made = typed_name(&self.name.get_untracked())
            .map(|name| name.to_string())
            .unwrap_or_default();
        self.is_busy.set(true);
        self.fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = controller.send(&request).await;
            self.is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    streams
                        .last_action
                        .try_set(Some(LastAction::Forked(made.clone())));
                    streams.open(HistoryChange::Push, |address| address.stream = Some(made));
                }
                Err(why) => {
                    self.fault.try_set(why);
                }
            }
        });
    }
}

/// A new stream that begins with this one's messages.
#[component]
fn ForkForm(name: StoredValue<StreamName>, details: Memo<Option<StreamDetails>>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let fields = ForkFields::new(name, details);
    let fault = fields.fault;
    let line = Signal::derive(move || {
        fields
            .request()
            .map(|request| request.curl(&browser::origin()))
            .unwrap_or_default()
    });
    view! {
        <form
            class="form fork"
            on:submit=move |event| {
                event.prevent_default();
                fields.send(streams);
            }
        >
            <p class="hint">{streams.localized(|text| text.fork_hint)}</p>
            <div class="row">
                <TextField
                    id="fork-name"
                    value=fields.name
                    label=streams.localized(|text| text.stream_name)
                    placeholder=Signal::derive(move || name.with_value(|name| format!("{name}-2")))
                    typed=move |()| fault.set(String::new())
                />
                <TextField
                    id="fork-at"
                    class="offset"
                    numeric=true
                    value=fields.at
                    label=streams.localized(|text| text.fork_at)
                    placeholder=Signal::derive(move || format!("{}: {}", streams.text().fork_at, streams.text().fork_tail))
                />
                <button class="tool wide" type="submit" data-testid="fork-send" disabled=move || fields.is_busy.get()>
                    {streams.localized(|text| text.fork)}
                </button>
                <CurlButton line id="curl-fork" />
            </div>
            <FieldFault fault />
        </form>
    }
}
