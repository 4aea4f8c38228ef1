//! The publish box, and the latest message of the stream.

use leptos::prelude::*;
use tailwater_protocol::percent::encode_path;

use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::widgets::command::CommandLine;

/// The form that appends a message to the stream.
#[component]
pub fn Publish() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let message = RwSignal::new(String::new());
    let is_sending = RwSignal::new(false);
    let is_sent = RwSignal::new(false);
    // Why the last message was refused; empty if it was not.
    let refused = RwSignal::new(String::new());
    let forget = move || {
        is_sent.set(false);
        refused.set(String::new());
    };
    let send = move || {
        let text = message.get_untracked();
        if text.is_empty() || is_sending.get_untracked() {
            return;
        }
        is_sending.set(true);
        forget();
        let controller = page.controller();
        wasm_bindgen_futures::spawn_local(async move {
            match controller.publish(&text).await {
                Ok(()) => {
                    message.set(String::new());
                    is_sent.set(true);
                }
                Err(why) => refused.set(why),
            }
            is_sending.set(false);
        });
    };
    let said = move || {
        let why = refused.get();
        if !why.is_empty() {
            (page.text().refused)(&why)
        } else if is_sent.get() {
            page.text().sent.to_owned()
        } else {
            String::new()
        }
    };
    view! {
        <form
            class="publish"
            on:submit=move |event| {
                event.prevent_default();
                send();
            }
        >
            <label for="publish-text">{page.localized(|text| text.publish)}</label>
            <div class="row">
                <input
                    id="publish-text"
                    data-testid="publish-text"
                    type="text"
                    autocomplete="off"
                    maxlength="4000"
                    aria-describedby="publish-hint"
                    placeholder=page.localized(|text| text.publish_placeholder)
                    prop:value=move || message.get()
                    on:input=move |event| {
                        message.set(event_target_value(&event));
                        forget();
                    }
                />
                <button class="primary" type="submit" data-testid="publish-send">{page.localized(|text| text.send)}</button>
            </div>
            <p class="hint" id="publish-hint">{page.localized(|text| text.publish_hint)}</p>
            <p class="said" role="status" data-testid="published" class:fault=move || !refused.with(String::is_empty)>{move || said()}</p>
        </form>
    }
}

/// The latest message, and the shell command that follows the stream.
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
            <h2>{page.localized(|text| text.latest)}</h2>
            <code class="message" tabindex="0">{move || shown()}</code>
            {move || (!stream.with(String::is_empty)).then(|| view! { <CommandLine line=line() /> }.into_any())}
        </section>
    }
}
