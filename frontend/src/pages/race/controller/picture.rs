//! The picture: it follows the race, or is paused.

use leptos::prelude::*;

use super::{PausedPicture, RaceController};
use crate::browser;
use crate::pages::race::model::export::Provenance;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::model::saved_result::SavedResult;
use crate::pages::race::model::summary::{FRESH_S, Summary};
use crate::pages::race::model::trace::{step_back, step_forward};
use crate::widgets::connection::ServerConnection;

impl RaceController {
    /// Pauses the picture; measuring continues.
    pub fn pause(&self) {
        if self.only_saved.get_untracked() {
            return;
        }
        let at_ms = browser::now_ms();
        let race = Box::new(self.race().clone());
        let summary = Summary {
            connection: ServerConnection::Paused,
            ..race.summary(at_ms)
        };
        self.summary.set(summary.clone());
        *self.frozen.borrow_mut() = Some(PausedPicture {
            race,
            summary,
            at_ms,
            provenance: self.provenance(),
        });
        self.stepped_ms.set(0.0);
        self.paused.set(true);
    }

    /// Resumes the picture.
    pub fn resume(&self) {
        self.frozen.borrow_mut().take();
        self.paused.set(false);
        self.summarise();
    }

    /// Pauses or resumes the picture.
    pub fn toggle_pause(&self) {
        if self.paused.get_untracked() {
            self.resume();
        } else {
            self.pause();
        }
    }

    /// Moves the paused picture to the next mark in any lane, or to the previous one.
    pub fn step(&self, forward: bool) {
        if !self.paused.get_untracked() {
            self.pause();
        }
        let mut frozen = self.frozen.borrow_mut();
        let Some(PausedPicture { race, at_ms, .. }) = frozen.as_mut() else {
            return;
        };
        let next = if forward {
            step_forward(&race.traces, *at_ms).or_else(|| {
                // At the end of the copy: copy the marks that were added since.
                race.traces.clone_from(&self.race().traces);
                step_forward(&race.traces, *at_ms)
            })
        } else {
            step_back(&race.traces, *at_ms)
        };
        if let Some(next_ms) = next {
            self.stepped_ms
                .set(self.stepped_ms.get_untracked() + next_ms - *at_ms);
            *at_ms = next_ms;
        }
    }

    /// Updates the figures if they are due, unless the picture is paused.
    pub fn summarise(&self) {
        self.race_mut().settle(browser::now_ms());
        if self.frozen.borrow().is_none() && !self.only_saved.get_untracked() {
            let summary = self.race().summary(browser::now_ms());
            if self.summary.with_untracked(|shown| summary.replaces(shown)) {
                self.summary.set(summary);
            }
        }
    }

    /// Whether the run has just begun.
    pub fn is_fresh(&self, now_ms: f64) -> bool {
        self.race().run_s(now_ms) < FRESH_S
    }

    /// Calls `look` with the race that is shown and the right end of its drawings.
    pub fn with_shown<T>(&self, now_ms: f64, look: impl FnOnce(&RaceState, f64) -> T) -> T {
        match self.frozen.borrow().as_ref() {
            Some(frozen) => look(&frozen.race, frozen.at_ms),
            None => look(&self.race(), now_ms),
        }
    }

    /// The saved result, while it is shown, and whether it is shown without a race.
    pub fn shown_saved(&self) -> (Option<&SavedResult>, bool) {
        let saved = self.saved.as_ref();
        let saved = saved.filter(|_| self.shows_saved.get_untracked());
        (saved, self.only_saved.get_untracked())
    }

    /// A link to the result that is shown.
    pub fn result_link(&self) -> String {
        if let (Some(saved), true) = self.shown_saved() {
            return saved.clone().link(&self.provenance().url);
        }
        self.export(|race, summary, provenance| {
            SavedResult::new(race, summary, provenance).link(&provenance.url)
        })
    }

    /// The result that is shown, in a format of [`crate::pages::race::model::export`].
    pub fn export(
        &self,
        write: impl FnOnce(&RaceState, &Summary, &Provenance) -> String,
    ) -> String {
        match self.frozen.borrow().as_ref() {
            Some(frozen) => write(&frozen.race, &frozen.summary, &frozen.provenance),
            None => {
                let race = self.race();
                let summary = race.summary(browser::now_ms());
                // The page shows what was exported.
                self.summary.set(summary.clone());
                write(&race, &summary, &self.provenance())
            }
        }
    }

    fn provenance(&self) -> Provenance {
        let window = browser::window();
        let (at_ms, time_origin_ms) = (js_sys::Date::now(), browser::performance().time_origin());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds since 1970"
        )]
        let whole = |ms: f64| ms as u64;
        Provenance {
            at: browser::iso_moment(at_ms),
            url: window.location().href().unwrap_or_default(),
            user_agent: window.navigator().user_agent().unwrap_or_default(),
            server_version: self.server_version.borrow().clone(),
            seed: self.seed,
            time_origin: browser::iso_moment(time_origin_ms),
            at_ms: whole(at_ms),
            time_origin_ms: whole(time_origin_ms),
        }
    }
}
