//! Conversion between positions and offsets of clients, which also contain the generation of the stream.

use super::{Batch, Log, ReadError};
use crate::model::Tail;
use tailwater_protocol::{Offset, StreamOffset};

impl Log {
    /// The generation of the stream: 0 for the first stream of its name, and higher for each later one.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The offset of a position in this stream.
    pub fn offset(&self, position: Offset) -> StreamOffset {
        StreamOffset {
            generation: self.generation,
            position,
        }
    }

    /// The position of an offset in this stream.
    ///
    /// Offsets of other generations are invalid: their owner has read another stream of this name. A
    /// fork also accepts the offsets of its source up to the fork position, and those of the source's
    /// source, because a fork may be read from the offset at which it was created. If such an offset
    /// could also be from an earlier stream of the fork's own name, only the fork position itself is
    /// accepted.
    ///
    /// # Errors
    /// [`ReadError::OtherGeneration`]: the offset belongs to another stream of this name (410).
    pub fn position(&self, offset: StreamOffset) -> Result<Offset, ReadError> {
        if offset.generation == self.generation || self.inherits(offset) {
            return Ok(offset.position);
        }
        Err(ReadError::OtherGeneration {
            requested: offset,
            generation: self.generation,
        })
    }

    /// Whether an offset is one of a source of this fork, up to the fork position.
    fn inherits(&self, offset: StreamOffset) -> bool {
        let is_ambiguous = offset.generation < self.generation;
        let (mut log, mut is_nearest) = (self, true);
        while let Some(source) = &log.source {
            let leaves = log.config.begins();
            if offset.position > leaves || (is_ambiguous && offset.position != leaves) {
                return false;
            }
            // An ambiguous offset is accepted only if it can be from the direct source.
            if offset.generation == source.generation && (is_nearest || !is_ambiguous) {
                return true;
            }
            (log, is_nearest) = (source.as_ref(), false);
        }
        false
    }
}

impl Tail {
    /// The offset of the tail.
    pub fn offset(&self) -> StreamOffset {
        StreamOffset {
            generation: self.generation,
            position: self.next,
        }
    }
}

impl Batch {
    /// The offset after the data.
    pub fn next_offset(&self) -> StreamOffset {
        StreamOffset {
            generation: self.tail.generation,
            position: self.next,
        }
    }
}
