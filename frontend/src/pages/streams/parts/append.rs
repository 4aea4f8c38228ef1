//! The append box: Enter sends a message, and a refusal of the server is shown.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::inspect::StreamDetails;

use super::curl::{CurlButton, FieldFault};
use crate::api::request::{ApiRequest, example};
use crate::browser;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::reactive;

/// The box, or a note if the stream is closed.
#[component]
pub fn AppendBox(
    /// The stream.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let closed = reactive::memo(move || {
        details.with(|details| details.as_ref().is_some_and(|details| details.closed))
    });
    view! {
        <section class="part" aria-labelledby="append-title">
            <h3 id="append-title">{streams.localized(|text| text.append_title)}</h3>
            {move || {
                if closed.get() {
                    view! { <p class="hint">{streams.localized(|text| text.is_closed)}</p> }.into_any()
                } else {
                    view! { <AppendForm name details /> }.into_any()
                }
            }}
        </section>
    }
}

/// The text of the box, and the result of sending it.
#[derive(Clone, Copy)]
struct AppendFields {
    name: StoredValue<StreamName>,
    content_type: Memo<String>,
    body: RwSignal<String>,
    fault: RwSignal<String>,
    is_busy: RwSignal<bool>,
}

impl AppendFields {
    fn new(name: StoredValue<StreamName>, details: Memo<Option<StreamDetails>>) -> Self {
        let content_type = reactive::memo(move || {
            details.with(|details| {
                details
                    .as_ref()
                    .map(|it| it.configuration.content_type.clone())
                    .unwrap_or_default()
            })
        });
        Self {
            name,
            content_type,
            body: RwSignal::new(String::new()),
            fault: RwSignal::new(String::new()),
            is_busy: RwSignal::new(false),
        }
    }

    fn request(self, body: &str) -> ApiRequest {
        self.name.with_value(|name| {
            self.content_type
                .with_untracked(|content_type| ApiRequest::append(name, content_type, body))
        })
    }

    /// The curl line for what is typed, or for an example.
    fn curl(self) -> String {
        let typed = self.body.get();
        let body = if typed.is_empty() {
            self.content_type.with(|it| example(it)).to_owned()
        } else {
            typed
        };
        self.request(&body).curl(&browser::origin())
    }

    fn send(self, streams: StreamsContext) {
        let typed = self.body.get_untracked();
        if typed.is_empty() || self.is_busy.get_untracked() {
            return;
        }
        let request = self.request(&typed);
        self.is_busy.set(true);
        self.fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            match controller.send(&request).await {
                Ok(done) => {
                    streams.last_action.try_set(Some(LastAction::Appended(
                        done.next.map(|next| next.to_string()).unwrap_or_default(),
                    )));
                    // A text that was typed meanwhile is kept.
                    self.body.try_update(|body| {
                        if *body == typed {
                            body.clear();
                        }
                    });
                }
                Err(why) => {
                    self.fault.try_set(why);
                }
            }
            self.is_busy.try_set(false);
        });
    }
}

#[component]
fn AppendForm(
    name: StoredValue<StreamName>,
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let fields = AppendFields::new(name, details);
    let AppendFields {
        content_type,
        body,
        fault,
        is_busy,
        ..
    } = fields;
    let is_json = move || {
        content_type.with(|content_type| ContentKind::of(content_type) == ContentKind::Json)
    };
    let line = Signal::derive(move || fields.curl());
    let send = move || fields.send(streams);
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
                {streams.localized(|text| text.append_hint)} " "
                {move || if is_json() { streams.text().append_json } else { "" }}
            </p>
            <div class="row">
                <button class="primary" type="submit" data-testid="append-send" disabled=move || is_busy.get()>
                    {streams.localized(|text| text.append)}
                </button>
                <CurlButton line id="curl-append" />
            </div>
            <FieldFault fault />
        </form>
    }
}
