//! The controls: the stream, the generated events, the timing.

use leptos::prelude::*;
use tailwater_protocol::lab::Pattern;

use crate::browser;
use crate::numbers::{self, Unit};
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::settings::{
    self, NumberLimits, RaceSettings, RaceSource, pattern_from_name, pattern_name,
};
use crate::pages::race::text::RaceText;
use crate::reactive;
use crate::widgets::canvas::axis::{by_factors, decade};
use crate::widgets::field::TextField;
use crate::widgets::views::CollectAny;

/// All controls.
#[component]
pub fn Controls() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <section class="controls" aria-label=page.localized(|text| text.controls)>
            <StreamChoice />
            <GeneratorControls />
            <Timing />
            <button
                class="tool wide"
                on:click=move |_| {
                    page.change(|settings| *settings = RaceSettings::default());
                }
            >
                {page.localized(|text| text.reset)}
            </button>
        </section>
    }
}

/// The choice between host, generator, and a stream by its name.
#[component]
fn StreamChoice() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let is_from =
        move |source: &RaceSource| page.settings.with(|settings| settings.source == *source);
    // The name of the stream; empty for the sources of the lab.
    let named = reactive::memo(move || {
        page.settings.with(|settings| match &settings.source {
            RaceSource::Named(stream) => stream.clone(),
            RaceSource::Host | RaceSource::Generator => String::new(),
        })
    });
    let is_named = Signal::derive(move || !named.with(String::is_empty));
    let name = RwSignal::new(String::new());
    reactive::effect(move || {
        let stream = named.get();
        if !stream.is_empty() {
            name.set(stream);
        }
    });
    let follow = Callback::from(move || {
        let wanted = name.get_untracked().trim().trim_matches('/').to_owned();
        if !wanted.is_empty() {
            page.change(|settings| settings.source = RaceSource::Named(wanted));
        }
    });
    // Without a name, the field gets the focus.
    let choose_named = move || {
        if name.get_untracked().is_empty() {
            browser::focus("stream-name");
        } else {
            follow.run(());
        }
    };
    view! {
        <fieldset>
            <legend>{page.localized(|text| text.stream)}</legend>
            <div class="segments" data-testid="source">
                <Segment
                    checked=move || is_from(&RaceSource::Host)
                    label=page.localized(|text| text.source_host)
                    choose=move |()| page.change(|settings| settings.source = RaceSource::Host)
                />
                <Segment
                    checked=move || is_from(&RaceSource::Generator)
                    label=page.localized(|text| text.source_generator)
                    choose=move |()| page.change(|settings| settings.source = RaceSource::Generator)
                />
                <Segment
                    checked=is_named
                    label=page.localized(|text| text.source_named)
                    choose=move |()| choose_named()
                />
            </div>
            {stream_name_form(page, name, is_named, follow)}
        </fieldset>
    }
}

/// The form for the name of a stream.
fn stream_name_form(
    page: RaceContext,
    name: RwSignal<String>,
    is_named: Signal<bool>,
    follow: Callback<()>,
) -> impl IntoView {
    view! {
        <form
            class="row named"
            class:chosen=move || is_named.get()
            on:submit=move |event| {
                event.prevent_default();
                follow.run(());
            }
        >
            <label class="visually-hidden" for="stream-name">{page.localized(|text| text.stream_name)}</label>
            <TextField
                id="stream-name"
                value=name
                placeholder=Signal::derive(move || page.text().stream_name_hint.to_owned())
            />
            <button class="tool wide" type="submit">{page.localized(|text| text.follow)}</button>
        </form>
    }
}

#[component]
fn Segment(
    #[prop(into)] checked: Signal<bool>,
    #[prop(into)] label: Signal<&'static str>,
    #[prop(into)] choose: Callback<()>,
) -> impl IntoView {
    view! {
        <label>
            <input type="radio" name="source" prop:checked=move || checked.get() on:change=move |_| choose.run(()) />
            <span>{label}</span>
        </label>
    }
}

#[component]
fn GeneratorControls() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let off = Signal::derive(move || {
        page.settings
            .with(|settings| settings.source != RaceSource::Generator)
    });
    let named = move || {
        page.settings
            .with(|settings| matches!(settings.source, RaceSource::Named(_)))
    };
    let pattern = move || page.settings.with(|settings| settings.pattern);
    view! {
        <fieldset disabled=named>
            <legend>{page.localized(|text| text.generator)}</legend>
            <fieldset disabled=move || off.get()>
            <Dial id="rate" label=|text| text.rate unit=Unit::PerSecond limits=settings::RATE log=true
                get=|settings| settings.rate set=|settings, value| settings.rate = value />
            </fieldset>
            <div class="dial">
                <label for="pattern">{page.localized(|text| text.pattern)}</label>
                <select
                    id="pattern"
                    data-testid="pattern"
                    prop:value=move || pattern_name(pattern()).to_owned()
                    on:change=move |event| {
                        page.change(|settings| {
                            settings.pattern = pattern_from_name(&event_target_value(&event)).unwrap_or(settings.pattern);
                        });
                    }
                >
                    {[Pattern::Poisson, Pattern::Periodic, Pattern::Burst]
                        .map(|one| {
                            view! {
                                <option
                                    value=pattern_name(one)
                                    selected=move || pattern() == one
                                    disabled=move || one == Pattern::Burst && off.get()
                                >
                                    {move || (page.text().pattern_name)(one)}
                                </option>
                            }
                        })
                        .collect_any()}
                </select>
            </div>
            <fieldset disabled=move || off.get()>
            <Dial id="size" label=|text| text.size unit=Unit::Byte limits=settings::SIZE log=true
                get=|settings| settings.size set=|settings, value| settings.size = value.round() />
            </fieldset>
            <p class="hint" hidden=move || !off.get()>{page.localized(|text| text.generator_hint)}</p>
        </fieldset>
    }
}

#[component]
fn Timing() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <fieldset>
            <legend>{page.localized(|text| text.timing)}</legend>
            <Dial id="interval" label=|text| text.interval unit=Unit::Millisecond limits=settings::INTERVAL_MS log=true
                get=|settings| settings.interval_ms set=|settings, value| settings.interval_ms = value.round() />
            <Dial id="hold" label=|text| text.hold unit=Unit::Second limits=settings::HOLD_S log=false
                get=|settings| settings.hold_s set=|settings, value| settings.hold_s = value.round() />
            <p class="hint">{page.localized(|text| text.hold_hint)}</p>
            <Dial id="window" label=|text| text.window unit=Unit::Second limits=settings::WINDOW_S log=true
                get=|settings| settings.window_s set=|settings, value| settings.window_s = (value * 10.0).round() / 10.0 />
        </fieldset>
    }
}

/// Number of steps of a slider; the number field accepts any value.
const STEPS: f64 = 400.0;

/// A number as a slider and as a field.
#[component]
pub fn Dial(
    /// Its id, for its label and for tests.
    id: &'static str,
    /// Its name.
    label: fn(&RaceText) -> &'static str,
    /// Its unit.
    unit: Unit,
    /// The limits of its value.
    limits: NumberLimits,
    /// Whether the slider is logarithmic.
    log: bool,
    /// Reads it.
    get: fn(&RaceSettings) -> f64,
    /// Writes it.
    set: fn(&mut RaceSettings, f64),
) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    // While a slider is dragged only the field changes; the race changes once, when the slider is released.
    let dragged = RwSignal::new(f64::NAN);
    let value = reactive::memo(move || {
        let dragged = dragged.get();
        if dragged.is_nan() {
            page.settings.with(get)
        } else {
            dragged
        }
    });
    let choose = move |wanted: f64| {
        dragged.set(f64::NAN);
        if wanted.is_finite() {
            page.change(|settings| set(settings, limits.clamp(wanted)));
        }
    };
    let parse =
        |event: &leptos::ev::Event| numbers::parse(&event_target_value(event)).unwrap_or(f64::NAN);
    view! {
        <div class="dial">
            <label for=id>{page.localized(label)}</label>
            <span class="field">
                <input
                    id=id
                    data-testid=id
                    type="number"
                    inputmode="decimal"
                    min=numbers::shortest(limits.min)
                    max=numbers::shortest(limits.max)
                    step="any"
                    prop:value=move || numbers::trimmed(value.get())
                    on:change=move |event| choose(parse(&event))
                />
                <span class="unit">{move || unit.symbol(page.language.get())}</span>
            </span>
            <input
                type="range"
                min="0"
                max=numbers::shortest(STEPS)
                tabindex="-1"
                aria-hidden="true"
                prop:value=move || numbers::shortest(to_step(value.get(), limits, log))
                on:input=move |event| dragged.set(from_step(parse(&event), limits, log))
                on:change=move |event| choose(from_step(parse(&event), limits, log))
            />
        </div>
    }
}

fn to_step(value: f64, limits: NumberLimits, log: bool) -> f64 {
    let share = if log {
        (value / limits.min).ln() / (limits.max / limits.min).ln()
    } else {
        (value - limits.min) / (limits.max - limits.min)
    };
    (share.clamp(0.0, 1.0) * STEPS).round()
}

fn from_step(step: f64, limits: NumberLimits, log: bool) -> f64 {
    let share = step / STEPS;
    let value = if log {
        by_factors(limits.min, limits.max, share)
    } else {
        limits.min + share * (limits.max - limits.min)
    };
    // Sliders have round numbers, with two significant digits.
    let scale = decade(value.max(0.01)) / 10.0;
    let steps = (value / scale).round();
    // Dividing by ten rounds once; multiplying by a tenth would round twice, as a tenth is not a binary fraction.
    if scale < 1.0 {
        steps / scale.recip().round()
    } else {
        steps * scale
    }
}
