//! How the reader handles frames and pages that arrive.

use super::answer::{AnswerFault, AnswerPage, AnswerProgress};
use super::{
    LIVE_MIN, QUICK_EMPTIES_MAX, ReaderOutput, ReaderPhase, ReaderPosition, StreamReader, ms,
};
use crate::{FollowReport, ReceivedBatch};
use std::time::Duration;
use tailwater_protocol::{Frame, Technique, Token};

impl StreamReader {
    pub(super) fn take(&mut self, now: Duration, came: AnswerProgress) {
        for frame in came.frames {
            if self.take_frame(now, frame) {
                return;
            }
        }
        match came.end {
            None => {}
            Some(Ok(Some(page))) => self.take_page(now, page),
            Some(Ok(None)) => self.live_ended(now),
            Some(Err(fault)) => self.fail(now, &fault),
        }
    }

    /// One frame of a live answer; returns whether it was the last.
    fn take_frame(&mut self, now: Duration, frame: Frame) -> bool {
        let ReaderPhase::Asking(exchange) = &self.phase else {
            return true;
        };
        let id = exchange.id;
        self.choice.works();
        self.faults = 0;
        self.position.next = frame.next.clone();
        self.position.cursor = frame.cursor.or(self.position.cursor.take());
        let closed = frame.closed;
        let data = frame.data.unwrap_or_else(|| self.no_data());
        let batch = ReceivedBatch {
            data,
            next: frame.next,
            up_to_date: frame.up_to_date,
            closed,
        };
        self.report(FollowReport::Batch {
            id,
            at_ms: ms(now),
            batch,
        });
        if closed {
            self.abort = true;
            self.report(FollowReport::Ended {
                id,
                at_ms: ms(now),
                fault: None,
            });
            self.finish(now, None);
        }
        closed
    }

    /// A page came whole: what its head says holds from now on, before its body is looked at.
    fn take_page(&mut self, now: Duration, mut page: AnswerPage) {
        let ReaderPhase::Asking(exchange) = &self.phase else {
            return;
        };
        let (technique, begun) = (exchange.technique, exchange.begun);
        let before = self.position.clone();
        let next = page.next.clone().unwrap_or_else(|| before.next.clone());
        let progress = !page.is_empty() && next != before.next;
        self.kind = page.kind.or(self.kind);
        self.position = ReaderPosition {
            cursor: page.cursor.take().or_else(|| before.cursor.clone()),
            caught_up: page.up_to_date || !progress,
            next,
        };
        let closed = page.closed;
        page.before = Some(before);
        self.out.push_back(ReaderOutput::Page(page));
        self.phase = if closed {
            ReaderPhase::Closing
        } else {
            ReaderPhase::Ready
        };
        match technique {
            _ if closed => {}
            Technique::LongPoll => self.pace_long_poll(now, begun, progress),
            _ if self.choice.current() == Technique::Poll && self.position.caught_up => {
                self.wait_for_tick(now);
            }
            _ => {}
        }
    }

    /// A server (or a cache) that answers "nothing" at once, again and again, must not be asked as fast as it answers.
    fn pace_long_poll(&mut self, now: Duration, begun: Duration, progress: bool) {
        let expected = self
            .options
            .hold
            .map_or(LIVE_MIN, |hold| LIVE_MIN.min(hold / 2));
        let quick = !progress && now.saturating_sub(begun) < expected;
        self.quick_empties = if quick { self.quick_empties + 1 } else { 0 };
        if self.quick_empties > QUICK_EMPTIES_MAX {
            self.wait(now, begun + LIVE_MIN, false);
        }
    }

    /// Opens a page; the next request may be under way already.
    pub(super) fn open(&mut self, now: Duration, page: AnswerPage) {
        let (id, at_ms) = (page.id, ms(page.at));
        let decoded = page.decode();
        let AnswerPage {
            before,
            up_to_date,
            closed,
            ..
        } = page;
        match decoded {
            Ok(data) => {
                self.faults = 0;
                self.choice.worked(page.technique);
                let next = page
                    .next
                    .or(before.map(|before| before.next))
                    .unwrap_or_else(Token::beginning);
                let data = data.unwrap_or_else(|| self.no_data());
                let batch = ReceivedBatch {
                    data,
                    next,
                    up_to_date: up_to_date || closed,
                    closed,
                };
                // In front of what was queued since: the reports about the next request.
                let ended = FollowReport::Ended {
                    id,
                    at_ms,
                    fault: None,
                };
                self.out.push_front(ReaderOutput::Report(ended));
                self.out
                    .push_front(ReaderOutput::Report(FollowReport::Batch {
                        id,
                        at_ms,
                        batch,
                    }));
                if closed {
                    self.finish(now, None);
                }
            }
            Err(fault) => {
                let fault = format!("the page can't be read: {fault}");
                self.out
                    .push_front(ReaderOutput::Report(FollowReport::Ended {
                        id,
                        at_ms,
                        fault: Some(fault.clone()),
                    }));
                self.leave(now);
                self.position = before.unwrap_or_else(|| self.position.clone());
                self.after_fault(now, page.technique, &AnswerFault::transient(fault));
            }
        }
    }
}
