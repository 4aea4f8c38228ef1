//! Starts and stops the readers of the lanes, and restarts lanes that fell behind.

use std::rc::{Rc, Weak};

use tailwater_protocol::{StreamName, Technique, Token};

use super::RaceController;
use crate::api::request::stream_url;
use crate::browser;
use crate::lanes::message::{LaneOptions, ReaderId, ReaderRole};
use crate::lanes::readers::LaneReaders;
use crate::pages::race::model::settings::{self, RaceSource};

impl RaceController {
    pub(super) fn stop_readers(&self) {
        for technique in Technique::ALL {
            self.stop_lane(technique);
        }
    }

    pub(super) fn stop_lane(&self, technique: Technique) {
        self.readers.stop_lane(technique);
        self.race_mut().stop_lane(technique, browser::now_ms());
    }

    /// Restarts the lanes whose next messages the server has removed.
    pub(super) fn restart_left_behind(self: &Rc<Self>) {
        let left_behind = self.race().left_behind(&self.start.borrow());
        for (technique, token, position) in left_behind {
            self.race_mut().lanes[technique.index()].skip_to(token.clone(), position);
            self.start_reader(technique, token);
        }
    }

    /// Starts a lane at `from`, a token and its number of messages after the common start; `None` for the position of the
    /// other lanes.
    pub(super) fn start_lane(self: &Rc<Self>, technique: Technique, from: Option<(Token, u64)>) {
        let (from, position) = from.unwrap_or_else(|| self.race().beginning(&self.start.borrow()));
        self.race_mut().lanes[technique.index()].start(from.clone(), position);
        self.start_reader(technique, from);
    }

    fn start_reader(&self, technique: Technique, from: Token) {
        let index = technique.index();
        let (url, options) = {
            let race = self.race();
            let options = LaneOptions {
                from,
                interval_ms: race.settings.interval_ms,
                hold_s: race.settings.hold_s,
                seed: self.seed + index as u64,
            };
            let Some(stream) = &race.stream else { return };
            (
                stream_url(&self.relay_ports.borrow().origin(index), stream),
                options,
            )
        };
        let role = ReaderRole::Lane;
        let seat = ReaderId {
            lane: technique,
            role,
        };
        self.readers.start(seat, &url, &options);
        if !technique.repeats_requests() {
            self.start_null_reader(technique);
        }
    }

    /// Starts the null reader of a live lane, with the same technique, on the stream of the host, without added delay.
    fn start_null_reader(&self, lane: Technique) {
        let (origin, host) = (
            self.relay_ports.borrow().control_origin(),
            StreamName::parse(RaceSource::HOST_STREAM),
        );
        if let (Some(origin), Ok(host)) = (origin, host) {
            let options = LaneOptions {
                from: Token::now(),
                interval_ms: settings::INTERVAL_MS.max,
                hold_s: settings::HOLD_S.max,
                seed: self.seed,
            };
            let role = ReaderRole::Null;
            let seat = ReaderId { lane, role };
            self.readers
                .start(seat, &stream_url(&origin, &host), &options);
        }
    }
}

/// The readers of the lanes, whose reports go to the race of `controller`.
pub(super) fn lane_readers(controller: &Weak<RaceController>) -> Rc<LaneReaders> {
    let (receiver, moved) = (controller.clone(), controller.clone());
    LaneReaders::new(
        move |technique, report| {
            if let Some(controller) = receiver.upgrade() {
                controller.race_mut().take(technique, report);
            }
        },
        move || {
            if let Some(controller) = moved.upgrade() {
                controller.restart();
            }
        },
    )
}
