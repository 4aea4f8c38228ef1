//! One page of a stream from its records, the same wherever they rest.

use super::StoreError;
use crate::log::Payload;
use bytes::{Bytes, BytesMut};
use std::borrow::Borrow;
use std::time::SystemTime;
use tailwater_protocol::Offset;

/// One append as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The position before its first byte.
    pub(super) at: Offset,
    /// When it was made.
    pub(super) time: SystemTime,
    /// What it brought.
    pub(super) payload: Payload,
}

impl Record {
    /// The position after its last byte.
    pub(super) fn end(&self) -> Offset {
        self.at.advance(self.payload.len()).unwrap_or(Offset::MAX)
    }
}

/// Whole messages from `from` on, as [`super::Store::read`] promises.
///
/// - `records`: in order and without gaps, the first one being the one in which `from` lies or which begins there.
/// - `end`: the stream's end, which is the earliest position kept when there are no records.
pub(super) fn page<R: Borrow<Record>>(
    mut records: impl Iterator<Item = Result<R, StoreError>>,
    from: Offset,
    until: Offset,
    max_bytes: usize,
    end: Offset,
) -> Result<Bytes, StoreError> {
    let Some(first) = records.next().transpose()? else { return Err(StoreError::Trimmed { earliest: end }) };
    let first = first.borrow();
    if first.at > from {
        return Err(StoreError::Trimmed { earliest: first.at });
    }
    let skip = distance(first.at, from);
    if !first.payload.is_boundary(skip) {
        return Err(StoreError::InsideMessage(from));
    }
    let room = max_bytes.min(distance(from, until));
    let head = first.payload.bytes().slice(skip..first.payload.cut(skip, skip.saturating_add(room)));
    if skip + head.len() < first.payload.len() || head.len() >= room {
        return Ok(head);
    }
    let Some(second) = records.next().transpose()? else { return Ok(head) };
    if second.borrow().payload.cut(0, 0) > room - head.len() {
        return Ok(head);
    }
    let mut page = BytesMut::from(head);
    let mut next = Some(second);
    while let Some(record) = next {
        let payload = &record.borrow().payload;
        let left = room.saturating_sub(page.len());
        let end = payload.cut(0, left);
        if end > left {
            break;
        }
        page.extend_from_slice(&payload.bytes()[..end]);
        if end < payload.len() || page.len() >= room {
            break;
        }
        next = records.next().transpose()?;
    }
    Ok(page.freeze())
}

/// Bytes from one position to a later one; 0 when it is not later.
pub(super) fn distance(from: Offset, to: Offset) -> usize {
    usize::try_from(to.bytes().saturating_sub(from.bytes())).unwrap_or(usize::MAX)
}
