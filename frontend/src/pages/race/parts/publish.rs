//! The publish box, and the latest message of the stream.

use leptos::prelude::*;
use tailwater_protocol::percent::encode_path;

use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::widgets::command::Command;

/// What became of the last message.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    None,
    Sending,
    Sent,
    Refused(String),
}

/// Appends a message to the stream that is shown.
#[component]
pub fn Publish() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let message = RwSignal::new(String::new());
    let outcome = RwSignal::new(Outcome::None);
    let send = move || {
        let text = message.get_untracked();
        if text.is_empty() || outcome.get_untracked() == Outcome::Sending {
            return;
        }
        outcome.set(Outcome::Sending);
        let controller = page.controller();
        wasm_bindgen_futures::spawn_local(async move {
            let became = match controller.publish(&text).await {
                Ok(()) => {
                    message.set(String::new());
                    Outcome::Sent
                }
                Err(why) => Outcome::Refused(why),
            };
            outcome.set(became);
        });
    };
    let said = move || match outcome.get() {
        Outcome::None | Outcome::Sending => String::new(),
        Outcome::Sent => page.text().sent.to_owned(),
        Outcome::Refused(why) => (page.text().refused)(&why),
    };
    view! {
        <form
            class="publish"
            on:submit=move |event| {
                event.prevent_default();
                send();
            }
        >
            <label for="publish-text">{page.say(|text| text.publish)}</label>
            <div class="row">
                <input
                    id="publish-text"
                    data-testid="publish-text"
                    type="text"
                    autocomplete="off"
                    maxlength="4000"
                    aria-describedby="publish-hint"
                    placeholder=Signal::derive(move || page.text().publish_placeholder.to_owned())
                    prop:value=move || message.get()
                    on:input=move |event| {
                        message.set(event_target_value(&event));
                        outcome.set(Outcome::None);
                    }
                />
                <button class="primary" type="submit" data-testid="publish-send">{page.say(|text| text.send)}</button>
            </div>
            <p class="hint" id="publish-hint">{page.say(|text| text.publish_hint)}</p>
            <p class="said" class:fault=move || matches!(outcome.get(), Outcome::Refused(_))>{said}</p>
        </form>
    }
}

/// The latest message, and the line that follows the same stream in a shell.
#[component]
pub fn Latest() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let latest = Memo::new(move |_| page.summary.with(|summary| summary.latest.clone()));
    let stream = Memo::new(move |_| page.summary.with(|summary| summary.stream.clone()));
    let shown = move || {
        let latest = latest.get();
        if latest.is_empty() {
            page.text().nothing_yet.to_owned()
        } else {
            latest
        }
    };
    let line = move || {
        format!(
            "curl -N '{}/v1/stream/{}?offset=now&live=sse'",
            browser::origin(),
            encode_path(&stream.get())
        )
    };
    view! {
        <section class="latest">
            <h2>{page.say(|text| text.latest)}</h2>
            <code class="message" tabindex="0">{shown}</code>
            {move || (!stream.with(String::is_empty)).then(|| view! { <Command line=line() /> })}
        </section>
    }
}
