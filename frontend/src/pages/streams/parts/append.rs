//! The append box: Enter sends, and what the server says against it is shown as it said it.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::inspect::StreamDetails;

use super::curl::{CurlButton, FieldFault};
use crate::api::request::{ApiRequest, example};
use crate::browser;
use crate::pages::streams::context::{LastAction, StreamsContext};

/// The box, or a sentence when the stream is closed.
#[component]
pub fn AppendBox(
    /// Whose.
    name: StoredValue<StreamName>,
    /// What is known of it.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let closed = Memo::new(move |_| {
        details.with(|details| details.as_ref().is_some_and(|details| details.closed))
    });
    view! {
        <section class="part" aria-labelledby="append-title">
            <h3 id="append-title">{streams.say(|text| text.append_title)}</h3>
            {move || {
                if closed.get() {
                    view! { <p class="hint">{streams.say(|text| text.is_closed)}</p> }.into_any()
                } else {
                    view! { <AppendForm name details /> }.into_any()
                }
            }}
        </section>
    }
}

#[component]
fn AppendForm(
    name: StoredValue<StreamName>,
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let content_type = Memo::new(move |_| {
        details.with(|details| {
            details
                .as_ref()
                .map(|it| it.configuration.content_type.clone())
                .unwrap_or_default()
        })
    });
    let is_json = move || {
        content_type.with(|content_type| ContentKind::of(content_type) == ContentKind::Json)
    };
    let body = RwSignal::new(String::new());
    let fault = RwSignal::new(String::new());
    let is_busy = RwSignal::new(false);
    let request = move |body: &str| {
        name.with_value(|name| {
            content_type.with_untracked(|content_type| ApiRequest::append(name, content_type, body))
        })
    };
    let line = Signal::derive(move || {
        let typed = body.get();
        let body = if typed.is_empty() {
            content_type.with(|it| example(it)).to_owned()
        } else {
            typed
        };
        request(&body).curl(&browser::origin())
    });
    let send = move || {
        let typed = body.get_untracked();
        if typed.is_empty() || is_busy.get_untracked() {
            return;
        }
        let request = request(&typed);
        is_busy.set(true);
        fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            match controller.send(&request).await {
                Ok(done) => {
                    streams.said.try_set(Some(LastAction::Appended(
                        done.next.map(|next| next.to_string()).unwrap_or_default(),
                    )));
                    // What was typed meanwhile stays.
                    body.try_update(|body| {
                        if *body == typed {
                            body.clear();
                        }
                    });
                }
                Err(why) => {
                    fault.try_set(why);
                }
            }
            is_busy.try_set(false);
        });
    };
    view! {
        <form
            class="form"
            on:submit=move |event| {
                event.prevent_default();
                send();
            }
        >
            <textarea
                id="append-text"
                data-testid="append-text"
                rows="2"
                spellcheck="false"
                aria-labelledby="append-title"
                aria-describedby="append-hint"
                placeholder=Signal::derive(move || content_type.with(|it| example(it)))
                prop:value=move || body.get()
                on:input=move |event| {
                    fault.set(String::new());
                    body.set(event_target_value(&event));
                }
                on:keydown=move |event| {
                    if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
                        event.prevent_default();
                        send();
                    }
                }
            ></textarea>
            <p class="hint" id="append-hint">
                {streams.say(|text| text.append_hint)} " "
                {move || if is_json() { streams.text().append_json } else { "" }}
            </p>
            <div class="row">
                <button class="primary" type="submit" data-testid="append-send" disabled=move || is_busy.get()>
                    {streams.say(|text| text.append)}
                </button>
                <CurlButton line id="curl-append" />
            </div>
            <FieldFault fault />
        </form>
    }
}
