//! The writers of a load: connections that append, each with one pending append at a time.

use super::{ConnectionRole, Load, expect_ok, micros, stream};
use crate::BenchFault;
use crate::decode::ContentPart;
use crate::message::BenchMessage;
use std::time::Instant;

/// One writer.
#[derive(Debug)]
pub(super) struct LoadWriter {
    connection: usize,
    /// The due time of the pending append in microseconds, and its number of messages.
    due: u64,
    messages: usize,
}

impl Load<'_> {
    /// Opens one more writer; called only before an append, because servers close idle connections.
    fn open_writer(&mut self) -> Result<(), BenchFault> {
        let (connection, writer) = (self.connections.open()?, self.writers.len());
        self.roles.push(ConnectionRole::Writer(writer));
        self.writers.push(LoadWriter {
            connection,
            due: 0,
            messages: 0,
        });
        self.idle.push(writer);
        for stream in &mut self.written {
            stream.push(0);
        }
        Ok(())
    }

    /// Sends one append to the next stream if a writer is idle or can be opened; returns whether it was sent.
    ///
    /// - `messages`: number of messages of the append.
    /// - `due`: its scheduled time, in microseconds since the load began.
    pub(super) fn append(&mut self, messages: usize, due: u64) -> Result<bool, BenchFault> {
        if self.idle.is_empty() && self.writers.len() < self.options.writers {
            self.open_writer()?;
        }
        let Some(number) = self.idle.pop() else {
            return Ok(false);
        };
        let at = self.next_stream;
        self.next_stream = (at + 1) % self.options.streams;
        let next = &mut self.written[at][number];
        let message = |number_of| {
            BenchMessage {
                writer: number,
                number: number_of,
                due,
            }
            .bytes(self.options.size)
        };
        let bodies: Vec<Vec<u8>> = (*next..*next + messages as u64).map(message).collect();
        *next += messages as u64;
        self.counts.expected += (messages * self.readers_of(at)) as u64;
        let request = self.target.append(&stream(at), &bodies);
        let writer = &mut self.writers[number];
        (writer.due, writer.messages) = (due, messages);
        self.connections.send(writer.connection, &request)?;
        Ok(true)
    }

    pub(super) fn handle_writer(&mut self, number: usize) -> Result<(), BenchFault> {
        let writer = &mut self.writers[number];
        let mut ended = false;
        self.connections.read(writer.connection, &mut |part| {
            match part {
                ContentPart::Head(head) => expect_ok(&head)?,
                ContentPart::End => ended = true,
                ContentPart::Piece(_) | ContentPart::Ping => {}
            }
            Ok(())
        })?;
        if ended {
            let now = Instant::now();
            let now_us = micros(now.duration_since(self.begun));
            self.counts.last = now;
            self.counts.appended += writer.messages as u64;
            #[expect(clippy::cast_precision_loss, reason = "microseconds of one run")]
            self.counts
                .acknowledged
                .record_us(now_us.saturating_sub(writer.due) as f64);
            self.idle.push(number);
        }
        Ok(())
    }
}
