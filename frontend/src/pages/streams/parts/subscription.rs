//! The list of subscriptions, and the form that creates, shows, pauses, resumes and deletes one by its id.

use leptos::prelude::*;

use super::change::ConfirmButton;
use super::curl::{CurlButton, FieldFault};
use super::readers::is_details_open;
use crate::api::request::ApiRequest;
use crate::api::subscription::{
    SubscriptionDetails, SubscriptionForm, SubscriptionPage, SubscriptionRow,
};
use crate::app::HistoryChange;
use crate::browser;
use crate::numbers::count;
use crate::pages::streams::context::{LastAction, StreamsContext};
use crate::pages::streams::controller::{AbortableTask, read_text};
use crate::pages::streams::model::address::StreamsAddress;
use crate::pages::streams::text::StreamsText;
use crate::reactive;
use crate::widgets::field::TextField;
use crate::widgets::table::table;
use crate::widgets::views::CollectAny;

/// A document of the server, with the request for a newer one.
#[derive(Clone, Copy)]
struct LoadedDocument {
    /// As JSON; empty if there is none.
    json: RwSignal<String>,
    request: StoredValue<Option<AbortableTask>>,
}

impl LoadedDocument {
    fn new() -> Self {
        Self {
            json: RwSignal::new(String::new()),
            request: StoredValue::new(None),
        }
    }
}

/// The state of the form.
#[derive(Clone, Copy)]
struct SubscriptionFormState {
    streams: StreamsContext,
    id: RwSignal<String>,
    is_pull_wake: RwSignal<bool>,
    pattern: RwSignal<String>,
    target: RwSignal<String>,
    list: LoadedDocument,
    /// The subscription that is shown.
    shown: LoadedDocument,
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
            list: LoadedDocument::new(),
            shown: LoadedDocument::new(),
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

    /// Requests the subscription with the id in the field, and the list.
    fn show(self) {
        self.load_list();
        self.load_shown();
    }

    /// Requests the subscription with the id in the field; without an id, none is shown.
    fn load_shown(self) {
        let form = untrack(move || self.form());
        self.streams.open(HistoryChange::Replace, |address| {
            address.subscription = Some(form.id.trim().to_owned()).filter(|id| !id.is_empty());
        });
        self.fault.set(String::new());
        if form.has_id() {
            self.load(form.show(), self.shown);
        } else {
            self.shown.request.set_value(None);
            self.shown.json.set(String::new());
        }
    }

    /// Requests the list.
    fn load_list(self) {
        self.load(SubscriptionPage::request(), self.list);
    }

    /// Requests a document; an older request for it is aborted. A response that is the same as before changes nothing,
    /// so that the focus is kept.
    fn load(self, request: ApiRequest, document: LoadedDocument) {
        let loading = AbortableTask::start(async move {
            let json = read_text(request).await.unwrap_or_else(|why| {
                self.fault.set(why.message().to_owned());
                String::new()
            });
            if document.json.with_untracked(|shown| *shown != json) {
                document.json.set(json);
            }
        });
        document.request.set_value(Some(loading));
    }

    fn create(self) {
        self.send(untrack(move || self.form().create()));
    }

    /// The subscription that is shown; reactive when read in a view.
    fn details(self) -> Option<SubscriptionDetails> {
        self.shown
            .json
            .with(|json| SubscriptionDetails::parse(json))
    }

    /// Pauses the subscription that is shown, or resumes it.
    fn pause_or_resume(self) {
        if let Some(details) = untrack(move || self.details()) {
            self.id.set(details.id.clone());
            self.send(details.pause_or_resume());
        }
    }

    /// Sends a request about the subscription with the id in the field, and shows it.
    fn send(self, request: ApiRequest) {
        wasm_bindgen_futures::spawn_local(async move {
            match self.streams.controller().send(&request).await {
                // Another part of the page may have been opened meanwhile.
                Ok(_) if self.fault.is_disposed() => {}
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

    /// A button of the form, which requires the id.
    fn button(
        self,
        id: &'static str,
        label: fn(&'static StreamsText) -> &'static str,
        act: fn(Self),
    ) -> AnyView {
        let no_id = move || self.id.with(|id| id.trim().is_empty());
        view! {
            <button class="tool wide" type="button" data-testid=id disabled=no_id on:click=move |_| act(self)>
                {self.streams.localized(label)}
            </button>
        }
        .into_any()
    }
}

/// The list, the form, and the subscription with its cursors.
#[component]
pub fn SubscriptionSection() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let opened = streams
        .address
        .with_untracked(|address| address.subscription.clone());
    let is_open = opened.is_some();
    let state = SubscriptionFormState::new(streams, opened.unwrap_or_default());
    if is_open {
        // The list is requested by the toggle event.
        state.load_shown();
    }
    view! {
        <details
            class="part"
            open=is_open
            on:toggle=move |event| if is_details_open(&event) { state.load_list() }
        >
            <summary data-testid="subscriptions">{streams.localized(|text| text.subscriptions)}</summary>
            <p class="hint">{streams.localized(|text| text.subscriptions_hint)}</p>
            <SubscriptionTable state />
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    state.show();
                }
            >
                {state.field("subscription-id", |text| text.subscription_id, state.id, "jobs")}
                <div class="row">
                    {state.button("subscription-show", |text| text.subscription_show, SubscriptionFormState::show)}
                    <CurlButton line=state.line(SubscriptionForm::show) id="curl-subscription" />
                    <PauseButton state />
                </div>
                <ShownSubscription state />
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
                    {state.button("subscription-create", |text| text.create, SubscriptionFormState::create)}
                    <CurlButton line=state.line(SubscriptionForm::create) id="curl-subscribe" />
                </div>
                <FieldFault fault=state.fault />
            </form>
            <UnsubscribeButton state />
        </details>
    }
}

/// The list of subscriptions; a click on an id shows that subscription.
#[component]
fn SubscriptionTable(state: SubscriptionFormState) -> impl IntoView {
    let streams = state.streams;
    let row = move |row: SubscriptionRow| {
        let text = streams.text();
        let id = row.id.clone();
        let show = move |_| {
            state.id.set(id.clone());
            state.show();
        };
        view! {
            <tr>
                <th scope="row">
                    <button class="tool wide" type="button" on:click=show>{row.id}</button>
                </th>
                <td>{row.kind}</td>
                <td>{row.pattern.unwrap_or_else(|| count(row.stream_count))}</td>
                <td>{(text.subscription_status)(row.is_paused, &row.status)}</td>
                <td>{count(row.pending_count)}</td>
                <td class="failure">{row.last_error}</td>
            </tr>
        }
    };
    let body = move || {
        let page = state.list.json.with(|json| SubscriptionPage::parse(json))?;
        if page.rows.is_empty() {
            let none =
                view! { <p class="hint">{streams.localized(|text| text.no_subscriptions)}</p> };
            return Some(none.into_any());
        }
        let more = page.total.saturating_sub(page.rows.len() as u64);
        let more = (more > 0).then(|| (streams.text().and_more)(&count(more)));
        let columns = Callback::new(move |()| {
            let text = streams.text();
            vec![
                text.subscription_id,
                text.subscription_kind,
                text.subscription_streams,
                text.state,
                text.streams_behind,
                text.last_failure,
            ]
        });
        let label = streams.localized(|text| text.subscription_list);
        let rows = page.rows.into_iter().map(row).collect_any();
        let shown = view! {
            {table("subscription-list", label, None, columns, rows.into_any())}
            <p class="hint">{more}</p>
        };
        Some(shown.into_any())
    };
    let line = Signal::derive(|| SubscriptionPage::request().curl(&browser::origin()));
    view! {
        <div class="row">
            <button class="tool wide" type="button" data-testid="subscriptions-refresh" on:click=move |_| state.load_list()>
                {streams.localized(|text| text.refresh)}
            </button>
            <CurlButton line id="curl-subscriptions" />
        </div>
        {move || body()}
    }
}

/// The button that pauses or resumes the subscription that is shown.
#[component]
fn PauseButton(state: SubscriptionFormState) -> impl IntoView {
    let streams = state.streams;
    let label = move || {
        let text = streams.text();
        match state.details() {
            Some(details) if details.is_paused => text.subscription_resume,
            _ => text.subscription_pause,
        }
    };
    let line = Signal::derive(move || {
        let details = state.details();
        details.map_or_else(String::new, |details| {
            details.pause_or_resume().curl(&browser::origin())
        })
    });
    view! {
        <button
            class="tool wide"
            type="button"
            data-testid="subscription-pause"
            disabled=move || line.with(String::is_empty)
            on:click=move |_| state.pause_or_resume()
        >
            {move || label()}
        </button>
        <CurlButton line id="curl-subscription-pause" />
    }
}

/// The button that deletes the subscription that is shown; it asks anew when another one is shown.
#[component]
fn UnsubscribeButton(state: SubscriptionFormState) -> impl IntoView {
    let streams = state.streams;
    let shown = reactive::memo(move || state.details().map(|details| details.id));
    let button = move |id: String| {
        let id = StoredValue::new(id);
        view! {
            <ConfirmButton
                id="unsubscribe"
                curl="curl-unsubscribe"
                act=streams.localized(|text| text.delete)
                ask=Signal::derive(move || id.with_value(|id| (streams.text().subscription_ask)(id)))
                sure=streams.localized(|text| text.delete)
                request=move |()| id.with_value(|id| SubscriptionDetails::delete(id))
                done=move |()| {
                    let id = id.get_value();
                    let is_open = |open: &StreamsAddress| open.subscription.as_ref() == Some(&id);
                    // Another one may have been opened meanwhile.
                    if streams.address.with_untracked(is_open) {
                        state.id.set(String::new());
                    }
                    streams.last_action.set(Some(LastAction::Unsubscribed(id)));
                    state.show();
                }
            />
        }
        .into_any()
    };
    view! { {move || shown.get().map(button)} }
}

/// The state of the subscription, and its cursor in each stream.
#[component]
fn ShownSubscription(state: SubscriptionFormState) -> impl IntoView {
    let streams = state.streams;
    let body = move || {
        let details = state.details()?;
        let rows = details.cursors.clone().into_iter().map(|cursor| {
            view! { <tr><th scope="row">{cursor.path}</th><td class="offset">{cursor.acked_offset}</td></tr> }
        });
        let rows = rows.collect_any();
        let label = streams.localized(|text| text.subscription_streams);
        let columns = Callback::new(move |()| {
            let text = streams.text();
            vec![text.stream_name, text.acknowledged]
        });
        let shown = view! {
            <p role="status" data-testid="subscription-state">{move || (streams.text().subscription_state)(&details)}</p>
            {table("cursors", label, None, columns, rows.into_any())}
        };
        Some(shown.into_any())
    };
    view! { {move || body()} }
}
