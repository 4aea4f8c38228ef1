//! The client side of a read as a state machine: catches up, then follows by any technique, without loss or repetition.
//!
//! It does no I/O and has no clock: a driver performs the actions that [`StreamReader::poll`] returns, and passes events to
//! [`StreamReader::handle`], each with the time of any monotonic clock.
//!
//! - Plain reads catch up page by page; at the tail the technique is used. Long-poll reads pages itself, so it is used from
//!   the beginning, except that the offset `now` is first resolved by a plain read.
//! - Only complete batches are used: a page with its headers, a line, a data event with its control event. Incomplete ones
//!   are discarded and requested again.
//! - When the server ends a live response, the next request is sent immediately. After a fault the reader backs off and
//!   sends a plain read first: it distinguishes a missing stream from a failing technique, as a browser does not report why
//!   a WebSocket failed.
//! - A technique that keeps failing while plain reads succeed is replaced by its fallback (`reader/technique_choice.rs`);
//!   the preferred one is retried later.

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

/// Least time between the requests of two live responses.
const LIVE_MIN: Duration = Duration::from_secs(1);
/// Consecutive empty long-poll responses without a hold before requests are delayed.
const QUICK_EMPTY_RESPONSES_MAX: u32 = 3;

/// What the driver must do next.
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderAction {
    /// Abort the current request and drop its response.
    Abort,
    /// Send this request; there is no other current request.
    Send(ReadRequest),
    /// Pass this report to the caller.
    Report(FollowReport),
    /// Wait for an event of the response or a call of the caller, at most until this time; then pass
    /// [`ReaderInput::Elapsed`].
    Wait(Option<Duration>),
    /// The reader has ended.
    Done,
}

/// A GET, or for WebSocket an upgrade, of the stream's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// Counts from 0.
    pub id: u64,
    /// The technique of the request; [`Technique::Poll`] while catching up.
    pub technique: Technique,
    /// The query without `?`, keys in alphabetical order for caches: `live=sse&offset=-1`.
    pub query: String,
}

/// An event of the current response, or a timeout.
#[derive(Debug, Clone, PartialEq)]
pub enum ReaderInput<'a> {
    /// The head of the response; for WebSocket the opened connection, with status 101.
    Head(StreamResponseHead),
    /// A piece of the body, or the text of one WebSocket frame.
    Piece(&'a [u8]),
    /// The regular end of the response; for WebSocket a regular close by the server.
    End,
    /// The request failed or the response ended early; with an error text.
    Fault(String),
    /// The time of [`ReaderAction::Wait`] has passed without an event.
    ///
    /// Only this input causes a timeout, not a late [`StreamReader::poll`], so that a slow caller does not look like a
    /// stalled server.
    Elapsed,
}

#[derive(Debug)]
enum ReaderPhase {
    /// The next request is due.
    Ready,
    /// The next request is due at this time.
    Waiting(Duration),
    /// A request was sent.
    Requesting(Box<PendingRequest>),
    /// The last page was received, but not decoded yet.
    LastPage,
    Paused,
    Done,
}

#[derive(Debug)]
enum ReaderOutput {
    Report(FollowReport),
    /// A complete page; decoded after the next request was sent.
    Page(UndecodedPage),
}

/// The offset and the state that belongs to it.
#[derive(Debug, Clone)]
struct ReaderPosition {
    next: Token,
    cursor: Option<String>,
    /// Whether a live request may be sent, or plain reads must catch up first.
    caught_up: bool,
}

/// The state machine of a reader; see the module documentation.
#[derive(Debug)]
pub struct StreamReader {
    options: FollowOptions,
    choice: TechniqueChoice,
    position: ReaderPosition,
    kind: Option<ContentKind>,
    phase: ReaderPhase,
    requests: u64,
    /// Consecutive faults since the last complete page or frame.
    faults: u32,
    quick_empty_responses: u32,
    polls: PollSchedule,
    backoff: Backoff,
    abort: bool,
    out: VecDeque<ReaderOutput>,
}

impl StreamReader {
    /// A reader that sends its first request at the first [`StreamReader::poll`].
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

    /// The technique in use: the preferred one, or a fallback while it keeps failing.
    pub fn technique(&self) -> Technique {
        self.choice.current()
    }

    /// The offset after the last complete batch.
    pub fn next(&self) -> &Token {
        &self.position.next
    }

    /// Returns the next action. Call it until it returns [`ReaderAction::Wait`] or [`ReaderAction::Done`].
    ///
    /// The next request is returned before the reports about the last response, so that they do not delay it.
    pub fn poll(&mut self, now: Duration) -> ReaderAction {
        loop {
            if self.choice.is_retry_due(now) && self.is_active() {
                self.retry_preferred(now);
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

    /// Handles an input; without effect if there is no current request.
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

    /// Switches to another technique immediately, at the current offset.
    pub fn change(&mut self, now: Duration, technique: Technique) {
        let from = self.choice.current();
        self.choice = TechniqueChoice::new(technique, self.options.fallback);
        if from != technique {
            self.technique_changed(now, from, technique, None);
        }
    }

    /// Changes the poll interval, counted from the last poll.
    pub fn set_poll_interval(&mut self, now: Duration, interval: Duration) {
        self.polls.set_interval(now, interval);
        if self.choice.current() == Technique::Poll
            && self.faults == 0
            && matches!(self.phase, ReaderPhase::Waiting(_))
        {
            self.wait_for_poll(now);
        }
    }

    /// Aborts the current request and sends no more until [`StreamReader::resume`].
    pub fn pause(&mut self, now: Duration) {
        if self.is_active() {
            self.abort_request(now);
            self.phase = ReaderPhase::Paused;
        }
    }

    /// Continues at the current offset after [`StreamReader::pause`].
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
        let deadline = match &self.phase {
            ReaderPhase::Waiting(until) => Some(*until),
            ReaderPhase::Requesting(pending) => Some(pending.deadline()),
            ReaderPhase::Ready
            | ReaderPhase::LastPage
            | ReaderPhase::Paused
            | ReaderPhase::Done => {
                return None;
            }
        };
        [deadline, self.choice.retry_at()]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_request(&mut self, now: Duration) -> ReadRequest {
        let current = self.choice.current();
        let required = requirements_of(current);
        let must_catch_up = (required.offset && self.position.next == Token::now())
            || (required.caught_up && !self.position.caught_up)
            || (required.kind && self.kind.is_none());
        let technique = if must_catch_up {
            Technique::Poll
        } else {
            current
        };
        if current == Technique::Poll {
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
