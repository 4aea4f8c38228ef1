//! The filter of the list: a search by name, the order, and whether the streams of the lab are included.

use leptos::prelude::*;

use crate::api::request::ListFilter;
use crate::app::HistoryChange;
use crate::pages::streams::context::StreamsContext;
use crate::reactive;
use crate::widgets::field::TextField;

/// Delay of a search after the last keystroke, ms.
const DEBOUNCE_MS: u64 = 150;

/// The field for the text that names contain or begin with.
#[component]
pub fn SearchForm() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let typed = RwSignal::new(
        streams
            .address
            .with_untracked(|address| address.filter.text.clone()),
    );
    // A change of the address, such as by the Back button, can change the search.
    reactive::effect(move || {
        let search = streams.address.with(|address| address.filter.text.clone());
        if search != typed.get_untracked().trim() {
            typed.set(search);
        }
    });
    let pending = StoredValue::new(None::<TimeoutHandle>);
    let search = move || {
        let search = typed.get_untracked().trim().to_owned();
        streams.open(HistoryChange::Replace, |address| {
            let filter = &mut address.filter;
            if search != filter.text {
                filter.after = None;
                filter.text = search;
            }
        });
    };
    let search_later = move || {
        if let Some(timer) = pending.get_value() {
            timer.clear();
        }
        pending.set_value(
            set_timeout_with_handle(search, std::time::Duration::from_millis(DEBOUNCE_MS)).ok(),
        );
    };
    on_cleanup(move || {
        if let Some(timer) = pending.get_value() {
            timer.clear();
        }
    });
    view! {
        <form
            role="search"
            on:submit=move |event| {
                event.prevent_default();
                search();
            }
        >
            <label class="visually-hidden" for="stream-search">{streams.localized(|text| text.search)}</label>
            <TextField
                id="stream-search"
                value=typed
                placeholder=Signal::derive(move || format!("{} ( / )", streams.text().search))
                typed=move |()| search_later()
            />
        </form>
    }
}

/// The kind of search, the order, and the checkbox for the streams of the lab.
#[component]
pub fn ListChoices() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is = move |part: fn(&ListFilter) -> bool| {
        move || streams.address.with(|address| part(&address.filter))
    };
    let choose = move |change: fn(&mut ListFilter, bool), to: bool| {
        streams.open(HistoryChange::Replace, |address| {
            change(&mut address.filter, to);
            address.filter.after = None;
        });
    };
    let select = move |id: &'static str,
                       label: Signal<&'static str>,
                       names: [Signal<&'static str>; 2],
                       is_second: fn(&ListFilter) -> bool,
                       change: fn(&mut ListFilter, bool)| {
        view! {
            <select
                data-testid=id
                aria-label=label
                on:change=move |event| choose(change, event_target_value(&event) == "1")
            >
                <option value="0">{names[0]}</option>
                <option value="1" prop:selected=is(is_second)>{names[1]}</option>
            </select>
        }
    };
    let by = select(
        "search-by",
        streams.localized(|text| text.search_by),
        [
            streams.localized(|text| text.contains),
            streams.localized(|text| text.begins),
        ],
        |filter| filter.is_prefix,
        |filter, to| filter.is_prefix = to,
    );
    let sort = select(
        "sort",
        streams.localized(|text| text.sort),
        [
            streams.localized(|text| text.by_name),
            streams.localized(|text| text.newest_first),
        ],
        |filter| filter.newest,
        |filter, to| filter.newest = to,
    );
    view! {
        <div class="choices">
            {by}
            {sort}
            <label>
                <input
                    type="checkbox"
                    data-testid="with-lab"
                    prop:checked=is(|filter| filter.lab)
                    on:change=move |event| choose(|filter, to| filter.lab = to, event_target_checked(&event))
                />
                {streams.localized(|text| text.with_lab)}
            </label>
        </div>
    }
}
