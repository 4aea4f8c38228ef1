//! The forms for a new stream and for a fork, with every option of a PUT.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::curl::{CurlButton, FieldFault};
use super::subscription::SubscriptionSection;
use crate::api::name::typed as typed_name;
use crate::api::new_stream::NewStreamForm;
use crate::api::request::ApiRequest;
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::Unit;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::pages::streams::text::StreamsText;
use crate::widgets::field::TextField;
use crate::widgets::views::CollectAny;

/// The content types of the choice; any other can be typed.
const TYPES: [&str; 3] = [
    "application/json",
    "text/plain; charset=utf-8",
    "application/octet-stream",
];

/// The fields of the form.
#[derive(Clone, Copy)]
struct StreamFormState {
    source: Option<StoredValue<StreamName>>,
    name: RwSignal<String>,
    content_type: RwSignal<String>,
    ttl_seconds: RwSignal<String>,
    expires_at: RwSignal<String>,
    keep_bytes: RwSignal<String>,
    keep_seconds: RwSignal<String>,
    is_closed: RwSignal<bool>,
    first: RwSignal<String>,
    fork_at: RwSignal<String>,
    fork_beyond: RwSignal<String>,
    fault: RwSignal<String>,
}

impl StreamFormState {
    fn new(
        source: Option<StoredValue<StreamName>>,
        content_type: String,
        fork_at: RwSignal<String>,
    ) -> Self {
        let empty = || RwSignal::new(String::new());
        Self {
            source,
            name: empty(),
            content_type: RwSignal::new(content_type),
            ttl_seconds: empty(),
            expires_at: empty(),
            keep_bytes: empty(),
            keep_seconds: empty(),
            is_closed: RwSignal::new(false),
            first: empty(),
            fork_at,
            fork_beyond: empty(),
            fault: empty(),
        }
    }

    /// The values of the fields; reactive when read in a view.
    fn form(&self) -> NewStreamForm {
        let moment = self.expires_at.get();
        NewStreamForm {
            name: self.name.get(),
            content_type: self.content_type.get(),
            ttl_seconds: self.ttl_seconds.get(),
            expires_at: browser::moment_in_utc(&moment).unwrap_or_default(),
            keep_bytes: self.keep_bytes.get(),
            keep_seconds: self.keep_seconds.get(),
            is_closed: self.is_closed.get(),
            first: self.first.get(),
            source: self.source.map(|source| source.get_value()),
            fork_at: self.fork_at.get(),
            fork_beyond: self.fork_beyond.get(),
        }
    }
}

/// The form for a new stream, and the one for subscriptions.
#[component]
pub fn Create() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let typed = StreamFormState::new(None, TYPES[0].to_owned(), RwSignal::new(String::new()));
    view! {
        <section class="panel" aria-labelledby="create-title">
            <h2 id="create-title">{streams.localized(|text| text.create_title)}</h2>
            <p class="hint">{streams.localized(|text| text.create_intro)}</p>
            <StreamForm typed />
            <SubscriptionSection />
        </section>
    }
}

/// The form for a fork of a stream.
#[component]
pub fn ForkForm(
    /// The stream to fork.
    name: StoredValue<StreamName>,
    /// Its details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let content_type = details.with_untracked(|details| {
        let here = details.as_ref();
        here.map(|it| it.configuration.content_type.clone())
    });
    streams.fork_at.set(String::new());
    let typed = StreamFormState::new(
        Some(name),
        content_type.unwrap_or_default(),
        streams.fork_at,
    );
    view! {
        <p class="hint">{streams.localized(|text| text.fork_hint)}</p>
        <StreamForm typed />
    }
}

#[component]
fn StreamForm(typed: StreamFormState) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let fault = typed.fault;
    let is_fork = typed.source.is_some();
    let is_busy = RwSignal::new(false);
    let line = Signal::derive(move || {
        ApiRequest::create(&typed.form())
            .map(|request| request.curl(&browser::origin()))
            .unwrap_or_default()
    });
    let create = move || {
        if is_busy.get_untracked() {
            return;
        }
        let form = untrack(move || typed.form());
        let request = match ApiRequest::create(&form) {
            Ok(request) => request,
            Err(field) => return fault.set((streams.text().field)(&field)),
        };
        let name = typed_name(&form.name)
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
                    let (name, is_new) = (name.clone(), done.is_new);
                    streams.last_action.try_set(Some(if is_fork && is_new {
                        LastAction::Forked(name)
                    } else {
                        LastAction::Created { name, is_new }
                    }));
                }
                Err(why) => {
                    fault.try_set(why);
                    return;
                }
            }
            streams.open(HistoryChange::Push, |address| address.stream = Some(name));
        });
    };
    let (send, curl) = if is_fork {
        ("fork-send", "curl-fork")
    } else {
        ("create-send", "curl-create")
    };
    view! {
        <form
            class="form"
            on:submit=move |event| {
                event.prevent_default();
                create();
            }
        >
            <StreamFields typed />
            <div class="row">
                <button class="primary" type="submit" data-testid=send disabled=move || is_busy.get()>
                    {move || if is_fork { streams.text().fork } else { streams.text().create }}
                </button>
                <CurlButton line id=curl />
            </div>
            <FieldFault fault />
        </form>
    }
}

#[component]
fn StreamFields(typed: StreamFormState) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_fork = typed.source.is_some();
    let name_id = if is_fork { "fork-name" } else { "create-name" };
    let hint = Signal::derive(move || match typed.source {
        Some(source) => source.with_value(|source| format!("{source}-2")),
        None => streams.text().stream_name_hint.to_owned(),
    });
    let first = view! {
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
    .into_any();
    let (inside, below) = if is_fork {
        (Some(first), None)
    } else {
        (None, Some(first))
    };
    let middle = if is_fork {
        let tail = Signal::derive(move || streams.text().fork_tail.to_owned());
        view! {
            <label for="fork-at">{streams.localized(|text| text.fork_at)}</label>
            <TextField id="fork-at" class="offset" numeric=true value=typed.fork_at placeholder=tail />
        }
        .into_any()
    } else {
        view! { <TypeChoice content_type=typed.content_type /> }.into_any()
    };
    view! {
        <label for=name_id>{streams.localized(|text| text.stream_name)}</label>
        <TextField id=name_id value=typed.name placeholder=hint typed=move |()| typed.fault.set(String::new()) />
        {middle}
        <details class="limits">
            <summary data-testid="options">{streams.localized(|text| text.limits)}</summary>
            <p class="hint">{move || if is_fork { streams.text().fork_limits_hint } else { streams.text().limits_hint }}</p>
            {is_fork.then(|| view! { <Number id="fork-beyond" value=typed.fork_beyond label=|text| text.fork_beyond unit=None /> }.into_any())}
            <Number id="create-ttl" value=typed.ttl_seconds label=|text| text.ttl unit=Some(Unit::Second) />
            <div class="dial">
                <label for="create-expires">{streams.localized(|text| text.expires_at)}</label>
                <input
                    id="create-expires"
                    data-testid="create-expires"
                    type="datetime-local"
                    on:input=move |event| typed.expires_at.set(event_target_value(&event))
                />
            </div>
            <Number id="create-keep-bytes" value=typed.keep_bytes label=|text| text.keep_bytes unit=Some(Unit::Byte) />
            <Number id="create-keep-seconds" value=typed.keep_seconds label=|text| text.keep_seconds unit=Some(Unit::Second) />
            <div class="dial">
                <label for="create-closed">{streams.localized(|text| text.closed_at_once)}</label>
                <input
                    id="create-closed"
                    data-testid="create-closed"
                    type="checkbox"
                    on:change=move |event| typed.is_closed.set(event_target_checked(&event))
                />
            </div>
            {inside}
        </details>
        {below}
    }
}

/// The choice of a content type, with a field for other ones.
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
            {TYPES.map(|one| view! { <option value=one>{one}</option> }).collect_any()}
            <option value="">{streams.localized(|text| text.other_type)}</option>
        </select>
        {move || is_other.get().then(|| {
            let label = streams.localized(|text| text.content_type);
            view! { <TextField id="create-other-type" value=content_type placeholder=String::new() label /> }.into_any()
        })}
    }
}

#[component]
fn Number(
    id: &'static str,
    value: RwSignal<String>,
    label: fn(&'static StreamsText) -> &'static str,
    unit: Option<Unit>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    view! {
        <div class="dial">
            <label for=id>{streams.localized(label)}</label>
            <span class="field">
                <TextField id value placeholder=String::new() numeric=true />
                <span class="unit">{move || unit.map_or("", |unit| unit.symbol(streams.shell.language.get()))}</span>
            </span>
        </div>
    }
}
