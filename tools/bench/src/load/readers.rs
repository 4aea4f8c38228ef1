//! The readers of a load.

use super::{Load, LoadEnd, SILENCE_MAX, expect_ok, expect_stream, micros, stream};
use crate::BenchFault;
use crate::decode::ContentPart;
use crate::message::{MessageScanner, SeenMessages};
use crate::target::{BenchTechnique, From};
use std::time::{Duration, Instant};

/// How many connections are opened before the server is given time to accept them.
const OPENED_AT_ONCE: usize = 128;
/// How long long-polls are given to be on their way.
const LONG_POLLS_LEAVE: Duration = Duration::from_millis(2);

/// One reader.
#[derive(Debug)]
pub(super) struct LoadReader {
    /// Its connection, once it has asked.
    line: Option<usize>,
    pub(super) stream: usize,
    scanner: MessageScanner,
    pub(super) seen: SeenMessages,
    /// Where the next poll or long-poll begins.
    position: Option<String>,
    /// A request has been sent and its answer is not whole.
    asks: bool,
    /// The head of a streaming answer has come.
    follows: bool,
}

impl Load<'_> {
    /// So many more readers. Those that stream have their answer's head when this is done; long-polls have been sent; polls are spread
    /// over their interval, and connect when they first ask.
    ///
    /// # Errors
    /// What keeps them from being connected.
    pub(crate) fn open_readers(&mut self, count: usize) -> Result<(), BenchFault> {
        for opened in 0..count {
            let reader = self.readers.len();
            self.readers.push(LoadReader {
                line: None,
                stream: reader % self.terms.streams,
                scanner: MessageScanner::default(),
                seen: SeenMessages::default(),
                position: None,
                asks: false,
                follows: false,
            });
            if self.terms.technique == BenchTechnique::Poll {
                let spread = micros(self.terms.poll_every) * opened as u64 / count as u64;
                self.polls.push_back((self.now() + spread, reader));
                continue;
            }
            self.ask(reader)?;
            if (opened + 1) % OPENED_AT_ONCE == 0 || opened + 1 == count {
                self.readers_are_let_in()?;
            }
        }
        Ok(())
    }

    fn readers_are_let_in(&mut self) -> Result<(), BenchFault> {
        if !self.terms.technique.streams() {
            self.turn(LONG_POLLS_LEAVE)?;
            return Ok(());
        }
        let begun = Instant::now();
        let newest = self.readers.len().saturating_sub(OPENED_AT_ONCE);
        while self.readers[newest..].iter().any(|reader| !reader.follows) {
            self.turn(Duration::from_millis(100))?;
            if begun.elapsed() > SILENCE_MAX {
                return Err(BenchFault::Server(format!(
                    "no head of a streaming answer within {SILENCE_MAX:?}"
                )));
            }
        }
        Ok(())
    }

    /// Readers of a stream.
    pub(super) fn readers_of(&self, stream: usize) -> usize {
        let (all, streams) = (self.readers.len(), self.terms.streams);
        all / streams + usize::from(stream < all % streams)
    }

    /// Sends the reader's next request.
    fn ask(&mut self, number: usize) -> Result<(), BenchFault> {
        let line = match self.readers[number].line {
            Some(line) => line,
            None => {
                self.ends.push(LoadEnd::Reader(number));
                self.lines.open()?
            }
        };
        let reader = &mut self.readers[number];
        reader.line = Some(line);
        let from = reader.position.as_deref().map_or(From::Beginning, From::At);
        let request = self
            .target
            .read(&stream(reader.stream), self.terms.technique, from);
        reader.asks = true;
        self.lines.send(line, &request)
    }

    /// Sends the polls that are due; returns the time to the next.
    pub(super) fn polls_due(&mut self) -> Result<Duration, BenchFault> {
        while let Some(&(due, reader)) = self.polls.front() {
            let now = self.now();
            if due > now {
                return Ok(Duration::from_micros(due - now));
            }
            self.polls.pop_front();
            // One that is still waiting for its answer leaves this one out.
            if !self.readers[reader].asks {
                self.ask(reader)?;
            }
            if !self.terms.poll_every.is_zero() {
                self.polls
                    .push_back((due + micros(self.terms.poll_every), reader));
            }
        }
        Ok(SILENCE_MAX)
    }

    pub(super) fn reader_has(&mut self, number: usize) -> Result<(), BenchFault> {
        let Self {
            target,
            terms,
            lines,
            readers,
            tally,
            begun,
            ..
        } = self;
        let LoadReader {
            line: Some(line),
            scanner,
            seen,
            position,
            follows,
            ..
        } = &mut readers[number]
        else {
            return Ok(());
        };
        let (streams, now) = (terms.technique.streams(), Instant::now());
        let now_us = micros(now.duration_since(*begun));
        let (mut answered, before) = (false, tally.delivered);
        let bytes = lines.read(*line, &mut |part| {
            match part {
                ContentPart::Head(head) if streams => *follows = expect_stream(&head)?,
                ContentPart::Head(head) => {
                    if head.status != 304 {
                        expect_ok(&head)?;
                    }
                    if let Some(next) = target.position(&head) {
                        *position = Some(next);
                    }
                }
                ContentPart::Piece(piece) => scanner.feed(piece, terms.size, |message| {
                    if let Some(message) = seen.note(message) {
                        tally.delivered += 1;
                        if terms.timed {
                            #[expect(
                                clippy::cast_precision_loss,
                                reason = "microseconds of one run"
                            )]
                            tally
                                .latencies
                                .record_us(now_us.saturating_sub(message.due) as f64);
                        }
                    }
                }),
                ContentPart::End if streams => {
                    return Err(BenchFault::Void("a streaming answer ended".into()));
                }
                ContentPart::End => answered = true,
                ContentPart::Ping => {}
            }
            Ok(())
        })?;
        tally.received += bytes as u64;
        if tally.delivered > before {
            tally.last = now;
        }
        if answered {
            self.reader_is_answered(number)?;
        }
        Ok(())
    }

    fn reader_is_answered(&mut self, number: usize) -> Result<(), BenchFault> {
        self.tally.answers += 1;
        self.readers[number].asks = false;
        let at_once =
            self.terms.technique == BenchTechnique::LongPoll || self.terms.poll_every.is_zero();
        if at_once { self.ask(number) } else { Ok(()) }
    }
}
