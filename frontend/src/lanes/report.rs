//! The reports of a lane's follower, with batches split into messages.

use serde::{Deserialize, Serialize};
use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::Token;

use super::pieces::{CutMessage, Cutter};

/// A report of a lane's follower, with its batch split into messages.
pub type LaneReport = FollowReport<CutBatch>;

/// A batch split into messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutBatch {
    /// The messages that the batch completed, in order.
    pub messages: Vec<CutMessage>,
    /// Number of bytes received, including those of an unfinished message.
    pub bytes: usize,
    /// Number of bytes of the unfinished message: a line of a text or binary stream without its end.
    pub unfinished_bytes: usize,
    /// The beginning of the last completed message; empty if there is none.
    pub preview: String,
    /// The position after the batch.
    pub next: Token,
    /// Whether that position was the tail when the server responded.
    pub up_to_date: bool,
    /// Whether the stream is closed and the batch ends at its end.
    pub closed: bool,
}

impl Cutter {
    /// Splits the batch of a report into messages.
    pub fn cut_report(&mut self, report: FollowReport) -> LaneReport {
        report.map_batch(|batch| self.cut_batch(&batch))
    }

    fn cut_batch(&mut self, batch: &ReceivedBatch) -> CutBatch {
        let mut messages = Vec::new();
        self.cut(&batch.data, |message| messages.push(message));
        CutBatch {
            preview: if messages.is_empty() {
                String::new()
            } else {
                self.preview().to_owned()
            },
            messages,
            bytes: batch.data.payload_bytes(),
            unfinished_bytes: self.unfinished_bytes(),
            next: batch.next.clone(),
            up_to_date: batch.up_to_date,
            closed: batch.closed,
        }
    }
}

#[cfg(test)]
impl From<ReceivedBatch> for CutBatch {
    fn from(batch: ReceivedBatch) -> Self {
        Cutter::default().cut_batch(&batch)
    }
}
