//! A followed stream: its last messages, counts, and the state of the follower.

use std::collections::VecDeque;
use std::sync::Arc;

use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::inspect::{MessagePlace, StreamDetails};
use tailwater_protocol::{Data, Technique, Token};

use crate::pages::streams::model::listing::bytes_before;

/// Messages that are shown.
const MESSAGES_MAX: usize = 200;
/// Characters of a message that are shown.
const CHARACTERS_MAX: usize = 2_000;
/// Bytes of a binary message that are shown.
const BYTES_MAX: usize = 64;
/// The number of last messages whose positions are requested, and with which following starts.
pub const LAST_MESSAGES: usize = 100;
/// The most bytes of them that are read.
const LAST_BYTES_MAX: u64 = 1 << 20;

/// The position at which following starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FollowStart {
    /// At the last messages.
    #[default]
    Last,
    /// At the beginning of the stream.
    Beginning,
    /// At the tail.
    Now,
}

impl FollowStart {
    /// All starts, in the order of the choice.
    pub const ALL: [Self; 3] = [Self::Last, Self::Beginning, Self::Now];

    /// Its machine-readable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Beginning => "beginning",
            Self::Now => "now",
        }
    }

    /// The start of this name; the default for an unknown one.
    pub fn from_name(name: &str) -> Self {
        let named = Self::ALL.into_iter().find(|it| it.name() == name);
        named.unwrap_or_default()
    }

    /// The offset at which to start in a stream with these details.
    pub fn offset(self, details: &StreamDetails) -> Token {
        let tail = bytes_before(&details.next_offset);
        let is_near = |place: &&MessagePlace| {
            tail.saturating_sub(bytes_before(&place.offset)) <= LAST_BYTES_MAX
        };
        match self {
            Self::Last => {
                let first = details.last_messages.iter().find(is_near);
                let offset = first.map_or(&details.next_offset, |place| &place.offset);
                offset.clone()
            }
            Self::Beginning => Token::beginning(),
            Self::Now => Token::now(),
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMessage {
    /// Its number, from 0 since following began.
    pub number: u64,
    /// The position after it; until the positions are known, only the last message of a batch has one.
    pub next: Option<Token>,
    /// When it was appended, milliseconds since 1970 UTC, once known.
    pub appended_ms: Option<u64>,
    /// Its content, or the beginning of it.
    pub text: String,
    /// Its length in bytes.
    pub bytes: usize,
    /// Whether `text` has its bytes in hexadecimal.
    pub is_hex: bool,
    /// Whether `text` is only the beginning.
    pub is_cut: bool,
}

impl ShownMessage {
    /// Identifies the entry in the list; it changes once the time of the message is known.
    pub fn key(&self) -> String {
        format!("{} {}", self.number, self.appended_ms.unwrap_or_default())
    }
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
    /// The positions of the last messages.
    places: Arc<[MessagePlace]>,
    /// Whether the stream is JSON, so that each message has a position.
    is_json: bool,
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
        self.is_json = matches!(batch.data, Data::Json(_));
        match &batch.data {
            data if data.is_empty() => return,
            Data::Json(messages) => messages
                .iter()
                .for_each(|message| self.push(message.as_bytes())),
            Data::Text(text) => self.push_appends(text.as_bytes(), &batch.next),
            Data::Binary(bytes) => self.push_appends(bytes, &batch.next),
        }
        if let Some(last) = self.messages.back_mut() {
            last.next = Some(batch.next.clone());
        }
        if self.place_of(&batch.next).is_some() {
            self.locate();
        }
    }

    /// Sets the positions of the last messages, and returns whether a shown message got its time.
    pub fn set_places(&mut self, places: &[MessagePlace]) -> bool {
        if *self.places == *places {
            return false;
        }
        self.places = places.into();
        self.locate()
    }

    fn place_of(&self, next: &Token) -> Option<usize> {
        let is_there = |place: &MessagePlace| place.next_offset == *next;
        self.places.iter().rposition(is_there)
    }

    /// Assigns positions to the messages that are shown, backwards from a message whose end is known.
    fn locate(&mut self) -> bool {
        let mut has_changed = false;
        let mut place = None;
        for index in (0..self.messages.len()).rev() {
            if let Some(next) = &self.messages[index].next {
                place = self.place_of(next);
            }
            let Some(at) = place else { continue };
            let message = &mut self.messages[index];
            has_changed |= message.appended_ms.is_none();
            message.next = Some(self.places[at].next_offset.clone());
            message.appended_ms = Some(self.places[at].appended_ms);
            place = at.checked_sub(1).filter(|_| self.is_json);
        }
        has_changed
    }

    /// Adds bytes that end at `next`: a message for each append if their positions are known, otherwise one message.
    fn push_appends(&mut self, bytes: &[u8], next: &Token) {
        let Some(last) = self.place_of(next) else {
            return self.push(bytes);
        };
        let places = self.places.clone();
        let begin = bytes_before(next).saturating_sub(bytes.len() as u64);
        let first = places[..=last]
            .iter()
            .position(|place| bytes_before(&place.offset) == begin);
        let Some(first) = first else {
            return self.push(bytes);
        };
        let mut rest = bytes;
        for place in &places[first..=last] {
            let length = bytes_before(&place.next_offset) - bytes_before(&place.offset);
            let Some((message, after)) = usize::try_from(length)
                .ok()
                .and_then(|length| rest.split_at_checked(length))
            else {
                break;
            };
            self.push(message);
            if let Some(pushed) = self.messages.back_mut() {
                pushed.next = Some(place.next_offset.clone());
            }
            rest = after;
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
            appended_ms: None,
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

    fn place(offset: u64, next: u64) -> MessagePlace {
        let token = |bytes: u64| format!("{bytes:016}").parse().unwrap();
        MessagePlace {
            offset: token(offset),
            next_offset: token(next),
            appended_ms: next * 10,
        }
    }

    fn received(data: Data, next: u64) -> FollowReport {
        let batch = ReceivedBatch {
            data,
            next: place(0, next).next_offset,
            up_to_date: true,
            closed: false,
        };
        FollowReport::Batch {
            id: 0,
            at_ms: 0.0,
            batch,
        }
    }

    fn times(tailing: &FollowedStream) -> Vec<Option<u64>> {
        tailing.messages.iter().map(|it| it.appended_ms).collect()
    }

    #[test]
    fn messages_get_positions_received_before_or_after_them() {
        let json = |count: usize| Data::Json(vec!["1".to_owned(); count]);
        let mut tailing = FollowedStream::default();
        assert!(!tailing.set_places(&[place(2, 4), place(4, 6)]));
        tailing.take(&received(json(3), 6));
        assert_eq!(times(&tailing), [None, Some(40), Some(60)]);
        assert_eq!(tailing.messages[1].next, Some(place(2, 4).next_offset));
        tailing.take(&received(json(2), 10));
        assert_eq!(times(&tailing)[3..], [None, None]);
        assert!(tailing.set_places(&[place(6, 8), place(8, 10)]));
        assert!(!tailing.set_places(&[place(6, 8), place(8, 10)]));
        assert_eq!(times(&tailing)[1..], [40, 60, 80, 100].map(Some));
    }

    #[test]
    fn a_batch_of_text_is_split_into_appends_if_their_positions_match() {
        let mut tailing = FollowedStream::default();
        tailing.set_places(&[place(3, 5), place(5, 6), place(6, 9)]);
        tailing.take(&received(Data::Text("abcde".to_owned()), 9));
        tailing.take(&received(Data::Text("abcd".to_owned()), 9));
        tailing.take(&received(Data::Binary(b"abcd".to_vec()), 12));
        let texts: Vec<_> = tailing.messages.iter().map(|it| &*it.text).collect();
        assert_eq!(texts, ["abcde", "a", "bcd", "abcd"]);
    }

    #[test]
    fn following_starts_at_the_last_messages_up_to_a_limit_of_bytes() {
        let mut details = StreamDetails {
            next_offset: place(0, 9).next_offset,
            last_messages: vec![place(3, 6), place(6, 9)],
            ..serde_json::from_str(
                r#"{"name":"a","configuration":{"contentType":"a/b"},"earliestOffset":"0","nextOffset":"0","keptBytes":0,
                "closed":false,"forkCount":0,"forks":[],"plainReads":0,"readerCounts":{},"readers":[],"producerCount":0,"producers":[]}"#,
            )
            .unwrap()
        };
        let at = |details: &StreamDetails| bytes_before(&FollowStart::Last.offset(details));
        assert_eq!(at(&details), 3);
        details.next_offset = place(0, 6 + LAST_BYTES_MAX).next_offset;
        assert_eq!(at(&details), 6);
        details.last_messages.clear();
        assert_eq!(at(&details), 6 + LAST_BYTES_MAX);
        assert_eq!(FollowStart::from_name("now").offset(&details), Token::now());
        assert_eq!(FollowStart::from_name(""), FollowStart::Last);
    }
}
