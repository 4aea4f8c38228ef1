//! A technique's shape with its letter, as a small picture in the text.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::canvas::shape::corners;
use crate::numbers;

/// The shape of `technique`; its name stands beside it, so it is hidden from readers of text.
#[component]
pub fn Shape(
    /// Whose shape.
    technique: Technique,
) -> impl IntoView {
    let place = |at: f64| numbers::fixed(at * 8.5, 2);
    let points: Vec<String> = corners(technique)
        .iter()
        .map(|(x, y)| format!("{},{}", place(*x), place(*y)))
        .collect();
    let outline = if points.is_empty() {
        view! { <circle r="8.5" /> }.into_any()
    } else {
        view! { <polygon points=points.join(" ") /> }.into_any()
    };
    view! {
        <svg class="shape" viewBox="-11 -11 22 22" width="22" height="22" aria-hidden="true" focusable="false">
            {outline}
            <text y=if technique == Technique::Ndjson { "5.5" } else { "3.7" }>{technique.letter().to_string()}</text>
        </svg>
    }
}
