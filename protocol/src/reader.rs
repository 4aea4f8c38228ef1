//! The client's half of a read as a state machine: catch up, then live, by any technique, with nothing lost or repeated.
//!
//! It does no I/O and has no clock: a driver sends what [`Reader::poll`] asks for and hands what comes to
//! [`Reader::handle`], each with the time on any monotonic clock.
//!
//! - Plain reads catch up page by page; at the tail the technique takes over. Long-poll reads pages by itself, so it begins
//!   at once, but for `now`, which a plain read first pins to a real position.
//! - A batch counts only when whole: a page with its headers, a line, a data event with its control event. What a cut
//!   leaves half is dropped and asked for again.
//! - A live answer that the server ended is asked for again at once. After a fault there is a pause, and the way back is
//!   the way in: a plain read tells a missing stream from a broken technique (browsers don't say why a WebSocket failed).
//! - A technique that keeps failing while plain reads work gives way to the next one (the order stands in `reader/ladder.rs`); the wanted one
//!   is tried again later.

mod answer;
mod ladder;
mod options;
mod pace;

pub use answer::Head;
pub use options::FollowOptions;
pub use pace::Pauses;

use crate::headers::ContentKind;
use crate::{Batch, Data, Frame, Report, Technique, Token};
use answer::{Came, Exchange, Fault, Page};
use ladder::Ladder;
use pace::Ticks;
use std::collections::VecDeque;
use std::time::Duration;

/// A live answer that ends sooner than this is not asked for again before it has passed.
const LIVE_MIN: Duration = Duration::from_secs(1);
/// Empty long-poll answers in a row that may come at once before they are paced.
const QUICK_EMPTIES_MAX: u32 = 3;

/// What a driver has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Drop the answer under way: nothing of it is wanted any more.
    Abort,
    /// Send this request; there is no other one under way.
    Send(Request),
    /// Tell the owner.
    Report(Report),
    /// Wait for the answer or the owner, but not beyond this time; if it passes first, say [`Input::Elapsed`].
    Wait(Option<Duration>),
    /// Nothing more will happen.
    Done,
}

/// A GET, or for WebSocket an upgrade, of the stream's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Counts from 0.
    pub id: u64,
    /// What kind of answer to expect; catching up is [`Technique::Poll`].
    pub technique: Technique,
    /// The query without `?`, keys in alphabetical order as caches like it: `live=sse&offset=-1`.
    pub query: String,
}

/// What came, or that nothing came in time.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// The answer's head; for WebSocket the opened connection with status 101.
    Head(Head),
    /// A piece of its body, or the text of one WebSocket frame.
    Piece(&'a [u8]),
    /// The answer ended as it should; a WebSocket was closed by the server on purpose.
    End,
    /// The answer can't be had or broke off; in words.
    Fault(String),
    /// The time of [`Action::Wait`] has passed without any of these.
    ///
    /// Only this, never a late [`Reader::poll`], declares a connection dead: an owner that was slow to take its reports is
    /// not a server that was silent.
    Elapsed,
}

#[derive(Debug)]
enum Phase {
    /// Ask at once.
    Ready,
    /// Ask then.
    Waiting(Duration),
    /// A request is under way.
    Asking(Box<Exchange>),
    /// The last page came and waits to be opened.
    Closing,
    /// The owner wants nothing for now.
    Paused,
    /// The end.
    Done,
}

#[derive(Debug)]
enum Out {
    Report(Report),
    /// A page that came whole but is opened only after the next request has left.
    Page(Page),
}

/// A position with what belongs to it.
#[derive(Debug, Clone)]
struct Position {
    next: Token,
    cursor: Option<String>,
    /// Whether the technique may ask here, or plain reads have to catch up first.
    caught_up: bool,
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct Reader {
    options: FollowOptions,
    ladder: Ladder,
    position: Position,
    kind: Option<ContentKind>,
    phase: Phase,
    requests: u64,
    /// Faults since anything came whole.
    faults: u32,
    quick_empties: u32,
    ticks: Ticks,
    pauses: Pauses,
    abort: bool,
    out: VecDeque<Out>,
}

impl Reader {
    /// A reader that asks at its first [`Reader::poll`].
    pub fn new(options: FollowOptions) -> Self {
        let position = Position {
            next: options.from.clone(),
            cursor: None,
            caught_up: false,
        };
        Self {
            ladder: Ladder::new(options.technique, options.fallback),
            ticks: Ticks::new(options.poll_interval),
            pauses: Pauses::new(options.seed),
            position,
            kind: None,
            phase: Phase::Ready,
            requests: 0,
            faults: 0,
            quick_empties: 0,
            abort: false,
            out: VecDeque::new(),
            options,
        }
    }

    /// The technique in use; another than the wanted one while that keeps failing.
    pub fn technique(&self) -> Technique {
        self.ladder.current()
    }

    /// The position after everything that arrived whole.
    pub fn next(&self) -> &Token {
        &self.position.next
    }

    /// What to do now. Call it again until it says [`Action::Wait`] or [`Action::Done`].
    ///
    /// The next request comes before the reports about the last answer, so that no time is lost on them.
    pub fn poll(&mut self, now: Duration) -> Action {
        loop {
            if self.ladder.wants_another_try(now) && self.is_active() {
                self.try_wanted_again(now);
            }
            if std::mem::take(&mut self.abort) {
                return Action::Abort;
            }
            let due = match self.phase {
                Phase::Ready => true,
                Phase::Waiting(until) => now >= until,
                Phase::Asking(_) | Phase::Closing | Phase::Paused | Phase::Done => false,
            };
            if due {
                return Action::Send(self.ask(now));
            }
            match self.out.pop_front() {
                Some(Out::Report(report)) => return Action::Report(report),
                Some(Out::Page(page)) => self.open(now, page),
                None if matches!(self.phase, Phase::Done) => return Action::Done,
                None => return Action::Wait(self.deadline()),
            }
        }
    }

    /// Takes what came. Without a request under way it changes nothing.
    pub fn handle(&mut self, now: Duration, input: Input<'_>) {
        let Phase::Asking(exchange) = &mut self.phase else {
            return;
        };
        let id = exchange.id;
        let at_ms = ms(now);
        let was_over = matches!(input, Input::End | Input::Fault(_));
        let came = match input {
            Input::Head(head) => {
                self.out.push_back(Out::Report(Report::Answered {
                    id,
                    at_ms,
                    status: head.status,
                }));
                exchange.head(now, head, self.kind)
            }
            Input::Piece(bytes) => {
                self.out.push_back(Out::Report(Report::Chunk {
                    id,
                    at_ms,
                    bytes: bytes.len(),
                }));
                exchange.piece(now, bytes)
            }
            Input::End => exchange.end(now),
            Input::Fault(text) => exchange.fault(text),
            Input::Elapsed => match exchange.silent(now) {
                Some(fault) => Came::fault(fault),
                None => return,
            },
        };
        self.abort |= came.end.is_some() && !was_over;
        self.take(now, came);
    }

    /// Goes on by another technique at once, at the same position.
    pub fn change(&mut self, now: Duration, technique: Technique) {
        let from = self.ladder.current();
        self.ladder = Ladder::new(technique, self.options.fallback);
        if from != technique {
            self.switched(now, from, technique, None);
        }
    }

    /// Polls at another rate, counted from the last poll.
    pub fn set_poll_interval(&mut self, now: Duration, interval: Duration) {
        self.ticks.set_interval(now, interval);
        if self.ladder.current() == Technique::Poll
            && self.faults == 0
            && matches!(self.phase, Phase::Waiting(_))
        {
            self.wait_for_tick(now);
        }
    }

    /// Drops what is under way and asks no more until [`Reader::resume`].
    pub fn pause(&mut self, now: Duration) {
        if self.is_active() {
            self.leave(now);
            self.phase = Phase::Paused;
        }
    }

    /// Goes on at the position where it paused.
    pub fn resume(&mut self) {
        if matches!(self.phase, Phase::Paused) {
            self.phase = Phase::Ready;
        }
    }

    fn is_active(&self) -> bool {
        matches!(
            self.phase,
            Phase::Ready | Phase::Waiting(_) | Phase::Asking(_)
        )
    }

    fn deadline(&self) -> Option<Duration> {
        let own = match &self.phase {
            Phase::Waiting(until) => Some(*until),
            Phase::Asking(exchange) => Some(exchange.deadline()),
            Phase::Ready | Phase::Closing | Phase::Paused | Phase::Done => return None,
        };
        [own, self.ladder.try_again_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn ask(&mut self, now: Duration) -> Request {
        let wanted = self.ladder.current();
        let must_catch_up = match wanted {
            Technique::Poll | Technique::LongPoll => self.position.next == Token::now(),
            // A server-sent answer does not tell what kind of stream it is.
            Technique::Sse => !self.position.caught_up || self.kind.is_none(),
            Technique::Ndjson | Technique::Websocket => !self.position.caught_up,
        };
        let technique = if must_catch_up {
            Technique::Poll
        } else {
            wanted
        };
        if wanted == Technique::Poll {
            self.ticks.asked(now);
        }
        let id = self.requests;
        self.requests += 1;
        let query = answer::query(
            technique,
            &self.position.next,
            self.position.cursor.as_deref(),
            self.options.hold,
        );
        let patience = answer::Patience {
            hold: self.options.hold,
            silence_max: self.options.silence_max,
        };
        self.phase = Phase::Asking(Box::new(Exchange::new(id, technique, now, patience)));
        self.report(Report::Requested {
            id,
            at_ms: ms(now),
            technique,
        });
        Request {
            id,
            technique,
            query,
        }
    }

    fn take(&mut self, now: Duration, came: Came) {
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
        let Phase::Asking(exchange) = &self.phase else {
            return true;
        };
        let id = exchange.id;
        self.ladder.works();
        self.faults = 0;
        self.position.next = frame.next.clone();
        self.position.cursor = frame.cursor.or(self.position.cursor.take());
        let closed = frame.closed;
        let data = frame.data.unwrap_or_else(|| self.no_data());
        let batch = Batch {
            data,
            next: frame.next,
            up_to_date: frame.up_to_date,
            closed,
        };
        self.report(Report::Batch {
            id,
            at_ms: ms(now),
            batch,
        });
        if closed {
            self.abort = true;
            self.report(Report::Ended {
                id,
                at_ms: ms(now),
                fault: None,
            });
            self.finish(now, None);
        }
        closed
    }

    /// A page came whole: what its head says holds from now on, before its body is looked at.
    fn take_page(&mut self, now: Duration, mut page: Page) {
        let Phase::Asking(exchange) = &self.phase else {
            return;
        };
        let (technique, begun) = (exchange.technique, exchange.begun);
        let before = self.position.clone();
        let next = page.next.clone().unwrap_or_else(|| before.next.clone());
        let progress = !page.is_empty() && next != before.next;
        self.kind = page.kind.or(self.kind);
        self.position = Position {
            cursor: page.cursor.take().or_else(|| before.cursor.clone()),
            caught_up: page.up_to_date || !progress,
            next,
        };
        let closed = page.closed;
        page.before = Some(before);
        self.out.push_back(Out::Page(page));
        self.phase = if closed { Phase::Closing } else { Phase::Ready };
        match technique {
            _ if closed => {}
            Technique::LongPoll => self.pace_long_poll(now, begun, progress),
            _ if self.ladder.current() == Technique::Poll && self.position.caught_up => {
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
    fn open(&mut self, now: Duration, page: Page) {
        let (id, at_ms) = (page.id, ms(page.at));
        let decoded = page.decode();
        let Page {
            before,
            up_to_date,
            closed,
            ..
        } = page;
        match decoded {
            Ok(data) => {
                self.faults = 0;
                self.ladder.worked(page.technique);
                let next = page
                    .next
                    .or(before.map(|before| before.next))
                    .unwrap_or_else(Token::beginning);
                let data = data.unwrap_or_else(|| self.no_data());
                let batch = Batch {
                    data,
                    next,
                    up_to_date: up_to_date || closed,
                    closed,
                };
                // In front of what was queued since: the reports about the next request.
                let ended = Report::Ended {
                    id,
                    at_ms,
                    fault: None,
                };
                self.out.push_front(Out::Report(ended));
                self.out
                    .push_front(Out::Report(Report::Batch { id, at_ms, batch }));
                if closed {
                    self.finish(now, None);
                }
            }
            Err(fault) => {
                let fault = format!("the page can't be read: {fault}");
                self.out.push_front(Out::Report(Report::Ended {
                    id,
                    at_ms,
                    fault: Some(fault.clone()),
                }));
                self.leave(now);
                self.position = before.unwrap_or_else(|| self.position.clone());
                self.after_fault(now, page.technique, &Fault::transient(fault));
            }
        }
    }

    fn live_ended(&mut self, now: Duration) {
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

    fn fail(&mut self, now: Duration, fault: &Fault) {
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

    fn after_fault(&mut self, now: Duration, technique: Technique, fault: &Fault) {
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

    fn try_wanted_again(&mut self, now: Duration) {
        let from = self.ladder.current();
        let to = self.ladder.try_again(now);
        self.switched(now, from, to, Some(format!("trying {to} again")));
    }

    /// The ladder stands on another technique: leave the old one's request and ask by the new one at once.
    fn switched(&mut self, now: Duration, from: Technique, to: Technique, fault: Option<String>) {
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
    fn leave(&mut self, now: Duration) {
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

    fn wait_for_tick(&mut self, now: Duration) {
        self.phase = Phase::Ready;
        if let Some(tick) = self.ticks.next().filter(|tick| *tick > now) {
            self.wait(now, tick, false);
        }
    }

    fn wait(&mut self, now: Duration, until: Duration, after_fault: bool) {
        self.phase = Phase::Waiting(until);
        let for_ms = ms(until.saturating_sub(now));
        self.report(Report::Waiting {
            at_ms: ms(now),
            for_ms,
            after_fault,
        });
    }

    fn finish(&mut self, now: Duration, fault: Option<String>) {
        self.phase = Phase::Done;
        self.report(Report::Finished {
            at_ms: ms(now),
            fault,
        });
    }

    fn no_data(&self) -> Data {
        match self.kind {
            Some(ContentKind::Text) => Data::Text(String::new()),
            Some(ContentKind::Binary) => Data::Binary(Vec::new()),
            Some(ContentKind::Json) | None => Data::Json(Vec::new()),
        }
    }

    fn report(&mut self, report: Report) {
        self.out.push_back(Out::Report(report));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod play;
#[cfg(test)]
mod scripted_tests;
#[cfg(test)]
mod simulation_tests;
