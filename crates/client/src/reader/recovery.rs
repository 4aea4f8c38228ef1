//! What the reader does when a response ends or fails: it backs off, changes the technique, or ends.

use super::response::ResponseFault;
use super::{LIVE_MIN, ReaderPhase, StreamReader, ms};
use crate::FollowReport;
use std::time::Duration;
use tailwater_protocol::Technique;

impl StreamReader {
    pub(super) fn live_response_ended(&mut self, now: Duration) {
        let ReaderPhase::Requesting(pending) = &self.phase else {
            return;
        };
        let (id, earliest) = (pending.id, pending.started + LIVE_MIN);
        self.report(FollowReport::Ended {
            id,
            at_ms: ms(now),
            fault: None,
        });
        self.phase = ReaderPhase::Ready;
        if now < earliest {
            self.wait(now, earliest, false);
        }
    }

    pub(super) fn fail(&mut self, now: Duration, fault: &ResponseFault) {
        let ReaderPhase::Requesting(pending) = &self.phase else {
            return;
        };
        let (id, technique) = (pending.id, pending.technique);
        self.report(FollowReport::Ended {
            id,
            at_ms: ms(now),
            fault: Some(fault.text.clone()),
        });
        self.phase = ReaderPhase::Ready;
        self.after_fault(now, technique, fault);
    }

    pub(super) fn after_fault(
        &mut self,
        now: Duration,
        technique: Technique,
        fault: &ResponseFault,
    ) {
        self.faults += 1;
        self.position.caught_up = false;
        self.polls.reset();
        if matches!(self.phase, ReaderPhase::Paused) {
            return;
        }
        let from = self.choice.current();
        if fault.is_final || (fault.is_unsupported && !self.choice.has_next()) {
            return self.finish(now, Some(fault.text.clone()));
        }
        let has_changed = technique == from && self.choice.failed(now, fault.is_unsupported);
        if has_changed {
            self.technique_changed(now, from, self.choice.current(), Some(fault.text.clone()));
        }
        if has_changed && fault.is_unsupported {
            self.phase = ReaderPhase::Ready;
            return;
        }
        let delay = self
            .backoff
            .delay_after(self.faults.max(self.choice.faults()), fault.retry_after);
        self.wait(now, now + delay, true);
    }

    pub(super) fn retry_preferred(&mut self, now: Duration) {
        let from = self.choice.current();
        let to = self.choice.retry(now);
        self.technique_changed(now, from, to, Some(format!("trying {to} again")));
    }

    /// Reports a change of the technique, aborts the current request and sends the next one immediately.
    pub(super) fn technique_changed(
        &mut self,
        now: Duration,
        from: Technique,
        to: Technique,
        fault: Option<String>,
    ) {
        self.abort_request(now);
        self.polls.reset();
        self.quick_empty_responses = 0;
        self.report(FollowReport::Changed {
            at_ms: ms(now),
            from,
            to,
            fault,
        });
        if self.is_active() {
            self.phase = ReaderPhase::Ready;
        }
    }

    /// Aborts the current request, if any; this does not count as a fault.
    pub(super) fn abort_request(&mut self, now: Duration) {
        if let ReaderPhase::Requesting(pending) = &self.phase {
            let id = pending.id;
            self.abort = true;
            self.phase = ReaderPhase::Ready;
            self.report(FollowReport::Ended {
                id,
                at_ms: ms(now),
                fault: None,
            });
        }
    }

    pub(super) fn wait_for_poll(&mut self, now: Duration) {
        self.phase = ReaderPhase::Ready;
        if let Some(due) = self.polls.next().filter(|due| *due > now) {
            self.wait(now, due, false);
        }
    }

    pub(super) fn wait(&mut self, now: Duration, until: Duration, after_fault: bool) {
        self.phase = ReaderPhase::Waiting(until);
        let for_ms = ms(until.saturating_sub(now));
        self.report(FollowReport::Waiting {
            at_ms: ms(now),
            for_ms,
            after_fault,
        });
    }
}
