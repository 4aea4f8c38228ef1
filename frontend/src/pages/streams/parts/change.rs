//! The actions fork, close and delete; those that can't be undone need a confirmation.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::create::ForkForm;
use super::curl::{CurlButton, FieldFault};
use crate::api::request::ApiRequest;
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::count;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::reactive;

/// The three actions.
#[component]
pub fn ChangeSection(
    /// The stream.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let closed = reactive::memo(move || {
        details.with(|details| details.as_ref().is_some_and(|details| details.closed))
    });
    let forks = move || {
        details.with(|details| details.as_ref().map_or(0, |details| details.fork_count)) as u64
    };
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
                        curl="curl-close"
                        act=streams.localized(|text| text.close)
                        ask=Signal::derive(move || streams.text().close_ask.to_owned())
                        sure=streams.localized(|text| text.close_sure)
                        request=move |()| close()
                        done=move |()| streams.last_action.set(Some(LastAction::Closed(name.get_value().to_string())))
                    />
                }.into_any())}
                <ConfirmButton
                    id="delete"
                    curl="curl-delete"
                    act=streams.localized(|text| text.delete)
                    ask=Signal::derive(move || {
                        let text = streams.text();
                        let ask = name.with_value(|name| (text.delete_ask)(name.as_str()));
                        match forks() {
                            0 => ask,
                            forks => format!("{ask} {}", (text.delete_forks)(&count(forks))),
                        }
                    })
                    sure=streams.localized(|text| text.delete_sure)
                    request=move |()| delete()
                    done=move |()| {
                        streams.last_action.set(Some(LastAction::Deleted(name.get_value().to_string())));
                        streams.open(HistoryChange::Push, |address| address.stream = None);
                    }
                />
            </div>
        </section>
    }
}

/// The state of an action that requires a confirmation.
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

    /// Shows or hides the question, and moves the focus to the button that replaces the focused one.
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
            let outcome = if self.id == "delete" {
                controller.delete(&request).await
            } else {
                controller.send(&request).await
            };
            self.is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    self.is_asking.try_set(false);
                    // The focused button may have been removed.
                    browser::focus("chosen");
                    // Something else may have been opened meanwhile.
                    done.try_run(());
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
pub fn ConfirmButton(
    /// The prefix of its ids; `delete` also stops the follower of the stream.
    id: &'static str,
    /// The id of its curl button.
    curl: &'static str,
    /// The label of the button.
    act: Signal<&'static str>,
    /// The question.
    ask: Signal<String>,
    /// The label of the button that confirms.
    sure: Signal<&'static str>,
    /// The request of the action.
    #[prop(into)]
    request: Callback<(), ApiRequest>,
    /// Called after a success.
    #[prop(into)]
    done: Callback<()>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let state = ConfirmState::new(id);
    let ConfirmState {
        is_asking,
        is_busy,
        fault,
        ..
    } = state;
    let line = Signal::derive(move || request.run(()).curl(&browser::origin()));
    let show_question = move |is_shown: bool| state.ask(is_shown);
    let go = move |_| state.send(streams, untrack(move || request.run(())), done);
    view! {
        <div class="confirm" on:keydown=move |event| if event.key() == "Escape" && is_asking.get_untracked() { show_question(false) }>
            {move || if is_asking.get() {
                view! {
                    <p role="alert">{ask}</p>
                    <div class="row">
                        <button class="danger" data-testid=format!("{id}-sure") disabled=move || is_busy.get() on:click=go>
                            {sure}
                        </button>
                        <button class="tool wide" id=format!("{id}-keep") data-testid=format!("{id}-keep") on:click=move |_| show_question(false)>
                            {streams.localized(|text| text.keep)}
                        </button>
                    </div>
                }
                .into_any()
            } else {
                view! {
                    <div class="row">
                        <button class="tool wide" id=format!("{id}-ask") data-testid=format!("{id}-ask") on:click=move |_| show_question(true)>
                            {act}
                        </button>
                        <CurlButton line id=curl />
                    </div>
                }
                .into_any()
            }}
            <FieldFault fault />
        </div>
    }
}
