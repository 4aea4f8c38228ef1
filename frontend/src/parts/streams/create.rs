//! A new stream: its name, what its bytes are, how long they are kept, and its first content.

use leptos::prelude::*;

use super::line::{Fault, Line};
use crate::app::Step;
use crate::browser;
use crate::model::wish::{NewStream, Wish, clean_name};
use crate::pages::streams::{Said, Streams};
use crate::parts::small::{change, changing, submit};

/// Content types offered; any other can be typed.
const TYPES: [&str; 3] = ["application/json", "text/plain; charset=utf-8", "application/octet-stream"];

/// The form.
#[component]
pub fn Create() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let typed = RwSignal::new(NewStream { content_type: TYPES[0].to_owned(), ..NewStream::default() });
    let fault = RwSignal::new(String::new());
    let is_busy = RwSignal::new(false);
    let line = Signal::derive(move || {
        typed.with(|typed| Wish::create(typed).map(|wish| wish.curl(&browser::origin())).unwrap_or_default())
    });
    let create = move || {
        if is_busy.get_untracked() {
            return;
        }
        let wish = match typed.with_untracked(Wish::create) {
            Ok(wish) => wish,
            Err(field) => return fault.set((streams.text().field)(field).to_owned()),
        };
        let name = typed.with_untracked(|typed| clean_name(&typed.name).to_owned());
        is_busy.set(true);
        fault.set(String::new());
        wasm_bindgen_futures::spawn_local(async move {
            let desk = streams.desk();
            let outcome = desk.send(&wish).await;
            is_busy.try_set(false);
            match outcome {
                Ok(done) => {
                    streams.said.try_set(Some(Said::Created { name: name.clone(), is_new: done.is_new }));
                    streams.shell.open(Step::Recorded, |shelf| shelf.stream = Some(name));
                }
                Err(why) => {
                    fault.try_set(why);
                }
            }
        });
    };
    view! {
        <section class="panel" aria-labelledby="create-title">
            <h2 id="create-title">{streams.say(|text| text.create_title)}</h2>
            <p class="hint">{streams.say(|text| text.create_intro)}</p>
            <form
                class="form"
                on:submit=submit(move |event| {
                    event.prevent_default();
                    create();
                })
            >
                <Name typed fault />
                <TypeChoice typed />
                <Limits typed />
                <First typed />
                <div class="row">
                    <button class="primary" type="submit" data-testid="create-send" disabled=Signal::derive(move || is_busy.get())>
                        {streams.say(|text| text.create)}
                    </button>
                    <Line line id="curl-create" />
                </div>
                <Fault fault />
            </form>
        </section>
    }
}

#[component]
fn Name(typed: RwSignal<NewStream>, fault: RwSignal<String>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    view! {
        <label for="create-name">{streams.say(|text| text.stream_name)}</label>
        <input
            id="create-name"
            data-testid="create-name"
            type="text"
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            placeholder=streams.say(|text| text.stream_name_hint)
            prop:value=Signal::derive(move || typed.with(|typed| typed.name.clone()))
            on:input=change(move |event| {
                fault.set(String::new());
                typed.update(|typed| typed.name = event_target_value(&event));
            })
        />
    }
}

#[component]
fn Limits(typed: RwSignal<NewStream>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    view! {
        <details class="limits">
            <summary>{streams.say(|text| text.limits)}</summary>
            <p class="hint">{streams.say(|text| text.limits_hint)}</p>
            <Number id="create-ttl" typed label=|text| text.ttl unit=|text| text.seconds
                get=|typed| &typed.ttl_seconds set=|typed, value| typed.ttl_seconds = value />
            <Number id="create-keep-bytes" typed label=|text| text.keep_bytes unit=|_| "B"
                get=|typed| &typed.keep_bytes set=|typed, value| typed.keep_bytes = value />
            <Number id="create-keep-seconds" typed label=|text| text.keep_seconds unit=|text| text.seconds
                get=|typed| &typed.keep_seconds set=|typed, value| typed.keep_seconds = value />
        </details>
    }
}

#[component]
fn First(typed: RwSignal<NewStream>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    view! {
        <label for="create-first">{streams.say(|text| text.first)}</label>
        <textarea
            id="create-first"
            data-testid="create-first"
            rows="3"
            spellcheck="false"
            prop:value=Signal::derive(move || typed.with(|typed| typed.first.clone()))
            on:input=change(move |event| typed.update(|typed| typed.first = event_target_value(&event)))
        ></textarea>
    }
}

/// One of the usual content types, or any other.
#[component]
fn TypeChoice(typed: RwSignal<NewStream>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let is_other = RwSignal::new(false);
    let content_type = move || typed.with(|typed| typed.content_type.clone());
    view! {
        <label for="create-type">{streams.say(|text| text.content_type)}</label>
        <select
            id="create-type"
            data-testid="create-type"
            on:change=change(move |event| {
                let value = event_target_value(&event);
                is_other.set(value.is_empty());
                if !value.is_empty() {
                    typed.update(|typed| typed.content_type = value);
                }
            })
        >
            {TYPES.map(|one| view! { <option value=one>{one}</option> }).collect_view()}
            <option value="">{streams.say(|text| text.other_type)}</option>
        </select>
        {changing(move || is_other.get().then(|| view! {
            <input
                type="text"
                data-testid="create-other-type"
                aria-label=streams.say(|text| text.content_type)
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                prop:value=content_type
                on:input=change(move |event| typed.update(|typed| typed.content_type = event_target_value(&event)))
            />
        }))}
    }
}

#[component]
fn Number(
    id: &'static str,
    typed: RwSignal<NewStream>,
    label: fn(&crate::text::streams::StreamsText) -> &'static str,
    unit: fn(&crate::text::streams::StreamsText) -> &'static str,
    get: fn(&NewStream) -> &String,
    set: fn(&mut NewStream, String),
) -> impl IntoView {
    let streams = expect_context::<Streams>();
    view! {
        <div class="dial">
            <label for=id>{changing(move || label(streams.text()))}</label>
            <span class="field">
                <input
                    id=id
                    data-testid=id
                    type="text"
                    inputmode="numeric"
                    autocomplete="off"
                    prop:value=Signal::derive(move || typed.with(|typed| get(typed).clone()))
                    on:input=change(move |event| typed.update(|typed| set(typed, event_target_value(&event))))
                />
                <span class="unit">{changing(move || unit(streams.text()))}</span>
            </span>
        </div>
    }
}
