//! The client's half of a read as a state machine: catch up, then live, by any technique, with nothing lost or repeated.
//!
//! It does no I/O and has no clock: a driver sends what [`StreamReader::poll`] asks for and hands what comes to
//! [`StreamReader::handle`], each with the time on any monotonic clock.
//!
//! - Plain reads catch up page by page; at the tail the technique takes over. Long-poll reads pages by itself, so it begins
//!   at once, but for `now`, which a plain read first pins to a real position.
//! - A batch counts only when whole: a page with its headers, a line, a data event with its control event. What a cut
//!   leaves half is dropped and asked for again.
//! - A live answer that the server ended is asked for again at once. After a fault there is a pause, and the way back is
//!   the way in: a plain read tells a missing stream from a broken technique (browsers don't say why a WebSocket failed).
//! - A technique that keeps failing while plain reads work gives way to the next one (the order stands in `reader/technique_choice.rs`); the wanted one
//!   is tried again later.

mod arrival;
mod head;
mod options;
mod pace;
mod recovery;
mod response;
mod technique_choice;

pub use head::StreamResponseHead;
pub use options::FollowOptions;
pub use pace::Backoff;

use crate::FollowReport;
use pace::PollSchedule;
use response::{PendingRequest, ResponseProgress, UndecodedPage};
use std::collections::VecDeque;
use std::time::Duration;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Data, Technique, Token};
use technique_choice::{TechniqueChoice, requirements_of};

/// A live answer that ends sooner than this is not asked for again before it has passed.
const LIVE_MIN: Duration = Duration::from_secs(1);
/// Empty long-poll answers in a row that may come at once before they are paced.
const QUICK_EMPTY_RESPONSES_MAX: u32 = 3;

/// What a driver has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderAction {
    /// Drop the answer under way: nothing of it is wanted any more.
    Abort,
    /// Send this request; there is no other one under way.
    Send(ReadRequest),
    /// Tell the owner.
    Report(FollowReport),
    /// Wait for the answer or the owner, but not beyond this time; if it passes first, say [`ReaderInput::Elapsed`].
    Wait(Option<Duration>),
    /// Nothing more will happen.
    Done,
}

/// A GET, or for WebSocket an upgrade, of the stream's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// Counts from 0.
    pub id: u64,
    /// What kind of answer to expect; catching up is [`Technique::Poll`].
    pub technique: Technique,
    /// The query without `?`, keys in alphabetical order as caches like it: `live=sse&offset=-1`.
    pub query: String,
}

/// What came, or that nothing came in time.
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderInput<'a> {
    /// The answer's head; for WebSocket the opened connection with status 101.
    Head(StreamResponseHead),
    /// A piece of its body, or the text of one WebSocket frame.
    Piece(&'a [u8]),
    /// The answer ended as it should; a WebSocket was closed by the server on purpose.
    End,
    /// The answer can't be had or broke off; in words.
    Fault(String),
    /// The time of [`ReaderAction::Wait`] has passed without any of these.
    ///
    /// Only this, never a late [`StreamReader::poll`], declares a connection dead: an owner that was slow to take its reports is
    /// not a server that was silent.
    Elapsed,
}

#[derive(Debug)]
enum ReaderPhase {
    /// Ask at once.
    Ready,
    /// Ask then.
    Waiting(Duration),
    /// A request is under way.
    Requesting(Box<PendingRequest>),
    /// The last page came and waits to be opened.
    LastPage,
    /// The owner wants nothing for now.
    Paused,
    /// The end.
    Done,
}

#[derive(Debug)]
enum ReaderOutput {
    Report(FollowReport),
    /// A page that came whole but is opened only after the next request has left.
    Page(UndecodedPage),
}

/// A position with what belongs to it.
#[derive(Debug, Clone)]
struct ReaderPosition {
    next: Token,
    cursor: Option<String>,
    /// Whether the technique may ask here, or plain reads have to catch up first.
    caught_up: bool,
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct StreamReader {
    options: FollowOptions,
    choice: TechniqueChoice,
    position: ReaderPosition,
    kind: Option<ContentKind>,
    phase: ReaderPhase,
    requests: u64,
    /// Faults since anything came whole.
    faults: u32,
    quick_empty_responses: u32,
    polls: PollSchedule,
    backoff: Backoff,
    abort: bool,
    out: VecDeque<ReaderOutput>,
}

impl StreamReader {
    /// A reader that asks at its first [`StreamReader::poll`].
    pub fn new(options: FollowOptions) -> Self {
        let position = ReaderPosition {
            next: options.from.clone(),
            cursor: None,
            caught_up: false,
        };
        Self {
            choice: TechniqueChoice::new(options.technique, options.fallback),
            polls: PollSchedule::new(options.poll_interval),
            backoff: Backoff::new(options.seed),
            position,
            kind: None,
            phase: ReaderPhase::Ready,
            requests: 0,
            faults: 0,
            quick_empty_responses: 0,
            abort: false,
            out: VecDeque::new(),
            options,
        }
    }

    /// The technique in use; another than the wanted one while that keeps failing.
    pub fn technique(&self) -> Technique {
        self.choice.current()
    }

    /// The position after everything that arrived whole.
    pub fn next(&self) -> &Token {
        &self.position.next
    }

    /// What to do now. Call it again until it says [`ReaderAction::Wait`] or [`ReaderAction::Done`].
    ///
    /// The next request comes before the reports about the last answer, so that no time is lost on them.
    pub fn poll(&mut self, now: Duration) -> ReaderAction {
        loop {
            if self.choice.is_retry_due(now) && self.is_active() {
                self.retry_wanted(now);
            }
            if std::mem::take(&mut self.abort) {
                return ReaderAction::Abort;
            }
            let due = match self.phase {
                ReaderPhase::Ready => true,
                ReaderPhase::Waiting(until) => now >= until,
                ReaderPhase::Requesting(_)
                | ReaderPhase::LastPage
                | ReaderPhase::Paused
                | ReaderPhase::Done => false,
            };
            if due {
                return ReaderAction::Send(self.next_request(now));
            }
            match self.out.pop_front() {
                Some(ReaderOutput::Report(report)) => return ReaderAction::Report(report),
                Some(ReaderOutput::Page(page)) => self.decode_page(now, page),
                None if matches!(self.phase, ReaderPhase::Done) => return ReaderAction::Done,
                None => return ReaderAction::Wait(self.deadline()),
            }
        }
    }

    /// Takes what came. Without a request under way it changes nothing.
    pub fn handle(&mut self, now: Duration, input: ReaderInput<'_>) {
        let ReaderPhase::Requesting(pending) = &mut self.phase else {
            return;
        };
        let id = pending.id;
        let at_ms = ms(now);
        let was_over = matches!(input, ReaderInput::End | ReaderInput::Fault(_));
        let progress = match input {
            ReaderInput::Head(head) => {
                self.out
                    .push_back(ReaderOutput::Report(FollowReport::Responded {
                        id,
                        at_ms,
                        status: head.status,
                    }));
                pending.head(now, head, self.kind)
            }
            ReaderInput::Piece(bytes) => {
                self.out
                    .push_back(ReaderOutput::Report(FollowReport::Chunk {
                        id,
                        at_ms,
                        bytes: bytes.len(),
                    }));
                pending.piece(now, bytes)
            }
            ReaderInput::End => pending.end(now),
            ReaderInput::Fault(text) => pending.fault(text),
            ReaderInput::Elapsed => match pending.timed_out(now) {
                Some(fault) => ResponseProgress::fault(fault),
                None => return,
            },
        };
        self.abort |= progress.end.is_some() && !was_over;
        self.handle_progress(now, progress);
    }

    /// Goes on by another technique at once, at the same position.
    pub fn change(&mut self, now: Duration, technique: Technique) {
        let from = self.choice.current();
        self.choice = TechniqueChoice::new(technique, self.options.fallback);
        if from != technique {
            self.technique_changed(now, from, technique, None);
        }
    }

    /// Polls at another rate, counted from the last poll.
    pub fn set_poll_interval(&mut self, now: Duration, interval: Duration) {
        self.polls.set_interval(now, interval);
        if self.choice.current() == Technique::Poll
            && self.faults == 0
            && matches!(self.phase, ReaderPhase::Waiting(_))
        {
            self.wait_for_poll(now);
        }
    }

    /// Drops what is under way and asks no more until [`StreamReader::resume`].
    pub fn pause(&mut self, now: Duration) {
        if self.is_active() {
            self.abort_request(now);
            self.phase = ReaderPhase::Paused;
        }
    }

    /// Goes on at the position where it paused.
    pub fn resume(&mut self) {
        if matches!(self.phase, ReaderPhase::Paused) {
            self.phase = ReaderPhase::Ready;
        }
    }

    fn is_active(&self) -> bool {
        matches!(
            self.phase,
            ReaderPhase::Ready | ReaderPhase::Waiting(_) | ReaderPhase::Requesting(_)
        )
    }

    fn deadline(&self) -> Option<Duration> {
        let own = match &self.phase {
            ReaderPhase::Waiting(until) => Some(*until),
            ReaderPhase::Requesting(pending) => Some(pending.deadline()),
            ReaderPhase::Ready
            | ReaderPhase::LastPage
            | ReaderPhase::Paused
            | ReaderPhase::Done => {
                return None;
            }
        };
        [own, self.choice.retry_at()].into_iter().flatten().min()
    }

    fn next_request(&mut self, now: Duration) -> ReadRequest {
        let wanted = self.choice.current();
        let needs = requirements_of(wanted);
        let must_catch_up = (needs.offset && self.position.next == Token::now())
            || (needs.caught_up && !self.position.caught_up)
            || (needs.kind && self.kind.is_none());
        let technique = if must_catch_up {
            Technique::Poll
        } else {
            wanted
        };
        if wanted == Technique::Poll {
            self.polls.sent(now);
        }
        let id = self.requests;
        self.requests += 1;
        let query = response::query(
            technique,
            &self.position.next,
            self.position.cursor.as_deref(),
            self.options.hold,
        );
        let timeouts = response::ResponseTimeouts {
            hold: self.options.hold,
            silence_max: self.options.silence_max,
        };
        self.phase =
            ReaderPhase::Requesting(Box::new(PendingRequest::new(id, technique, now, timeouts)));
        self.report(FollowReport::Requested {
            id,
            at_ms: ms(now),
            technique,
        });
        ReadRequest {
            id,
            technique,
            query,
        }
    }

    fn finish(&mut self, now: Duration, fault: Option<String>) {
        self.phase = ReaderPhase::Done;
        self.report(FollowReport::Finished {
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

    fn report(&mut self, report: FollowReport) {
        self.out.push_back(ReaderOutput::Report(report));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod script;
#[cfg(test)]
mod scripted_tests;
#[cfg(test)]
mod simulation_tests;
