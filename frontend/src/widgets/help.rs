//! The help: what is seen, what is measured, which keys there are.

use leptos::html::Dialog;
use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::badge::Shape;
use crate::app::Shell;
use crate::app::place::Place;
use crate::pages::race::text::Text;
use crate::techniques::face;

/// A modal dialog; Escape closes it.
#[component]
pub fn Help() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move || {
        let open = shell.help.get();
        let Some(dialog) = dialog.get() else { return };
        if open && !dialog.open() {
            // Refused only while it is open already.
            dialog.show_modal().ok();
        } else if !open && dialog.open() {
            dialog.close();
        }
    });
    let is_race = Memo::new(move |_| shell.place.with(|place| *place == Place::Race));
    let title = move || {
        if is_race.get() {
            shell.text().help_title
        } else {
            shell.text().streams.help_title
        }
    };
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| shell.help.set(false)>
            <header>
                <h2 id="help-title">{title}</h2>
                <button class="tool wide" on:click=move |_| shell.help.set(false)>{shell.say(|text| text.close)}</button>
            </header>
            {move || if is_race.get() { view! { <OfRace /> }.into_any() } else { view! { <OfStreams /> }.into_any() }}
            <h3>{shell.say(|text| text.keys_title)}</h3>
            <dl class="keys">
                {move || {
                    keys(shell.text(), is_race.get())
                        .into_iter()
                        .map(|(key, what)| view! { <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div> })
                        .collect_view()
                }}
            </dl>
        </dialog>
    }
}

/// Which key does what.
fn keys(text: &Text, is_race: bool) -> Vec<(&'static str, &'static str)> {
    if !is_race {
        let streams = &text.streams;
        return vec![
            ("/", streams.key_search),
            ("N", streams.key_new),
            ("A", streams.key_append),
            ("?", text.key_help),
        ];
    }
    vec![
        ("Space", text.key_pause),
        ("S", text.key_step),
        ("1 – 5", text.key_lanes),
        ("P", text.key_publish),
        ("/", text.key_filter),
        ("?", text.key_help),
    ]
}

#[component]
fn OfStreams() -> impl IntoView {
    let shell = expect_context::<Shell>();
    view! {
        <p>{shell.say(|text| text.streams.help_intro)}</p>
        <ul>{move || shell.text().streams.help.iter().map(|line| view! { <li>{*line}</li> }).collect_view()}</ul>
    }
}

#[component]
fn OfRace() -> impl IntoView {
    let shell = expect_context::<Shell>();
    view! {
        <p>{shell.say(|text| text.help_intro)}</p>
        <ul class="faces">
            {Technique::ALL.map(|technique| view! { <Explained technique /> }).collect_view()}
        </ul>
        <h3>{shell.say(|text| text.measured_title)}</h3>
        <ul>{move || shell.text().measured.iter().map(|line| view! { <li>{*line}</li> }).collect_view()}</ul>
    }
}

#[component]
fn Explained(technique: Technique) -> impl IntoView {
    let shell = expect_context::<Shell>();
    let face = face(technique);
    view! {
        <li class=format!("t-{}", technique.name())>
            <Shape technique />
            <div>
                <strong>{face.label}</strong>
                " "
                {move || face.gloss.say(shell.language.get())}
                <small>{move || face.theory.say(shell.language.get())}</small>
            </div>
        </li>
    }
}
