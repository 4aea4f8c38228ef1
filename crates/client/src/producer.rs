//! The client side of idempotent appends: sequence numbers, and whether a retry is safe. No I/O, no clock.

use tailwater_protocol::headers;

/// A session of a producer: numbers its appends, so that the server can detect duplicates.
///
/// Source: Durable Streams protocol, section 5.2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSession {
    id: String,
    epoch: u64,
    seq: u64,
    is_supported: bool,
}

impl ProducerSession {
    /// A session without appends.
    ///
    /// - `id`: visible ASCII, not empty; either kept across restarts of a writer, or new after each.
    /// - `epoch`: `0..2^53`; higher than that of every earlier session of the same `id`.
    pub fn new(id: &str, epoch: u64) -> Self {
        Self {
            id: id.to_owned(),
            epoch,
            seq: 0,
            is_supported: false,
        }
    }

    /// The headers of the next append and of its retries.
    pub fn headers(&self) -> [(&'static str, String); 3] {
        [
            (headers::PRODUCER_ID, self.id.clone()),
            (headers::PRODUCER_EPOCH, self.epoch.to_string()),
            (headers::PRODUCER_SEQ, self.seq.to_string()),
        ]
    }

    /// Records that the append was acknowledged; increments the sequence number.
    pub fn acknowledged(&mut self) {
        self.seq += 1;
    }

    /// Records that the server supports idempotent producers; another one would append a retry twice.
    pub fn mark_supported(&mut self) {
        self.is_supported = true;
    }

    /// Whether an append with an unknown outcome may be retried.
    pub fn may_retry(&self) -> bool {
        self.is_supported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_keeps_its_number_and_the_next_append_increments_it() {
        let mut producer = ProducerSession::new("p", 3);
        let seq = |producer: &ProducerSession| producer.headers()[2].1.clone();
        assert_eq!(
            producer.headers().map(|(_, value)| value),
            ["p", "3", "0"].map(str::to_owned)
        );
        assert_eq!(seq(&producer), "0");
        producer.acknowledged();
        assert_eq!(seq(&producer), "1");
    }

    #[test]
    fn no_retry_is_sent_to_a_server_without_producer_support() {
        let mut producer = ProducerSession::new("p", 0);
        producer.acknowledged();
        assert!(!producer.may_retry());
        producer.mark_supported();
        assert!(producer.may_retry());
    }
}
