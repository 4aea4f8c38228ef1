//! A table in a scrollable region.

use leptos::prelude::*;

use crate::widgets::views::CollectAny;

/// A table in a scrollable region.
///
/// - `id`: for tests.
/// - `label`: its accessible name.
/// - `columns`: the names of the columns.
pub fn table(
    id: &'static str,
    label: Signal<&'static str>,
    columns: &[Signal<&'static str>],
    rows: Vec<AnyView>,
) -> AnyView {
    let names = columns
        .iter()
        .map(|name| view! { <th scope="col">{*name}</th> });
    view! {
        <div class="scroll" tabindex="0">
            <table data-testid=id aria-label=label>
                <thead><tr>{names.collect_any()}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
