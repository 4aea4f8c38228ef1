//! A table in a region that scrolls.

use leptos::prelude::*;

use crate::widgets::views::CollectAny;

/// A table in a region that scrolls.
///
/// - `id`: for tests.
/// - `label`: of the region.
/// - `columns`: the names of the columns, in the language in use.
pub fn table(
    id: &'static str,
    label: Signal<&'static str>,
    caption: Option<Signal<&'static str>>,
    columns: Callback<(), Vec<&'static str>>,
    rows: AnyView,
) -> AnyView {
    let names = move || {
        let names = columns.run(()).into_iter();
        names
            .map(|name| view! { <th scope="col">{name}</th> })
            .collect_any()
    };
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=label>
            <table data-testid=id>
                {caption.map(|caption| view! { <caption>{caption}</caption> }.into_any())}
                <thead><tr>{move || names()}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
