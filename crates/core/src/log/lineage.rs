//! The streams that store the inherited messages of a fork, and reads across them.

use super::{Log, ReadError};
use crate::model::StreamId;
use crate::model::TailState;
use crate::store::{Cut, StoreError, StoredMessage};
use bytes::{Bytes, BytesMut};
use tailwater_protocol::Offset;

/// The inherited messages of a fork: a list of streams, each with the position up to which its
/// messages are inherited. Empty for a stream that is not a fork.
///
/// The chain of forks is flattened when a fork is created, so reads use the list, not the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lineage {
    parts: Vec<LineagePart>,
    depth: usize,
}

/// A range of messages of another stream, from the end of the previous part to `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineagePart {
    stream: StreamId,
    until: Offset,
}

/// A range of messages of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineageSpan {
    stream: StreamId,
    from: Offset,
    until: Offset,
}

impl Lineage {
    /// The maximum length of a chain of forks. The cost of a read increases with it.
    pub(crate) const DEPTH_MAX: usize = 64;

    /// The lineage of a fork at `at` of the stream `stream`, which has this lineage.
    pub(crate) fn fork(&self, stream: StreamId, at: Offset) -> Self {
        let mut parts: Vec<LineagePart> = Vec::new();
        for part in self.parts.iter().copied().chain([LineagePart {
            stream,
            until: Offset::MAX,
        }]) {
            let begins = parts.last().map_or(Offset::ZERO, |last| last.until);
            if begins >= at {
                break;
            }
            parts.push(LineagePart {
                stream: part.stream,
                until: part.until.min(at),
            });
        }
        Self {
            parts,
            depth: self.depth + 1,
        }
    }

    /// The length of the chain of forks: 0 for a stream that is not a fork.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// All ranges in order. The last one is of the stream itself and ends at `end`.
    fn spans(&self, own: StreamId, end: Offset) -> impl DoubleEndedIterator<Item = LineageSpan> {
        let begins = |index: usize| {
            index
                .checked_sub(1)
                .map_or(Offset::ZERO, |before| self.parts[before].until)
        };
        let last = LineageSpan {
            stream: own,
            from: begins(self.parts.len()),
            until: end,
        };
        let span = move |(index, part): (usize, &LineagePart)| LineageSpan {
            stream: part.stream,
            from: begins(index),
            until: part.until.min(end),
        };
        self.parts.iter().enumerate().map(span).chain([last])
    }
}

impl Log {
    /// Reads complete messages from `from` to `until` at most. The result exceeds `max_bytes` only if
    /// the first message is longer.
    ///
    /// - `from`: before `until`.
    pub(crate) async fn page(
        &self,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> Result<Bytes, ReadError> {
        let mut page = Bytes::new();
        for span in self.lineage.spans(self.id, until) {
            let at = from.advance(page.len()).unwrap_or(until);
            if at >= span.until {
                continue;
            }
            let room = max_bytes.saturating_sub(page.len());
            if room == 0 {
                break;
            }
            let piece = self
                .store
                .read(span.stream, at, span.until, room)
                .await
                .map_err(|error| self.read_error(from, span.stream, error))?;
            let is_whole = at.advance(piece.len()) == Some(span.until);
            if page.is_empty() {
                page = piece;
            } else if piece.len() <= room {
                let mut both = BytesMut::from(page);
                both.extend_from_slice(&piece);
                page = both.freeze();
            } else {
                break;
            }
            if !is_whole {
                break;
            }
        }
        Ok(page)
    }

    /// The read error for an error of the store.
    fn read_error(&self, requested: Offset, stream: StreamId, error: StoreError) -> ReadError {
        match error {
            StoreError::Trimmed { earliest } => {
                let earliest = earliest.max(self.earliest());
                ReadError::Gone {
                    requested: self.offset(requested),
                    earliest: self.offset(earliest),
                }
            }
            StoreError::InsideMessage(requested) => ReadError::InsideMessage {
                requested: self.offset(requested),
            },
            // A source is deleted only after its forks, so it must exist while this stream does.
            StoreError::NoStream
                if stream != self.id && self.tail_now().state != TailState::Deleted =>
            {
                ReadError::Store(StoreError::Damaged(format!(
                    "stream number {}, the source of this fork, is missing",
                    stream.0
                )))
            }
            StoreError::NoStream | StoreError::OutOfStep => ReadError::Deleted,
            other @ (StoreError::Full { .. }
            | StoreError::TooLong { .. }
            | StoreError::Unwritable(_)
            | StoreError::Unreadable(_)
            | StoreError::Damaged(_)) => ReadError::Store(other),
        }
    }

    /// The positions and times of the last messages that begin before `until`, in order and without
    /// gaps.
    ///
    /// - `count`: maximum number of messages; the store returns fewer if they are long.
    ///
    /// # Errors
    /// [`ReadError::Deleted`] (404), [`ReadError::Gone`] (410), [`ReadError::Store`].
    pub async fn last_messages(
        &self,
        until: Offset,
        count: usize,
    ) -> Result<Vec<StoredMessage>, ReadError> {
        let earliest = self.earliest();
        let mut found: Vec<StoredMessage> = Vec::new();
        for span in self.lineage.spans(self.id, until).rev() {
            let from = span.from.max(earliest);
            let remaining = count - found.len();
            if remaining == 0 || span.until <= earliest {
                break;
            }
            if span.until <= span.from {
                continue;
            }
            let part = self
                .store
                .last_messages(span.stream, span.until, remaining)
                .await
                .map_err(|error| self.read_error(from, span.stream, error))?;
            found.extend(part.iter().rev().filter(|message| message.at >= from));
            // The store returned fewer: continuing with the previous span would leave a gap.
            if part.first().is_none_or(|first| first.at > span.from) {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }

    /// The position of a cut, searched in the stream's own messages and then in the inherited ones.
    pub(crate) async fn seek(&self, cut: Cut) -> Result<Offset, StoreError> {
        for span in self.lineage.spans(self.id, self.tail_now().next).rev() {
            if matches!(cut, Cut::AtMost(at) if at <= span.from) {
                continue;
            }
            let found = self.store.cut(span.stream, cut).await?.min(span.until);
            if found > span.from {
                return Ok(found);
            }
        }
        Ok(Offset::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u64) -> Offset {
        Offset::new(bytes).unwrap()
    }

    fn parts(lineage: &Lineage) -> Vec<(u64, u64)> {
        lineage
            .parts
            .iter()
            .map(|part| (part.stream.0, part.until.bytes()))
            .collect()
    }

    #[test]
    fn a_chain_of_forks_is_flattened_to_its_readable_spans() {
        let root = Lineage::default();
        let child = root.fork(StreamId(1), at(10));
        assert_eq!(parts(&child), [(1, 10)]);
        for (leaves, expected) in [
            (0, &[][..]),
            (4, &[(1, 4)][..]),
            (10, &[(1, 10)][..]),
            (11, &[(1, 10), (2, 11)][..]),
            (30, &[(1, 10), (2, 30)][..]),
        ] {
            assert_eq!(
                parts(&child.fork(StreamId(2), at(leaves))),
                expected,
                "forked at {leaves}"
            );
        }
        assert_eq!(
            root.fork(StreamId(1), at(0))
                .fork(StreamId(2), at(0))
                .depth(),
            2
        );
    }

    #[test]
    fn spans_are_contiguous_up_to_the_end() {
        let lineage = Lineage::default()
            .fork(StreamId(1), at(10))
            .fork(StreamId(2), at(25));
        let spans: Vec<_> = lineage.spans(StreamId(3), at(40)).collect();
        let expected = [(1, 0, 10), (2, 10, 25), (3, 25, 40)];
        assert_eq!(spans.len(), expected.len());
        for (span, (stream, from, until)) in spans.into_iter().zip(expected) {
            assert_eq!(
                span,
                LineageSpan {
                    stream: StreamId(stream),
                    from: at(from),
                    until: at(until)
                }
            );
        }
    }
}
