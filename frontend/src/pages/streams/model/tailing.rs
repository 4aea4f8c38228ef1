//! A followed stream: its last messages, counts, and the state of the follower.

use std::collections::VecDeque;
use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::{Data, Technique, Token};

/// Messages that are shown.
const MESSAGES_MAX: usize = 200;
/// Characters of a message that are shown.
const CHARACTERS_MAX: usize = 2_000;
/// Bytes of a binary message that are shown.
const BYTES_MAX: usize = 64;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMessage {
    /// Its number, from 0 since following began.
    pub number: u64,
    /// The position after it, which only the last of those that came together knows.
    pub next: Option<Token>,
    /// Its content, or the beginning of it.
    pub text: String,
    /// Its length in bytes.
    pub bytes: usize,
    /// Whether `text` has its bytes in hexadecimal.
    pub is_hex: bool,
    /// Whether `text` is only the beginning.
    pub is_cut: bool,
}

/// The state of a follower.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FollowState {
    /// There was no response yet.
    #[default]
    Connecting,
    /// Reading, or at the tail.
    Live,
    /// Reconnecting after a fault, with its message.
    Retrying(String),
    /// The stream is closed, and all of it has been read.
    Ended,
    /// The stream can't be read, with the reason.
    Failed(String),
}

/// The messages of a follower and its state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FollowedStream {
    /// The last messages, the oldest first.
    pub messages: VecDeque<ShownMessage>,
    /// The state of the follower.
    pub state: FollowState,
    /// The technique in use, once a request was sent.
    pub technique: Option<Technique>,
    /// Messages so far.
    pub count: u64,
    /// Payload bytes so far.
    pub bytes: u64,
    /// Requests so far; for WebSocket, connections.
    pub requests: u64,
    fault: Option<String>,
}

impl FollowedStream {
    /// Processes a report of the follower.
    pub fn take(&mut self, report: &FollowReport) {
        match report {
            FollowReport::Requested { technique, .. } => {
                self.requests += 1;
                self.technique.get_or_insert(*technique);
            }
            FollowReport::Changed { to, .. } => self.technique = Some(*to),
            FollowReport::Batch { batch, .. } => self.take_batch(batch),
            FollowReport::Ended {
                fault: Some(fault), ..
            } => self.fault = Some(fault.clone()),
            FollowReport::Waiting {
                after_fault: true, ..
            } => {
                self.state = FollowState::Retrying(self.fault.take().unwrap_or_default());
            }
            FollowReport::Finished { fault, .. } => {
                self.state = fault
                    .clone()
                    .map_or(FollowState::Ended, FollowState::Failed);
            }
            FollowReport::Responded { .. }
            | FollowReport::Chunk { .. }
            | FollowReport::Ended { .. }
            | FollowReport::Waiting { .. } => {}
        }
    }

    fn take_batch(&mut self, batch: &ReceivedBatch) {
        self.state = if batch.closed {
            FollowState::Ended
        } else {
            FollowState::Live
        };
        self.bytes += batch.data.payload_bytes() as u64;
        match &batch.data {
            data if data.is_empty() => {}
            Data::Json(messages) => messages
                .iter()
                .for_each(|message| self.push(message.as_bytes())),
            Data::Text(text) => self.push(text.as_bytes()),
            Data::Binary(bytes) => self.push(bytes),
        }
        if let Some(last) = self.messages.back_mut().filter(|_| !batch.data.is_empty()) {
            last.next = Some(batch.next.clone());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        let (text, is_hex, is_cut) = match std::str::from_utf8(bytes) {
            Ok(text) => {
                let shown: String = text.chars().take(CHARACTERS_MAX).collect();
                let is_cut = shown.len() < text.len();
                (shown, false, is_cut)
            }
            Err(_) => {
                let shown = &bytes[..bytes.len().min(BYTES_MAX)];
                let pairs: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
                (pairs.join(" "), true, shown.len() < bytes.len())
            }
        };
        let message = ShownMessage {
            number: self.count,
            next: None,
            text,
            bytes: bytes.len(),
            is_hex,
            is_cut,
        };
        self.messages.push_back(message);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(data: Data, closed: bool) -> FollowReport {
        let batch = ReceivedBatch {
            data,
            next: "7".parse().unwrap(),
            up_to_date: true,
            closed,
        };
        FollowReport::Batch {
            id: 0,
            at_ms: 0.0,
            batch,
        }
    }

    #[test]
    fn all_messages_are_counted_and_the_newest_kept() {
        let mut tailing = FollowedStream::default();
        tailing.take(&FollowReport::Requested {
            id: 0,
            at_ms: 0.0,
            technique: Technique::Sse,
        });
        for _ in 0..3 {
            tailing.take(&report(Data::Json(vec!["1".to_owned(); 100]), false));
        }
        assert_eq!(
            (tailing.count, tailing.bytes, tailing.requests),
            (300, 300, 1)
        );
        assert_eq!(tailing.messages.len(), MESSAGES_MAX);
        assert_eq!(tailing.messages.front().unwrap().number, 100);
        let known = tailing
            .messages
            .iter()
            .filter(|message| message.next.is_some())
            .count();
        assert_eq!(known, 2, "the last of each batch");
        assert_eq!(tailing.state, FollowState::Live);
    }

    #[test]
    fn long_messages_are_cut_and_binary_ones_shown_in_hexadecimal() {
        let mut tailing = FollowedStream::default();
        tailing.take(&report(Data::Text("ü".repeat(CHARACTERS_MAX + 1)), false));
        tailing.take(&report(Data::Binary(vec![0xff, 0x00]), false));
        tailing.take(&report(Data::Binary(b"plain".to_vec()), true));
        let shown: Vec<_> = tailing
            .messages
            .iter()
            .map(|it| (it.text.chars().count(), it.is_hex, it.is_cut))
            .collect();
        assert_eq!(
            shown,
            [
                (CHARACTERS_MAX, false, true),
                (5, true, false),
                (5, false, false)
            ]
        );
        assert_eq!(tailing.messages[1].text, "ff 00");
        assert_eq!(tailing.state, FollowState::Ended);
    }

    #[test]
    fn a_fault_is_shown_until_data_arrives_again() {
        let mut tailing = FollowedStream::default();
        tailing.take(&FollowReport::Ended {
            id: 0,
            at_ms: 0.0,
            fault: Some("no answer".to_owned()),
        });
        tailing.take(&FollowReport::Waiting {
            at_ms: 0.0,
            for_ms: 100.0,
            after_fault: true,
        });
        assert_eq!(tailing.state, FollowState::Retrying("no answer".to_owned()));
        tailing.take(&report(Data::Json(Vec::new()), false));
        assert_eq!(
            (tailing.state.clone(), tailing.count),
            (FollowState::Live, 0)
        );
        tailing.take(&FollowReport::Finished {
            at_ms: 0.0,
            fault: Some("gone".to_owned()),
        });
        assert_eq!(tailing.state, FollowState::Failed("gone".to_owned()));
    }
}
