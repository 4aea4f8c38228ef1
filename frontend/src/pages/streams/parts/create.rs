//! A new stream: its name, what its bytes are, how long they are kept, and its first content.

use leptos::prelude::*;

use super::curl::{CurlButton, FieldFault};
use crate::api::name::typed as typed_name;
use crate::api::request::{ApiRequest, NewStreamForm};
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::Unit;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::pages::streams::text::StreamsText;
use crate::widgets::field::TextField;

/// The content types of the choice; any other can be typed.
const TYPES: [&str; 3] = [
    "application/json",
    "text/plain; charset=utf-8",
    "application/octet-stream",
];

/// The fields of the form.
#[derive(Clone, Copy)]
struct Typed {
    name: RwSignal<String>,
    content_type: RwSignal<String>,
    ttl_seconds: RwSignal<String>,
    keep_bytes: RwSignal<String>,
    keep_seconds: RwSignal<String>,
    first: RwSignal<String>,
    fault: RwSignal<String>,
}

impl Typed {
    fn new() -> Self {
        let empty = || RwSignal::new(String::new());
        Self {
            name: empty(),
            content_type: RwSignal::new(TYPES[0].to_owned()),
            ttl_seconds: empty(),
            keep_bytes: empty(),
            keep_seconds: empty(),
            first: empty(),
            fault: empty(),
        }
    }

    /// All fields; reactive when read in a view.
    fn stream(&self) -> NewStreamForm {
        NewStreamForm {
            name: self.name.get(),
            content_type: self.content_type.get(),
            ttl_seconds: self.ttl_seconds.get(),
            keep_bytes: self.keep_bytes.get(),
            keep_seconds: self.keep_seconds.get(),
            first: self.first.get(),
        }
    }
}

/// The form.
#[component]
pub fn Create() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let typed = Typed::new();
    let fault = typed.fault;
    let is_busy = RwSignal::new(false);
    let line = Signal::derive(move || {
        ApiRequest::create(&typed.stream())
            .map(|request| request.curl(&browser::origin()))
            .unwrap_or_default()
    });
    let create = move || {
        if is_busy.get_untracked() {
            return;
        }
        let stream = untrack(move || typed.stream());
        let request = match ApiRequest::create(&stream) {
            Ok(request) => request,
            Err(field) => return fault.set((streams.text().field)(&field)),
        };
        let name = typed_name(&stream.name)
            .map(|name| name.to_string())
            .unwrap_or_default();
        is_busy.set(true);
        fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let controller = streams.controller();
            let outcome = controller.send(&request).await;
            is_busy.try_set(false);
            match outcome {
                Ok(done) => {
                    streams.last_action.try_set(Some(LastAction::Created {
                        name: name.clone(),
                        is_new: done.is_new,
                    }));
                    streams.open(HistoryChange::Push, |address| address.stream = Some(name));
                }
                Err(why) => {
                    fault.try_set(why);
                }
            }
        });
    };
    view! {
        <section class="panel" aria-labelledby="create-title">
            <h2 id="create-title">{streams.localized(|text| text.create_title)}</h2>
            <p class="hint">{streams.localized(|text| text.create_intro)}</p>
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    create();
                }
            >
                <CreateFields typed />
                <div class="row">
                    <button class="primary" type="submit" data-testid="create-send" disabled=move || is_busy.get()>
                        {streams.localized(|text| text.create)}
                    </button>
                    <CurlButton line id="curl-create" />
                </div>
                <FieldFault fault />
            </form>
        </section>
    }
}

#[component]
fn CreateFields(typed: Typed) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let hint = Signal::derive(move || streams.text().stream_name_hint.to_owned());
    view! {
        <label for="create-name">{streams.localized(|text| text.stream_name)}</label>
        <TextField id="create-name" value=typed.name placeholder=hint typed=move |()| typed.fault.set(String::new()) />
        <TypeChoice content_type=typed.content_type />
        <details class="limits">
            <summary>{streams.localized(|text| text.limits)}</summary>
            <p class="hint">{streams.localized(|text| text.limits_hint)}</p>
            <Number id="create-ttl" value=typed.ttl_seconds label=|text| text.ttl unit=Unit::Second />
            <Number id="create-keep-bytes" value=typed.keep_bytes label=|text| text.keep_bytes unit=Unit::Byte />
            <Number id="create-keep-seconds" value=typed.keep_seconds label=|text| text.keep_seconds unit=Unit::Second />
        </details>
        <label for="create-first">{streams.localized(|text| text.first)}</label>
        <textarea
            id="create-first"
            data-testid="create-first"
            rows="3"
            spellcheck="false"
            prop:value=move || typed.first.get()
            on:input=move |event| typed.first.set(event_target_value(&event))
        ></textarea>
    }
}

/// The choice of a content type, or a field for any other.
#[component]
fn TypeChoice(content_type: RwSignal<String>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_other = RwSignal::new(false);
    view! {
        <label for="create-type">{streams.localized(|text| text.content_type)}</label>
        <select
            id="create-type"
            data-testid="create-type"
            on:change=move |event| {
                let value = event_target_value(&event);
                is_other.set(value.is_empty());
                if !value.is_empty() {
                    content_type.set(value);
                }
            }
        >
            {TYPES.map(|one| view! { <option value=one>{one}</option> }).collect_view()}
            <option value="">{streams.localized(|text| text.other_type)}</option>
        </select>
        {move || is_other.get().then(|| {
            let label = streams.localized(|text| text.content_type);
            view! { <TextField id="create-other-type" value=content_type placeholder=String::new() label /> }
        })}
    }
}

#[component]
fn Number(
    id: &'static str,
    value: RwSignal<String>,
    label: fn(&'static StreamsText) -> &'static str,
    unit: Unit,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    view! {
        <div class="dial">
            <label for=id>{streams.localized(label)}</label>
            <span class="field">
                <TextField id value placeholder=String::new() numeric=true />
                <span class="unit">{move || unit.symbol(streams.shell.language.get())}</span>
            </span>
        </div>
    }
}
