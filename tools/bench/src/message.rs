//! The messages that are sent: their number, when they were due and who wrote them; and what a reader makes of those that come.
//!
//! Names stand in the order of the alphabet: there are servers that print JSON anew and sort it.

use memchr::{memmem, memrchr};

/// What a message begins with. No framing around messages may hold it.
const MARK: &[u8] = b"{\"n\":";
/// Added to numbers, so that all have as many digits.
const COUNT_BASE: u64 = 1_000_000_000;
const DUE_BASE: u64 = 1_000_000_000_000;
const WRITER_BASE: u64 = 1_000;
/// Where the digits stand, and how many there are.
const COUNT: (usize, usize) = (5, 10);
const DUE: (usize, usize) = (20, 13);
const WRITER: (usize, usize) = (38, 4);
/// A message has room for all of that.
pub(crate) const SIZE_MIN: usize = 52;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BenchMessage {
    /// Who wrote it.
    pub(crate) writer: usize,
    /// How many this writer wrote to this stream before.
    pub(crate) number: u64,
    /// When it was to be sent, in microseconds since the load began.
    pub(crate) due: u64,
}

impl BenchMessage {
    /// JSON of `size` bytes, at least [`SIZE_MIN`].
    pub(crate) fn bytes(&self, size: usize) -> Vec<u8> {
        let (writer, number, due) = (
            WRITER_BASE + self.writer as u64,
            COUNT_BASE + self.number,
            DUE_BASE + self.due,
        );
        let mut bytes =
            format!("{{\"n\":{number},\"t\":{due},\"w\":{writer},\"x\":\"").into_bytes();
        bytes.resize(size.max(SIZE_MIN) - 2, b'x');
        bytes.extend_from_slice(b"\"}");
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut only_digits = true;
        let mut number = |(from, digits): (usize, usize), base: u64| {
            let sum = bytes[from..from + digits].iter().fold(0_u64, |sum, byte| {
                let digit = byte.wrapping_sub(b'0');
                only_digits &= digit < 10;
                sum.wrapping_mul(10).wrapping_add(u64::from(digit))
            });
            sum.checked_sub(base)
        };
        let (writer, number, due) = (
            number(WRITER, WRITER_BASE)?,
            number(COUNT, COUNT_BASE)?,
            number(DUE, DUE_BASE)?,
        );
        let whole = only_digits && bytes.ends_with(b"\"}");
        whole.then_some(Self {
            writer: usize::try_from(writer).ok()?,
            number,
            due,
        })
    }
}

/// Finds messages in content that comes in any pieces, with anything between them.
#[derive(Debug, Default)]
pub(crate) struct MessageScanner {
    /// The beginning of a message.
    kept: Vec<u8>,
}

impl MessageScanner {
    /// Hands over every message of `size` bytes that is complete with `piece`; `None` for one that is damaged.
    pub(crate) fn feed(
        &mut self,
        piece: &[u8],
        size: usize,
        mut found: impl FnMut(Option<BenchMessage>),
    ) {
        if self.kept.is_empty() {
            let rest = scan(piece, size, &mut found);
            self.kept.extend_from_slice(&piece[piece.len() - rest..]);
        } else {
            // First only as much as completes what is kept: the piece may be large.
            let head = &piece[..piece.len().min(size)];
            self.kept.extend_from_slice(head);
            let mut kept = std::mem::take(&mut self.kept);
            let rest = scan(&kept, size, &mut found);
            kept.drain(..kept.len() - rest);
            if rest <= head.len() {
                let piece = &piece[head.len() - rest..];
                let rest = scan(piece, size, &mut found);
                self.kept.extend_from_slice(&piece[piece.len() - rest..]);
            } else {
                self.kept = kept;
            }
        }
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
    }
}

/// Hands over every whole message; returns how many bytes at the end may begin another.
///
/// - `size`: at least [`SIZE_MIN`].
fn scan(bytes: &[u8], size: usize, found: &mut impl FnMut(Option<BenchMessage>)) -> usize {
    let mut at = 0;
    while let Some(begin) = mark_from(bytes, at) {
        let Some(message) = bytes.get(begin..begin + size) else {
            return bytes.len() - begin;
        };
        found(BenchMessage::parse(message));
        at = begin + size;
    }
    // The mark itself may be cut.
    let last = &bytes[at.max(bytes.len().saturating_sub(MARK.len() - 1))..];
    memrchr(b'{', last)
        .filter(|from| MARK.starts_with(&last[*from..]))
        .map_or(0, |from| last.len() - from)
}

/// Where the next message begins: mostly right here, or after a comma.
fn mark_from(bytes: &[u8], at: usize) -> Option<usize> {
    let near = (at..at + 2).find(|near| {
        bytes
            .get(*near..)
            .is_some_and(|rest| rest.starts_with(MARK))
    });
    near.or_else(|| Some(at + memmem::find(&bytes[at..], MARK)?))
}

/// What one reader has seen of one stream.
#[derive(Debug, Default)]
pub(crate) struct ReceivedMessages {
    /// The next number of each writer.
    next: Vec<u64>,
    /// Numbers that were skipped; a message that comes late is repeated or reordered, and stays counted here.
    pub(crate) skipped: u64,
    /// Messages that had come before, or came after a later one.
    pub(crate) repeated: u64,
    /// Messages whose bytes are wrong.
    pub(crate) damaged: u64,
}

impl ReceivedMessages {
    /// Notes a message; true if it is the one that had to come.
    pub(crate) fn record(&mut self, message: Option<BenchMessage>) -> Option<BenchMessage> {
        let Some(message) = message else {
            self.damaged += 1;
            return None;
        };
        if message.writer >= self.next.len() {
            self.next.resize(message.writer + 1, 0);
        }
        let next = &mut self.next[message.writer];
        if message.number < *next {
            self.repeated += 1;
            return None;
        }
        self.skipped += message.number - *next;
        *next = message.number + 1;
        Some(message)
    }

    /// How many of what was acknowledged never came.
    ///
    /// - `written`: the number of messages of each writer.
    pub(crate) fn missing(&self, written: &[u64]) -> u64 {
        let seen = |writer: usize| self.next.get(writer).copied().unwrap_or(0);
        let at_the_end: u64 = written
            .iter()
            .enumerate()
            .map(|(writer, count)| count.saturating_sub(seen(writer)))
            .sum();
        self.skipped + at_the_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64) -> BenchMessage {
        BenchMessage {
            writer: 3,
            number,
            due: 77 + number,
        }
    }

    #[test]
    fn messages_are_found_wherever_the_content_is_split() {
        for size in [SIZE_MIN, 100, 1_000] {
            let mut content = b"data: [".to_vec();
            for number in 0..9 {
                content.extend(message(number).bytes(size));
                content.extend_from_slice(
                    [&b","[..], b"{\"", b"]\n\n{\"n", b""]
                        [usize::try_from(number).expect("small") % 4],
                );
            }
            content.extend_from_slice(b"{\"streamNextOffset\":\"1\"}");
            for step in (1..250).chain([content.len()]) {
                let (mut scanner, mut found) = (MessageScanner::default(), Vec::new());
                for piece in content.chunks(step) {
                    scanner.feed(piece, size, |message| found.push(message));
                }
                let expected: Vec<_> = (0..9).map(|number| Some(message(number))).collect();
                assert_eq!(
                    found, expected,
                    "messages of {size} bytes, cut every {step}"
                );
                assert!(
                    scanner.kept.is_empty(),
                    "{:?}",
                    String::from_utf8_lossy(&scanner.kept)
                );
            }
        }
    }

    #[test]
    fn a_damaged_message_is_rejected() {
        let mut bytes = message(1).bytes(100);
        bytes[99] = b'x';
        let mut found = Vec::new();
        MessageScanner::default().feed(&bytes, 100, |message| found.push(message));
        assert_eq!(found, [None]);
    }

    #[test]
    fn lost_repeated_and_reordered_messages_are_counted() {
        // Numbers in order of arrival, the number written; skipped, repeated, missing.
        let cases: [(&[u64], u64, [u64; 3]); 5] = [
            (&[0, 1, 2], 3, [0, 0, 0]),
            (&[0, 2], 3, [1, 0, 1]),
            (&[0, 1], 3, [0, 0, 1]),
            (&[0, 1, 1, 2], 3, [0, 1, 0]),
            (&[0, 2, 1], 3, [1, 1, 1]),
        ];
        for (came, written, [skipped, repeated, missing]) in cases {
            let mut seen = ReceivedMessages::default();
            for number in came {
                seen.record(Some(message(*number)));
            }
            let found = [
                seen.skipped,
                seen.repeated,
                seen.missing(&[0, 0, 0, written]),
            ];
            assert_eq!(found, [skipped, repeated, missing], "{came:?} of {written}");
        }
    }
}
