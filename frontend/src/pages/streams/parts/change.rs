//! Fork, close, delete: what can't be undone asks twice.

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
    let forks = move || {
        details.with(|details| details.as_ref().map_or(0, |details| details.fork_count)) as u64
    };
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
                        curl="curl-close"
                        act=streams.say(|text| text.close)
                        ask=Signal::derive(move || streams.text().close_ask.to_owned())
                        sure=streams.say(|text| text.close_sure)
                        request=move |()| close()
                        done=move |()| streams.said.set(Some(LastAction::Closed(name.get_value().to_string())))
                    />
                }.into_any())}
                <Twice
                    id="delete"
                    curl="curl-delete"
                    act=streams.say(|text| text.delete)
                    ask=Signal::derive(move || {
                        let text = streams.text();
                        let ask = name.with_value(|name| (text.delete_ask)(name.as_str()));
                        match forks() {
                            0 => ask,
                            forks => format!("{ask} {}", (text.delete_forks)(&count(forks))),
                        }
                    })
                    sure=streams.say(|text| text.delete_sure)
                    request=move |()| delete()
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
pub fn Twice(
    /// Its id; that of the panel's `delete` ends what is followed.
    id: &'static str,
    /// The id of its curl button.
    curl: &'static str,
    /// What it does.
    act: Signal<&'static str>,
    /// The question.
    ask: Signal<String>,
    /// The answer that acts.
    sure: Signal<&'static str>,
    /// What is sent.
    #[prop(into)]
    request: Callback<(), ApiRequest>,
    /// What happens afterwards.
    #[prop(into)]
    done: Callback<()>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_asking = RwSignal::new(false);
    let is_busy = RwSignal::new(false);
    let fault = RwSignal::new(String::new());
    let line = Signal::derive(move || request.run(()).curl(&browser::origin()));
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
        let request = untrack(move || request.run(()));
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = if id == "delete" {
                controller.delete(&request).await
            } else {
                controller.send(&request).await
            };
            is_busy.try_set(false);
            match outcome {
                Ok(_) => {
                    is_asking.try_set(false);
                    // The button that had it may be gone.
                    browser::focus("chosen");
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
                    <p role="alert">{ask}</p>
                    <div class="row">
                        <button class="danger" data-testid=format!("{id}-sure") disabled=move || is_busy.get() on:click=go>
                            {sure}
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
