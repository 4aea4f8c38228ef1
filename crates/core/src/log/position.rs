//! Offsets as clients hold them: which stream of a name they belong to, and the position that they mean here.

use super::{Batch, Log, ReadError};
use crate::model::Tail;
use tailwater_protocol::{Offset, StreamOffset};

impl Log {
    /// Which of the streams that its name has had this is, counted from 0.
    pub fn life(&self) -> u32 {
        self.life_number
    }

    /// A position of this stream as clients hold it.
    pub fn offset(&self, position: Offset) -> StreamOffset {
        StreamOffset {
            life: self.life_number,
            position,
        }
    }

    /// The position that an offset means in this stream.
    ///
    /// Offsets of another life of the name mean nothing here: whoever holds one has not seen how this stream begins. A fork
    /// also takes the offsets of the stream that it was forked from, up to where it left it, and so on up the line, since it may be
    /// read from the offset at which it was made. Where such an offset could as well be one of an earlier stream of the
    /// fork's own name, only the very one at which the fork was made is taken.
    ///
    /// # Errors
    /// [`ReadError::OtherLife`]: the offset belongs to another stream of this name (410).
    pub fn position(&self, offset: StreamOffset) -> Result<Offset, ReadError> {
        if offset.life == self.life_number || self.inherits(offset) {
            return Ok(offset.position);
        }
        Err(ReadError::OtherLife {
            asked: offset,
            life: self.life_number,
        })
    }

    /// Whether an offset belongs to a stream that this one was forked from, before it left.
    fn inherits(&self, offset: StreamOffset) -> bool {
        let is_ambiguous = offset.life < self.life_number;
        let (mut log, mut is_nearest) = (self, true);
        while let Some(source) = &log.source {
            let leaves = log.config.begins();
            if offset.position > leaves || (is_ambiguous && offset.position != leaves) {
                return false;
            }
            // What an earlier stream of this name might have given out counts only if the nearest source did, too.
            if offset.life == source.life_number && (is_nearest || !is_ambiguous) {
                return true;
            }
            (log, is_nearest) = (source.as_ref(), false);
        }
        false
    }
}

impl Tail {
    /// The position after the last byte as clients hold it.
    pub fn offset(&self) -> StreamOffset {
        StreamOffset {
            life: self.life,
            position: self.next,
        }
    }
}

impl Batch {
    /// The position after the data as clients hold it.
    pub fn next_offset(&self) -> StreamOffset {
        StreamOffset {
            life: self.tail.life,
            position: self.next,
        }
    }
}
