//! The readers of a load.

use super::{ConnectionRole, Load, SILENCE_MAX, expect_ok, expect_stream, micros, stream};
use crate::BenchFault;
use crate::decode::ContentPart;
use crate::message::{MessageScanner, ReceivedMessages};
use crate::target::{BenchTechnique, From};
use std::time::{Duration, Instant};

/// Connections opened before waiting until the server has accepted them.
const OPENED_AT_ONCE: usize = 128;
/// How long to wait after sending long-polls.
const LONG_POLLS_LEAVE: Duration = Duration::from_millis(2);

/// One reader.
#[derive(Debug)]
pub(super) struct LoadReader {
    /// Its connection, once it has sent a request.
    connection: Option<usize>,
    pub(super) stream: usize,
    scanner: MessageScanner,
    pub(super) received: ReceivedMessages,
    /// The position of the next poll or long-poll.
    position: Option<String>,
    /// A request was sent, and its response is incomplete.
    is_waiting: bool,
    /// The head of a streaming response was received.
    is_following: bool,
}

impl Load<'_> {
    /// Adds readers. Afterwards streaming readers have received the head of their response, and long-polls have been sent; polls are
    /// distributed over their interval, and connect with their first request.
    ///
    /// # Errors
    /// Errors of connecting, and [`BenchFault::Server`] for a refusal.
    pub(crate) fn open_readers(&mut self, count: usize) -> Result<(), BenchFault> {
        for opened in 0..count {
            let reader = self.readers.len();
            self.readers.push(LoadReader {
                connection: None,
                stream: reader % self.options.streams,
                scanner: MessageScanner::default(),
                received: ReceivedMessages::default(),
                position: None,
                is_waiting: false,
                is_following: false,
            });
            if self.options.technique == BenchTechnique::Poll {
                let spread = micros(self.options.poll_every) * opened as u64 / count as u64;
                self.polls.push_back((self.now() + spread, reader));
                continue;
            }
            self.send_request(reader)?;
            if (opened + 1) % OPENED_AT_ONCE == 0 || opened + 1 == count {
                self.wait_for_readers()?;
            }
        }
        Ok(())
    }

    fn wait_for_readers(&mut self) -> Result<(), BenchFault> {
        if !self.options.technique.streams() {
            self.handle_events(LONG_POLLS_LEAVE)?;
            return Ok(());
        }
        let begun = Instant::now();
        let newest = self.readers.len().saturating_sub(OPENED_AT_ONCE);
        while self.readers[newest..]
            .iter()
            .any(|reader| !reader.is_following)
        {
            self.handle_events(Duration::from_millis(100))?;
            if begun.elapsed() > SILENCE_MAX {
                return Err(BenchFault::Server(format!(
                    "no head of a streaming response within {SILENCE_MAX:?}"
                )));
            }
        }
        Ok(())
    }

    /// Number of readers of a stream.
    pub(super) fn readers_of(&self, stream: usize) -> usize {
        let (all, streams) = (self.readers.len(), self.options.streams);
        all / streams + usize::from(stream < all % streams)
    }

    /// Sends the reader's next request.
    fn send_request(&mut self, number: usize) -> Result<(), BenchFault> {
        let connection = match self.readers[number].connection {
            Some(connection) => connection,
            None => {
                self.roles.push(ConnectionRole::Reader(number));
                self.connections.open()?
            }
        };
        let reader = &mut self.readers[number];
        reader.connection = Some(connection);
        let from = reader.position.as_deref().map_or(From::Beginning, From::At);
        let request = self
            .target
            .read(&stream(reader.stream), self.options.technique, from);
        reader.is_waiting = true;
        self.connections.send(connection, &request)
    }

    /// Sends the polls that are due; returns the time until the next one.
    pub(super) fn polls_due(&mut self) -> Result<Duration, BenchFault> {
        while let Some(&(due, reader)) = self.polls.front() {
            let now = self.now();
            if due > now {
                return Ok(Duration::from_micros(due - now));
            }
            self.polls.pop_front();
            // Skipped while the previous response is incomplete.
            if !self.readers[reader].is_waiting {
                self.send_request(reader)?;
            }
            if !self.options.poll_every.is_zero() {
                self.polls
                    .push_back((due + micros(self.options.poll_every), reader));
            }
        }
        Ok(SILENCE_MAX)
    }

    pub(super) fn handle_reader(&mut self, number: usize) -> Result<(), BenchFault> {
        let Self {
            target,
            options,
            connections,
            readers,
            counts,
            begun,
            ..
        } = self;
        let LoadReader {
            connection: Some(connection),
            scanner,
            received,
            position,
            is_following,
            ..
        } = &mut readers[number]
        else {
            return Ok(());
        };
        let (streams, now) = (options.technique.streams(), Instant::now());
        let now_us = micros(now.duration_since(*begun));
        let (mut ended, before) = (false, counts.delivered);
        let bytes = connections.read(*connection, &mut |part| {
            match part {
                ContentPart::Head(head) if streams => *is_following = expect_stream(&head)?,
                ContentPart::Head(head) => {
                    if head.status != 304 {
                        expect_ok(&head)?;
                    }
                    if let Some(next) = target.position(&head) {
                        *position = Some(next);
                    }
                }
                ContentPart::Piece(piece) => scanner.feed(piece, options.size, |message| {
                    if let Some(message) = received.record(message) {
                        counts.delivered += 1;
                        if options.timed {
                            #[expect(
                                clippy::cast_precision_loss,
                                reason = "microseconds of one run"
                            )]
                            counts
                                .latencies
                                .record_us(now_us.saturating_sub(message.due) as f64);
                        }
                    }
                }),
                ContentPart::End if streams => {
                    return Err(BenchFault::Void("a streaming response ended".into()));
                }
                ContentPart::End => ended = true,
                ContentPart::Ping => {}
            }
            Ok(())
        })?;
        counts.received += bytes as u64;
        if counts.delivered > before {
            counts.last = now;
        }
        if ended {
            self.response_ended(number)?;
        }
        Ok(())
    }

    fn response_ended(&mut self, number: usize) -> Result<(), BenchFault> {
        self.counts.responses += 1;
        self.readers[number].is_waiting = false;
        let at_once =
            self.options.technique == BenchTechnique::LongPoll || self.options.poll_every.is_zero();
        if at_once {
            self.send_request(number)
        } else {
            Ok(())
        }
    }
}
