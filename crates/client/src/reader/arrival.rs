//! How the reader handles frames and pages.

use super::response::{ResponseFault, ResponseProgress, UndecodedPage};
use super::{
    LIVE_MIN, QUICK_EMPTY_RESPONSES_MAX, ReaderOutput, ReaderPhase, ReaderPosition, StreamReader,
    ms,
};
use crate::{FollowReport, ReceivedBatch};
use std::time::Duration;
use tailwater_protocol::{Frame, Technique, TechniqueKind, Token};

impl StreamReader {
    pub(super) fn handle_progress(&mut self, now: Duration, progress: ResponseProgress) {
        for frame in progress.frames {
            if self.handle_frame(now, frame) {
                return;
            }
        }
        match progress.end {
            None => {}
            Some(Ok(Some(page))) => self.handle_page(now, page),
            Some(Ok(None)) => self.live_response_ended(now),
            Some(Err(fault)) => self.fail(now, &fault),
        }
    }

    /// Reports a frame of a live response; returns whether it was the last one.
    fn handle_frame(&mut self, now: Duration, frame: Frame) -> bool {
        let ReaderPhase::Requesting(pending) = &self.phase else {
            return true;
        };
        let id = pending.id;
        self.choice.succeeded();
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

    /// Handles a complete page: takes the next offset from its head, and queues its body for decoding.
    fn handle_page(&mut self, now: Duration, mut page: UndecodedPage) {
        let ReaderPhase::Requesting(pending) = &self.phase else {
            return;
        };
        let (technique, started) = (pending.technique, pending.started);
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
            ReaderPhase::LastPage
        } else {
            ReaderPhase::Ready
        };
        if closed {
            return;
        }
        match technique.kind() {
            TechniqueKind::LongPolling => self.pace_long_poll(now, started, progress),
            TechniqueKind::Polling | TechniqueKind::Streaming | TechniqueKind::Websocket => {
                if self.choice.current() == Technique::Poll && self.position.caught_up {
                    self.wait_for_poll(now);
                }
            }
        }
    }

    /// Delays the next long-poll if a server (or a cache) keeps returning empty responses without holding them.
    fn pace_long_poll(&mut self, now: Duration, started: Duration, progress: bool) {
        let expected = self
            .options
            .hold
            .map_or(LIVE_MIN, |hold| LIVE_MIN.min(hold / 2));
        let quick = !progress && now.saturating_sub(started) < expected;
        self.quick_empty_responses = if quick {
            self.quick_empty_responses + 1
        } else {
            0
        };
        if self.quick_empty_responses > QUICK_EMPTY_RESPONSES_MAX {
            self.wait(now, started + LIVE_MIN, false);
        }
    }

    /// Decodes and reports a page; the next request may have been sent already.
    pub(super) fn decode_page(&mut self, now: Duration, page: UndecodedPage) {
        let (id, at_ms) = (page.id, ms(page.at));
        let decoded = page.decode();
        let UndecodedPage {
            before,
            up_to_date,
            closed,
            ..
        } = page;
        match decoded {
            Ok(data) => {
                self.faults = 0;
                self.choice.succeeded_by(page.technique);
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
                // Before the reports about the next request, which are queued already.
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
                self.abort_request(now);
                self.position = before.unwrap_or_else(|| self.position.clone());
                self.after_fault(now, page.technique, &ResponseFault::transient(fault));
            }
        }
    }
}
