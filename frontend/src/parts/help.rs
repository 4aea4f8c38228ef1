//! The help: what is seen, what is measured, which keys there are.

use leptos::html::Dialog;
use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::shape::Shape;
use crate::app::Page;
use crate::techniques::face;

/// A modal dialog; Escape closes it.
#[component]
pub fn Help() -> impl IntoView {
    let page = expect_context::<Page>();
    let dialog = NodeRef::<Dialog>::new();
    Effect::new(move |_| {
        let open = page.help.get();
        let Some(dialog) = dialog.get() else { return };
        if open && !dialog.open() {
            // Refused only while it is open already.
            dialog.show_modal().ok();
        } else if !open && dialog.open() {
            dialog.close();
        }
    });
    let keys = move || {
        let text = page.text();
        [
            ("Space", text.key_pause),
            ("S", text.key_step),
            ("1 – 5", text.key_lanes),
            ("P", text.key_publish),
            ("/", text.key_filter),
            ("?", text.key_help),
        ]
        .map(|(key, what)| view! { <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div> })
        .collect_view()
    };
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| page.help.set(false)>
            <header>
                <h2 id="help-title">{move || page.text().help_title}</h2>
                <button class="tool wide" on:click=move |_| page.help.set(false)>{move || page.text().close}</button>
            </header>
            <p>{move || page.text().help_intro}</p>
            <ul class="faces">
                {Technique::ALL.map(|technique| view! { <Explained technique /> }).collect_view()}
            </ul>
            <h3>{move || page.text().measured_title}</h3>
            <ul>{move || page.text().measured.iter().map(|line| view! { <li>{*line}</li> }).collect_view()}</ul>
            <h3>{move || page.text().keys_title}</h3>
            <dl class="keys">{keys}</dl>
        </dialog>
    }
}

#[component]
fn Explained(technique: Technique) -> impl IntoView {
    let page = expect_context::<Page>();
    let face = face(technique);
    view! {
        <li class=format!("t-{}", technique.name())>
            <Shape technique />
            <div>
                <strong>{face.label}</strong>
                " "
                {move || face.gloss.say(page.language.get())}
                <small>{move || face.theory.say(page.language.get())}</small>
            </div>
        </li>
    }
}
