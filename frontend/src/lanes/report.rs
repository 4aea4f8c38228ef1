//! What a lane's reader hands over: the follower's reports with messages cut and stamped, and the browser's own time.

use serde::{Deserialize, Serialize};
use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::Token;

use super::pieces::{CutMessage, Cutter};

/// What happened in a lane, its batches cut into messages.
pub type LaneReport = FollowReport<CutBatch>;

/// The messages of a batch as the page counts them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutBatch {
    /// The messages that it completed, in order.
    pub messages: Vec<CutMessage>,
    /// Bytes of data that arrived, those of unfinished messages included.
    pub bytes: usize,
    /// Bytes of a message that is not finished yet: a line of a text or binary stream without its end.
    pub unfinished_bytes: usize,
    /// The beginning of the last message that it completed; empty if there is none.
    pub preview: String,
    /// The position after the batch.
    pub next: Token,
    /// Whether that position was the tail when the answer was made.
    pub up_to_date: bool,
    /// Whether the stream is closed and this is its end.
    pub closed: bool,
}

impl Cutter {
    /// The report with its batch cut into messages.
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
