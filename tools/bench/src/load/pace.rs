//! The rate of appends.

use super::{Load, micros};
use crate::BenchFault;
use std::time::Duration;

/// When the next append is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Open loop: messages per second on a fixed schedule. An append for which no writer is idle is sent late, but its messages
    /// contain the scheduled time.
    Open {
        per_second: f64,
        /// Messages per append.
        batch: usize,
    },
    /// Closed loop: each writer appends again after each response.
    Full {
        /// Messages per append.
        batch: usize,
    },
}

impl Load<'_> {
    /// Appends for `duration`; some messages may not be delivered yet afterwards.
    ///
    /// # Errors
    /// [`BenchFault::Server`] for a refusal, [`BenchFault::Void`] when a reader is disconnected.
    pub(crate) fn run(&mut self, pace: Pace, duration: Duration) -> Result<(), BenchFault> {
        self.counts.start_timer();
        let begin = self.now();
        let end = begin + micros(duration);
        let mut sent = 0_u64;
        loop {
            let now = self.now();
            if now >= end {
                return Ok(());
            }
            let next = match pace {
                Pace::Full { batch } => {
                    while self.append(batch, now)? {}
                    end
                }
                Pace::Open { per_second, batch } => {
                    #[expect(
                        clippy::cast_precision_loss,
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "microseconds of one run"
                    )]
                    let due =
                        |sent: u64| begin + (sent as f64 * batch as f64 * 1e6 / per_second) as u64;
                    while due(sent) <= now && self.append(batch, due(sent))? {
                        sent += 1;
                    }
                    // If one is overdue, no writer is idle: wait for the next response.
                    if due(sent) <= now {
                        end
                    } else {
                        due(sent).min(end)
                    }
                }
            };
            let polls = self.polls_due()?;
            self.handle_events(polls.min(Duration::from_micros(next.saturating_sub(self.now()))))?;
        }
    }

    /// Appends at least `messages` messages, by all writers at full speed, and waits until they are acknowledged.
    ///
    /// # Errors
    /// As [`Load::run`].
    pub(crate) fn fill(&mut self, messages: u64, batch: usize) -> Result<u64, BenchFault> {
        let mut sent = 0;
        while sent < messages {
            let now = self.now();
            while sent < messages && self.append(batch, now)? {
                sent += batch as u64;
            }
            self.handle_events(Duration::from_millis(100))?;
        }
        self.wait_until_delivered()?;
        Ok(sent)
    }

    /// Reads all earlier messages of the first stream, with one more reader.
    ///
    /// # Errors
    /// As [`Load::wait_until_delivered`].
    pub(crate) fn read_from_beginning(&mut self) -> Result<(), BenchFault> {
        self.counts.start_timer();
        self.counts.expected += self.written[0].iter().sum::<u64>();
        self.open_readers(1)?;
        self.wait_until_delivered()
    }
}
