//! What the heads of all pages have in common: the name, the way between pages, language, theme, help.

use leptos::prelude::*;

use crate::app::place::{Place, Shelf};
use crate::app::{Shell, Step};
use crate::browser;
use crate::pages::race::model::settings::Theme;
use crate::pages::race::text::Language;

/// The name, and a link to each page.
#[component]
pub fn Nav() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let is_race = Memo::new(move |_| shell.place.with(|place| *place == Place::Race));
    let here = move || {
        if is_race.get() {
            shell.text().race
        } else {
            shell.text().streams.name
        }
    };
    view! {
        <h1 class="brand">"Tailwater " <span class="spoken">{here}</span></h1>
        <nav class="nav" aria-label=shell.say(|text| text.streams.pages)>
            <PlaceLink
                to=Place::Race
                current=Signal::derive(move || is_race.get())
                label=Signal::derive(move || shell.text().race)
            />
            <PlaceLink
                to=Place::Streams(Shelf::default())
                current=Signal::derive(move || !is_race.get())
                label=Signal::derive(move || shell.text().streams.name)
            />
        </nav>
    }
}

#[component]
fn PlaceLink(to: Place, current: Signal<bool>, label: Signal<&'static str>) -> impl IntoView {
    let shell = expect_context::<Shell>();
    let there = StoredValue::new(to);
    let href = move || {
        there.with_value(|place| {
            shell
                .settings
                .with(|settings| browser::address(&place.to_query(settings)))
        })
    };
    let name = if there.with_value(|place| *place == Place::Race) {
        "race"
    } else {
        "streams"
    };
    view! {
        <a
            href=href
            data-testid=format!("nav-{name}")
            aria-current=move || current.get().then_some("page")
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    // Where one is already, nothing that is open is closed.
                    if !current.get_untracked() {
                        shell.go(there.get_value(), Step::Recorded);
                    }
                }
            }
        >
            {move || label.get()}
        </a>
    }
}

/// Whether a click means to go there in this very tab.
pub fn is_plain(event: &web_sys::MouseEvent) -> bool {
    event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key())
}

/// Language, theme and help.
#[component]
pub fn Choices() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let theme = move || shell.settings.with(|settings| settings.theme);
    view! {
        <div class="group">
            <select
                data-testid="language"
                aria-label=shell.say(|text| text.language)
                prop:value=move || shell.language.get().name().to_owned()
                on:change=move |event| shell.change(|settings| settings.language = Language::from_name(&event_target_value(&event)))
            >
                {Language::ALL
                    .map(|language| {
                        view! {
                            <option value=language.name() lang=language.name() selected=move || shell.language.get() == language>
                                {language.own_name()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <select
                data-testid="theme"
                aria-label=shell.say(|text| text.theme)
                prop:value=move || theme().name().to_owned()
                on:change=move |event| {
                    shell.change(|settings| settings.theme = Theme::from_name(&event_target_value(&event)).unwrap_or_default());
                }
            >
                {Theme::ALL
                    .map(|one| {
                        view! {
                            <option value=one.name() selected=move || theme() == one>
                                {move || (shell.text().theme_name)(one)}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <button class="tool" data-testid="help" aria-label=shell.say(|text| text.help) title="?" on:click=move |_| shell.help.set(true)>
                "?"
            </button>
        </div>
    }
}
