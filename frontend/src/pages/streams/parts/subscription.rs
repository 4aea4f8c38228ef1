//! The form for subscriptions: creates, shows and deletes one by its id, because the server can't list them.

use leptos::prelude::*;

use super::change::ConfirmButton;
use super::curl::{CurlButton, FieldFault};
use crate::api::request::ApiRequest;
use crate::api::subscription::{SubscriptionDetails, SubscriptionForm};
use crate::app::HistoryChange;
use crate::browser;
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::controller::read_text;
use crate::pages::streams::text::StreamsText;
use crate::widgets::field::TextField;
use crate::widgets::views::CollectAny;

/// The state of the form.
#[derive(Clone, Copy)]
struct SubscriptionFormState {
    streams: StreamsContext,
    id: RwSignal<String>,
    is_pull_wake: RwSignal<bool>,
    pattern: RwSignal<String>,
    target: RwSignal<String>,
    /// The state of the subscription, as JSON.
    shown: RwSignal<String>,
    fault: RwSignal<String>,
}

impl SubscriptionFormState {
    fn new(streams: StreamsContext, id: String) -> Self {
        let empty = || RwSignal::new(String::new());
        Self {
            streams,
            id: RwSignal::new(id),
            is_pull_wake: RwSignal::new(false),
            pattern: empty(),
            target: empty(),
            shown: empty(),
            fault: empty(),
        }
    }

    /// The values of the fields; reactive when read in a view.
    fn form(self) -> SubscriptionForm {
        SubscriptionForm {
            id: self.id.get(),
            is_pull_wake: self.is_pull_wake.get(),
            pattern: self.pattern.get(),
            target: self.target.get(),
        }
    }

    /// Requests the subscription with this id.
    fn show(self) {
        let form = untrack(move || self.form());
        self.streams.open(HistoryChange::Replace, |address| {
            address.subscription = Some(form.id.trim().to_owned()).filter(|id| !id.is_empty());
        });
        self.shown.set(String::new());
        self.fault.set(String::new());
        if !form.has_id() {
            return;
        }
        wasm_bindgen_futures::spawn_local(async move {
            match read_text(form.show()).await {
                Ok(details) => {
                    self.shown.try_set(details);
                }
                Err(why) => {
                    self.fault.try_set(why.message().to_owned());
                }
            }
        });
    }

    fn create(self) {
        let request = untrack(move || self.form().create());
        wasm_bindgen_futures::spawn_local(async move {
            match self.streams.controller().send(&request).await {
                Ok(_) => self.show(),
                Err(why) => {
                    self.fault.try_set(why);
                }
            }
        });
    }

    fn line(self, make: fn(&SubscriptionForm) -> ApiRequest) -> Signal<String> {
        Signal::derive(move || make(&self.form()).curl(&browser::origin()))
    }

    fn field(
        self,
        id: &'static str,
        label: fn(&'static StreamsText) -> &'static str,
        value: RwSignal<String>,
        hint: &'static str,
    ) -> AnyView {
        view! {
            <label for=id>{self.streams.localized(label)}</label>
            <TextField id value placeholder=hint.to_owned() typed=move |()| self.fault.set(String::new()) />
        }
        .into_any()
    }
}

/// The form, and the subscription with its cursors.
#[component]
pub fn SubscriptionSection() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let opened = streams
        .address
        .with_untracked(|address| address.subscription.clone());
    let is_open = opened.is_some();
    let state = SubscriptionFormState::new(streams, opened.unwrap_or_default());
    if is_open {
        state.show();
    }
    let no_id = move || state.id.with(|id| id.trim().is_empty());
    let button = move |id,
                       label: fn(&'static StreamsText) -> &'static str,
                       act: fn(SubscriptionFormState)| {
        view! {
            <button class="tool wide" type="button" data-testid=id disabled=no_id on:click=move |_| act(state)>
                {streams.localized(label)}
            </button>
        }
        .into_any()
    };
    view! {
        <details class="part" open=is_open>
            <summary data-testid="subscriptions">{streams.localized(|text| text.subscriptions)}</summary>
            <p class="hint">{streams.localized(|text| text.subscriptions_hint)}</p>
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    state.show();
                }
            >
                {state.field("subscription-id", |text| text.subscription_id, state.id, "jobs")}
                <div class="row">
                    {button("subscription-show", |text| text.subscription_show, SubscriptionFormState::show)}
                    <CurlButton line=state.line(SubscriptionForm::show) id="curl-subscription" />
                </div>
                <ShownSubscription shown=state.shown />
                <label for="subscription-kind">{streams.localized(|text| text.subscription_kind)}</label>
                <select
                    id="subscription-kind"
                    data-testid="subscription-kind"
                    on:change=move |event| state.is_pull_wake.set(event_target_value(&event) == "pull-wake")
                >
                    <option>"webhook"</option>
                    <option>"pull-wake"</option>
                </select>
                {state.field("subscription-pattern", |text| text.subscription_pattern, state.pattern, "jobs/**")}
                {state.field("subscription-target", |text| text.subscription_target, state.target, "http://localhost:9000/hook")}
                <div class="row">
                    {button("subscription-create", |text| text.create, SubscriptionFormState::create)}
                    <CurlButton line=state.line(SubscriptionForm::create) id="curl-subscribe" />
                </div>
                <FieldFault fault=state.fault />
            </form>
            <ConfirmButton
                id="unsubscribe"
                curl="curl-unsubscribe"
                act=streams.localized(|text| text.delete)
                ask=Signal::derive(move || streams.text().subscription_ask.to_owned())
                sure=streams.localized(|text| text.delete)
                request=move |()| untrack(move || state.form().delete())
                done=move |()| state.show()
            />
        </details>
    }
}

/// The state of the subscription, and its cursor in each stream.
#[component]
fn ShownSubscription(shown: RwSignal<String>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let body = move || {
        let details = shown.with(|json| SubscriptionDetails::parse(json))?;
        let rows = details.cursors.clone().into_iter().map(|cursor| {
            view! { <tr><th scope="row">{cursor.path}</th><td class="offset">{cursor.acked_offset}</td></tr> }
        });
        let rows = rows.collect_any();
        let shown = view! {
            <p role="status" data-testid="subscription-state">{move || (streams.text().subscription_state)(&details)}</p>
            <div class="scroll" tabindex="0">
                <table data-testid="cursors">
                    <thead>
                        <tr>
                            <th scope="col">{streams.localized(|text| text.stream_name)}</th>
                            <th scope="col">{streams.localized(|text| text.acknowledged)}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        };
        Some(shown.into_any())
    };
    view! { {move || body()} }
}
