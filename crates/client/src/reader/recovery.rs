//! What follows when an answer ends or fails: a pause, another technique, or the end.

use super::answer::Fault;
use super::{LIVE_MIN, Phase, Reader, ms};
use crate::Report;
use std::time::Duration;
use tailwater_protocol::Technique;

impl Reader {
    pub(super) fn live_ended(&mut self, now: Duration) {
        let Phase::Asking(exchange) = &self.phase else {
            return;
        };
        let (id, again) = (exchange.id, exchange.begun + LIVE_MIN);
        self.report(Report::Ended {
            id,
            at_ms: ms(now),
            fault: None,
        });
        self.phase = Phase::Ready;
        if now < again {
            self.wait(now, again, false);
        }
    }

    pub(super) fn fail(&mut self, now: Duration, fault: &Fault) {
        let Phase::Asking(exchange) = &self.phase else {
            return;
        };
        let (id, technique) = (exchange.id, exchange.technique);
        self.report(Report::Ended {
            id,
            at_ms: ms(now),
            fault: Some(fault.text.clone()),
        });
        self.phase = Phase::Ready;
        self.after_fault(now, technique, fault);
    }

    pub(super) fn after_fault(&mut self, now: Duration, technique: Technique, fault: &Fault) {
        self.faults += 1;
        self.position.caught_up = false;
        self.ticks.forget();
        if matches!(self.phase, Phase::Paused) {
            return;
        }
        let from = self.ladder.current();
        if fault.is_final || (fault.is_unsupported && !self.ladder.has_next()) {
            return self.finish(now, Some(fault.text.clone()));
        }
        let fell = technique == from && self.ladder.failed(now, fault.is_unsupported);
        if fell {
            self.switched(now, from, self.ladder.current(), Some(fault.text.clone()));
        }
        if fell && fault.is_unsupported {
            self.phase = Phase::Ready;
            return;
        }
        let pause = self
            .pauses
            .after(self.faults.max(self.ladder.faults()), fault.retry_after);
        self.wait(now, now + pause, true);
    }

    pub(super) fn try_wanted_again(&mut self, now: Duration) {
        let from = self.ladder.current();
        let to = self.ladder.try_again(now);
        self.switched(now, from, to, Some(format!("trying {to} again")));
    }

    /// The ladder stands on another technique: leave the old one's request and ask by the new one at once.
    pub(super) fn switched(
        &mut self,
        now: Duration,
        from: Technique,
        to: Technique,
        fault: Option<String>,
    ) {
        self.leave(now);
        self.ticks.forget();
        self.quick_empties = 0;
        self.report(Report::Changed {
            at_ms: ms(now),
            from,
            to,
            fault,
        });
        if self.is_active() {
            self.phase = Phase::Ready;
        }
    }

    /// Drops the request under way, if any; no fault of anybody.
    pub(super) fn leave(&mut self, now: Duration) {
        if let Phase::Asking(exchange) = &self.phase {
            let id = exchange.id;
            self.abort = true;
            self.phase = Phase::Ready;
            self.report(Report::Ended {
                id,
                at_ms: ms(now),
                fault: None,
            });
        }
    }

    pub(super) fn wait_for_tick(&mut self, now: Duration) {
        self.phase = Phase::Ready;
        if let Some(tick) = self.ticks.next().filter(|tick| *tick > now) {
            self.wait(now, tick, false);
        }
    }

    pub(super) fn wait(&mut self, now: Duration, until: Duration, after_fault: bool) {
        self.phase = Phase::Waiting(until);
        let for_ms = ms(until.saturating_sub(now));
        self.report(Report::Waiting {
            at_ms: ms(now),
            for_ms,
            after_fault,
        });
    }
}
