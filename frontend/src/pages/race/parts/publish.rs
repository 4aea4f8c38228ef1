//! The publish box, and the latest message of the stream.

use leptos::prelude::*;
use tailwater_protocol::percent::encode_path;

use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::reactive;
use crate::widgets::command::CommandLine;

/// The state of the form.
#[derive(Clone, Copy)]
struct PublishForm {
    page: RaceContext,
    message: RwSignal<String>,
    is_sending: RwSignal<bool>,
    is_sent: RwSignal<bool>,
    /// Why the last message was refused; empty if it was not.
    refusal: RwSignal<String>,
}

impl PublishForm {
    fn new(page: RaceContext) -> Self {
        Self {
            page,
            message: RwSignal::new(String::new()),
            is_sending: RwSignal::new(false),
            is_sent: RwSignal::new(false),
            refusal: RwSignal::new(String::new()),
        }
    }

    fn clear_result(self) {
        self.is_sent.set(false);
        self.refusal.set(String::new());
    }

    fn send(self) {
        let text = self.message.get_untracked();
        if text.is_empty() || self.is_sending.get_untracked() {
            return;
        }
        self.is_sending.set(true);
        self.clear_result();
        let controller = self.page.controller();
        wasm_bindgen_futures::spawn_local(async move {
            match controller.publish(&text).await {
                Ok(()) => {
                    self.message.set(String::new());
                    self.is_sent.set(true);
                }
                Err(why) => self.refusal.set(why),
            }
            self.is_sending.set(false);
        });
    }

    /// The result of the last message; reactive when read in a view.
    fn result_text(self) -> String {
        let why = self.refusal.get();
        if !why.is_empty() {
            (self.page.text().refused)(&why)
        } else if self.is_sent.get() {
            self.page.text().sent.to_owned()
        } else {
            String::new()
        }
    }
}

/// The form that appends a message to the stream.
#[component]
pub fn Publish() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let form = PublishForm::new(page);
    view! {
        <form
            class="publish"
            on:submit=move |event| {
                event.prevent_default();
                form.send();
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
                    prop:value=move || form.message.get()
                    on:input=move |event| {
                        form.message.set(event_target_value(&event));
                        form.clear_result();
                    }
                />
                <button class="primary" type="submit" data-testid="publish-send">{page.localized(|text| text.send)}</button>
            </div>
            <p class="hint" id="publish-hint">{page.localized(|text| text.publish_hint)}</p>
            <p class="said" role="status" data-testid="published" class:fault=move || !form.refusal.with(String::is_empty)>{move || form.result_text()}</p>
        </form>
    }
}

/// The latest message, and the shell command that follows the stream.
#[component]
pub fn Latest() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let latest = reactive::memo(move || page.summary.with(|summary| summary.latest.clone()));
    let stream = reactive::memo(move || page.summary.with(|summary| summary.stream.clone()));
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
