//! The format of messages (writer, number, due time), and how a reader finds and checks them.
//!
//! Members are in alphabetical order, because some servers re-serialise JSON and sort it.

use memchr::{memmem, memrchr};

/// The beginning of a message; must not occur in the framing around messages.
const MARK: &[u8] = b"{\"n\":";
/// Added to numbers, so that all have the same number of digits.
const COUNT_BASE: u64 = 1_000_000_000;
const DUE_BASE: u64 = 1_000_000_000_000;
const WRITER_BASE: u64 = 1_000;
/// The position of the digits, and their number.
const COUNT: (usize, usize) = (5, 10);
const DUE: (usize, usize) = (20, 13);
const WRITER: (usize, usize) = (38, 4);
/// The least size of a message.
pub(crate) const SIZE_MIN: usize = 52;

/// The fields of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BenchMessage {
    /// The number of the writer.
    pub(crate) writer: usize,
    /// The number of messages that this writer appended to this stream before.
    pub(crate) number: u64,
    /// When it was scheduled, in microseconds since the load began.
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

/// Finds messages in content, in any split, with other bytes between them.
#[derive(Debug, Default)]
pub(crate) struct MessageScanner {
    /// The beginning of an incomplete message.
    kept: Vec<u8>,
}

impl MessageScanner {
    /// Passes every message of `size` bytes that `piece` completes to `found`; `None` for a damaged one.
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
            // Copies only the rest of the kept message: the piece may be large.
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

/// Passes every complete message to `found`; returns the number of bytes at the end that may begin another one.
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
    // The mark may be incomplete.
    let last = &bytes[at.max(bytes.len().saturating_sub(MARK.len() - 1))..];
    memrchr(b'{', last)
        .filter(|from| MARK.starts_with(&last[*from..]))
        .map_or(0, |from| last.len() - from)
}

/// The beginning of the next message, usually at `at` or after a comma.
fn mark_from(bytes: &[u8], at: usize) -> Option<usize> {
    let near = (at..at + 2).find(|near| {
        bytes
            .get(*near..)
            .is_some_and(|rest| rest.starts_with(MARK))
    });
    near.or_else(|| Some(at + memmem::find(&bytes[at..], MARK)?))
}

/// The messages that one reader received from one stream.
#[derive(Debug, Default)]
pub(crate) struct ReceivedMessages {
    /// The expected next number of each writer.
    next: Vec<u64>,
    /// Skipped numbers, including those of messages that arrived later, which are also counted as repeated.
    pub(crate) skipped: u64,
    /// Messages that were received before, or after a later one.
    pub(crate) repeated: u64,
    /// Messages whose bytes are wrong.
    pub(crate) damaged: u64,
}

impl ReceivedMessages {
    /// Records a message; returns it unless it is damaged, repeated or reordered.
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

    /// The number of acknowledged messages that were not received.
    ///
    /// - `written`: the number of messages of each writer, acknowledged.
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
        for (received, written, [skipped, repeated, missing]) in cases {
            let mut seen = ReceivedMessages::default();
            for number in received {
                seen.record(Some(message(*number)));
            }
            let found = [
                seen.skipped,
                seen.repeated,
                seen.missing(&[0, 0, 0, written]),
            ];
            assert_eq!(
                found,
                [skipped, repeated, missing],
                "{received:?} of {written}"
            );
        }
    }
}
