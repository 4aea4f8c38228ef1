//! The positions of the last messages of a stream, found by scanning its pages on disk backwards.

use super::super::super::{StoreError, StoredMessage, StreamId};
use super::{Engine, codec, open_records};
use tailwater_protocol::Offset;

/// Maximum number of bytes read; the last page may exceed it.
const READ_BYTES_MAX: usize = 4 << 20;

impl Engine {
    /// The last messages that begin in `earliest..until`, newest first; fewer than `count` if they are
    /// long.
    pub(in crate::store::disk) fn last_messages(
        &self,
        stream: StreamId,
        [earliest, until]: [Offset; 2],
        count: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let range = codec::data_key(stream, Offset::ZERO)..codec::data_key(stream, until);
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut expected: Option<Offset> = None;
        for guard in self.data.range(range).rev() {
            let page = open_records(guard)?;
            if let Some(expected) = expected.filter(|expected| *expected != page.end()) {
                let (id, end) = (stream.0, page.end());
                return Err(StoreError::Damaged(format!(
                    "stream {id} has no page between {end} and {expected}"
                )));
            }
            expected = Some(page.at);
            bytes += page.bytes.len();
            let messages = page.index.last_messages(page.at, until);
            let is_retained = |message: &StoredMessage| message.at >= earliest;
            found.extend(messages.take_while(is_retained).take(count - found.len()));
            if found.len() == count || page.at <= earliest || bytes >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(found)
    }
}
