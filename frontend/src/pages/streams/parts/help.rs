//! The help of the Streams page.

use leptos::prelude::*;

use crate::app::Shell;
use crate::pages::streams::text::StreamsText;
use crate::widgets::views::CollectAny;

/// The help of the Streams page.
#[component]
pub fn StreamsHelp() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let text = move || StreamsText::of(shell.language.get());
    let lines = move || {
        text()
            .help
            .iter()
            .map(|line| view! { <li>{*line}</li> })
            .collect_any()
    };
    view! {
        <p>{move || text().help_intro}</p>
        <ul>{move || lines()}</ul>
    }
}
