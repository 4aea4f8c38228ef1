//! The help of the Race page: the techniques, and what is measured.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use crate::app::Shell;
use crate::pages::race::text::RaceText;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;
use crate::widgets::views::CollectAny;

/// The help of the Race page.
#[component]
pub fn RaceHelp() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let text = move || RaceText::of(shell.language.get());
    let measured = move || {
        text()
            .measured
            .iter()
            .map(|line| view! { <li>{*line}</li> })
            .collect_any()
    };
    view! {
        <p>{move || text().help_intro}</p>
        <ul class="faces">
            {Technique::ALL.map(|technique| view! { <Explained technique /> }).collect_any()}
        </ul>
        <h3>{move || text().measured_title}</h3>
        <ul>{move || measured()}</ul>
    }
}

#[component]
fn Explained(technique: Technique) -> impl IntoView {
    let shell = expect_context::<Shell>();
    let look = look(technique);
    view! {
        <li class=format!("t-{}", technique.name())>
            <TechniqueBadge technique />
            <div>
                <strong>{move || look.label.in_language(shell.language.get())}</strong>
                " "
                {move || look.description.in_language(shell.language.get())}
                <small>{move || look.theory.in_language(shell.language.get())}</small>
            </div>
        </li>
    }
}
