//! The controls for the path between browser and server, shown above the cards.

use leptos::prelude::*;

use super::controls::Dial;
use super::presets::PathPreset;
use crate::numbers::{self, Unit};
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::settings::DELAY_MS;
use crate::pages::race::model::summary::LanePath;
use crate::widgets::views::CollectAny;

/// The choice of a path, and a field for the delay in each direction.
#[component]
pub fn PathDelay() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    // Only the relay can add delay.
    let is_relayed = move || {
        page.summary
            .with(|summary| matches!(summary.path, LanePath::Relay | LanePath::Unknown))
    };
    let chosen = move || {
        page.settings
            .with(|settings| PathPreset::with_delays_ms((settings.up_ms, settings.down_ms)))
    };
    let hint = move || {
        let text = page.text();
        if is_relayed() {
            text.delay_hint
        } else {
            text.delay_none
        }
    };
    let option = move |preset: PathPreset| {
        let (up_ms, down_ms) = preset.delays_ms();
        let name = move || {
            let both = numbers::trimmed(up_ms + down_ms);
            let both = Unit::Millisecond.of(&both, page.language.get());
            format!("{}: {both}", (page.text().path_name)(preset))
        };
        view! { <option value=preset.name() selected=move || chosen() == Some(preset)>{move || name()}</option> }
    };
    view! {
        <fieldset class="path" aria-label=page.localized(|text| text.path) disabled=move || !is_relayed()>
            <label for="path">{page.localized(|text| text.path)}</label>
            <select
                id="path"
                data-testid="path"
                prop:value=move || chosen().map_or("", PathPreset::name)
                on:change=move |event| {
                    let name = event_target_value(&event);
                    if let Some(preset) = PathPreset::ALL.into_iter().find(|preset| preset.name() == name) {
                        page.change(|settings| (settings.up_ms, settings.down_ms) = preset.delays_ms());
                    }
                }
            >
                {PathPreset::ALL.map(option).collect_any()}
                <option value="" hidden=true selected=move || chosen().is_none()>{page.localized(|text| text.path_own)}</option>
            </select>
            <Dial id="up" label=|text| text.delay_up unit=Unit::Millisecond limits=DELAY_MS log=false
                get=|settings| settings.up_ms set=|settings, value| settings.up_ms = value.round() />
            <Dial id="down" label=|text| text.delay_down unit=Unit::Millisecond limits=DELAY_MS log=false
                get=|settings| settings.down_ms set=|settings, value| settings.down_ms = value.round() />
            <p class="hint">{move || hint()}</p>
        </fieldset>
    }
}
