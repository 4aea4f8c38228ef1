//! Splits received data into messages, independently of chunk boundaries.

use serde::{Deserialize, Serialize};
use tailwater_protocol::{Data, document};

/// Bytes after which a line of a text or binary stream is cut.
const PIECE_BYTES_MAX: usize = 4_096;
/// Bytes of a message that are kept to be shown.
const PREVIEW_BYTES_MAX: usize = 240;

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutMessage {
    /// Its own bytes, without separators.
    pub bytes: usize,
    /// Equal messages have equal digests.
    pub digest: u64,
    /// The stamps of a lab event, if it has them.
    pub stamps: Option<MessageStamps>,
}

/// The times of an event, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStamps {
    /// The source's number of the event; a message published by hand has none.
    pub seq: Option<u64>,
    /// When it was due, microseconds on the server's monotonic clock.
    pub due_us: u64,
    /// When it was appended, microseconds on the same clock.
    pub sent_us: Option<u64>,
}

impl MessageStamps {
    /// The stamps in a JSON message, if it carries a due time.
    pub fn read(text: &str) -> Option<Self> {
        if !text.contains("\"due_us\"") {
            return None;
        }
        document::read(text.as_bytes()).ok()
    }
}

/// Cuts one lane's batches into messages: JSON messages as they are, anything else at line ends or every 4 KiB.
#[derive(Debug, Clone)]
pub struct Cutter {
    digest: u64,
    bytes: usize,
    line: Vec<u8>,
    preview: String,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            digest: FNV_START,
            bytes: 0,
            line: Vec::new(),
            preview: String::new(),
        }
    }
}

impl Cutter {
    /// Calls `each` for every message that `data` completes, in order.
    pub fn cut(&mut self, data: &Data, mut each: impl FnMut(CutMessage)) {
        match data {
            Data::Json(messages) => {
                for text in messages {
                    each(json_message(text));
                }
                if let Some(text) = messages.last() {
                    self.show(text.as_bytes());
                }
            }
            Data::Text(text) => self.lines(text.as_bytes(), &mut each),
            Data::Binary(bytes) => self.lines(bytes, &mut each),
        }
    }

    /// The beginning of the last complete message.
    pub fn preview(&self) -> &str {
        &self.preview
    }

    /// Bytes of the message that is not finished yet.
    pub fn unfinished_bytes(&self) -> usize {
        self.bytes
    }

    fn lines(&mut self, bytes: &[u8], each: &mut impl FnMut(CutMessage)) {
        for byte in bytes {
            if *byte == b'\n' || self.bytes == PIECE_BYTES_MAX {
                each(CutMessage {
                    bytes: self.bytes,
                    digest: self.digest,
                    stamps: None,
                });
                let line = std::mem::take(&mut self.line);
                self.show(&line);
                self.digest = FNV_START;
                self.bytes = 0;
                if *byte == b'\n' {
                    continue;
                }
            }
            self.digest = fnv(self.digest, *byte);
            self.bytes += 1;
            if self.line.len() < PREVIEW_BYTES_MAX {
                self.line.push(*byte);
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        let some = &bytes[..bytes.len().min(PREVIEW_BYTES_MAX)];
        self.preview.clear();
        self.preview.push_str(
            String::from_utf8_lossy(some)
                .trim_end_matches('\u{FFFD}')
                .trim_end(),
        );
        if bytes.len() > PREVIEW_BYTES_MAX {
            self.preview.push('…');
        }
    }
}

fn json_message(text: &str) -> CutMessage {
    let stamps = MessageStamps::read(text);
    let digest = match stamps.and_then(|stamps| stamps.seq) {
        // Lab events are identified by their number; there is no need to hash thousands of payloads a second.
        Some(seq) => seq.to_le_bytes().into_iter().fold(FNV_START, fnv),
        None => text.bytes().fold(FNV_START, fnv),
    };
    CutMessage {
        bytes: text.len(),
        digest,
        stamps,
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// One step of FNV-1a. Source: draft-eastlake-fnv, section 2.
fn fnv(digest: u64, byte: u8) -> u64 {
    (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_all(pieces: &[Data]) -> Vec<CutMessage> {
        let mut cutter = Cutter::default();
        let mut messages = Vec::new();
        for piece in pieces {
            cutter.cut(piece, |message| messages.push(message));
        }
        messages
    }

    #[test]
    fn lines_do_not_depend_on_chunk_boundaries() {
        let text = format!("one\ntwo\n\n{}\nlast", "x".repeat(10_000));
        let whole = cut_all(&[Data::Text(text.clone())]);
        assert_eq!(
            whole
                .iter()
                .map(|message| message.bytes)
                .collect::<Vec<_>>(),
            [3, 3, 0, 4_096, 4_096, 1_808]
        );
        for size in [1, 2, 7, 4_096] {
            let pieces: Vec<Data> = text
                .as_bytes()
                .chunks(size)
                .map(|piece| Data::Binary(piece.to_vec()))
                .collect();
            assert_eq!(cut_all(&pieces), whole, "chunks of {size} bytes");
        }
    }

    #[test]
    fn stamps_are_read_among_other_fields_given_a_due_time() {
        let host = r#"{"cpu":0.5,"seq":7,"due_us":1000,"sent_us":1010,"load":[1,2]}"#;
        assert_eq!(
            MessageStamps::read(host),
            Some(MessageStamps {
                seq: Some(7),
                due_us: 1_000,
                sent_us: Some(1_010)
            })
        );
        let published = r#"{"text":"hello","due_us":5}"#;
        assert_eq!(
            MessageStamps::read(published),
            Some(MessageStamps {
                seq: None,
                due_us: 5,
                sent_us: None
            })
        );
        for foreign in [
            r#"{"seq":7}"#,
            r#"[1,2]"#,
            r#""due_us""#,
            r#"{"due_us":"soon"}"#,
        ] {
            assert_eq!(MessageStamps::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_preview_is_short_and_ends_between_characters() {
        let mut cutter = Cutter::default();
        cutter.cut(&Data::Json(vec!["한".repeat(200)]), |_| ());
        assert!(
            cutter
                .preview()
                .chars()
                .all(|letter| letter == '한' || letter == '…'),
            "{}",
            cutter.preview()
        );
    }
}
