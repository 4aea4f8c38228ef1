//! The keys of the Race page.

use leptos::prelude::*;

use super::context::RaceContext;
use super::text::RaceText;
use crate::app::page::{KeyPress, PageKey};

/// In the order of the help.
pub(super) const KEYS: [PageKey; 5] = [
    PageKey {
        label: "Space",
        help: |language| RaceText::of(language).key_pause,
        press: pause,
    },
    PageKey {
        label: "S",
        help: |language| RaceText::of(language).key_step,
        press: step,
    },
    PageKey {
        label: "1 – 5",
        help: |language| RaceText::of(language).key_lanes,
        press: switch_lane,
    },
    PageKey {
        label: "P",
        help: |language| RaceText::of(language).key_publish,
        press: |press| press.moves_focus("p", "publish-text"),
    },
    PageKey {
        label: "/",
        help: |language| RaceText::of(language).key_filter,
        press: |press| press.moves_focus("/", "stream-name"),
    },
];

/// Space pauses, except on a control, which handles it itself.
fn pause(press: &KeyPress) -> bool {
    let is_pause = press.key == " " && !matches!(&*press.focused, "button" | "summary" | "a");
    if is_pause {
        expect_context::<RaceContext>().controller().toggle_pause();
    }
    is_pause
}

/// Steps forward, or with Shift back.
fn step(press: &KeyPress) -> bool {
    let is_step = matches!(&*press.key, "s" | "S");
    if is_step {
        expect_context::<RaceContext>()
            .controller()
            .step(press.key == "s");
    }
    is_step
}

/// A digit switches the lane of that number on or off.
fn switch_lane(press: &KeyPress) -> bool {
    let lane = press.key.parse::<usize>().unwrap_or(0).wrapping_sub(1);
    let race = expect_context::<RaceContext>();
    let is_lane = race
        .settings
        .with_untracked(|settings| lane < settings.lanes.len());
    if is_lane && !race.only_saved.get_untracked() {
        race.change(|settings| settings.lanes[lane] = !settings.lanes[lane]);
    }
    is_lane
}
