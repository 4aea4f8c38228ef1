//! A technique's shape with its letter, as an icon.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use crate::numbers::fixed;
use crate::techniques::{Shape, look};

/// The badge of `technique`, hidden from screen readers: the name of the technique is beside it.
#[component]
pub fn TechniqueBadge(
    /// The technique.
    technique: Technique,
) -> impl IntoView {
    let shape = look(technique).shape;
    let points: Vec<String> = shape
        .corners()
        .iter()
        .map(|(x, y)| format!("{},{}", fixed(x * 8.5, 2), fixed(y * 8.5, 2)))
        .collect();
    let outline = if points.is_empty() {
        view! { <circle r="8.5" /> }.into_any()
    } else {
        view! { <polygon points=points.join(" ") /> }.into_any()
    };
    let baseline = match shape {
        Shape::Triangle => "5.5",
        Shape::Circle | Shape::Square | Shape::Diamond | Shape::Hexagon => "3.7",
    };
    view! {
        <svg class="shape" viewBox="-11 -11 22 22" width="22" height="22" aria-hidden="true" focusable="false">
            {outline}
            <text y=baseline>{technique.letter().to_string()}</text>
        </svg>
    }
}
