//! Idempotent producers: which appends are new, duplicates, gaps or stale. Pure.

use super::AppendError;
use super::value::{MARK_BYTES_MAX, ValueError, check_mark};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What a producer calls itself, the same across its restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(Arc<str>);

impl ProducerId {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = MARK_BYTES_MAX;

    /// The identifier that `text` spells: 1 to 256 bytes of visible ASCII.
    ///
    /// - `field`: what the one who sent it calls it.
    ///
    /// # Errors
    /// [`ValueError`] when it is empty, too long or not visible ASCII (400).
    pub fn parse(field: &'static str, text: &str) -> Result<Self, ValueError> {
        check_mark(field, text, 1).map(|()| Self(text.into()))
    }

    /// The identifier that a store kept, however long it was taken at the time; `None` when it is empty.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a producer came on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// Its epoch, `0..2^53`: each restart of the producer has a higher one.
    pub epoch: u64,
    /// The last sequence number accepted in that epoch, `0..2^53`.
    pub seq: u64,
}

impl Accepted {
    /// The largest epoch and sequence number: what JavaScript counts exactly.
    pub const MAX: u64 = (1 << 53) - 1;
}

/// Who sent an append, and which of its appends it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The producer.
    pub id: ProducerId,
    /// Its epoch and the append's number in it.
    pub at: Accepted,
}

/// How far each producer came on one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Producers {
    accepted: HashMap<ProducerId, Accepted>,
}

/// Producers that one stream remembers. They are remembered as long as the stream lives, so a writer that makes up a new
/// identifier for every append has to be told.
pub(super) const PRODUCERS_MAX: usize = 100_000;

impl Producers {
    /// Whether an append is new (`None`) or a duplicate: then how far the producer came.
    ///
    /// # Errors
    /// [`AppendError::StaleEpoch`], [`AppendError::EpochStart`], [`AppendError::Gap`], [`AppendError::TooManyProducers`].
    ///
    /// Source: Durable Streams protocol, section 5.2.1, "Validation Logic".
    pub(super) fn judge(
        &self,
        id: &ProducerId,
        came: Accepted,
    ) -> Result<Option<Accepted>, AppendError> {
        let Some(&last) = self.accepted.get(id) else {
            return match came.seq {
                0 if self.accepted.len() >= PRODUCERS_MAX => Err(AppendError::TooManyProducers {
                    limit: PRODUCERS_MAX,
                }),
                0 => Ok(None),
                received => Err(AppendError::Gap {
                    expected: 0,
                    received,
                }),
            };
        };
        match (came.epoch, came.seq) {
            (epoch, _) if epoch < last.epoch => Err(AppendError::StaleEpoch {
                current: last.epoch,
                came: epoch,
            }),
            (epoch, 0) if epoch > last.epoch => Ok(None),
            (epoch, seq) if epoch > last.epoch => Err(AppendError::EpochStart { epoch, seq }),
            (_, seq) if seq <= last.seq => Ok(Some(last)),
            (_, seq) if seq == last.seq + 1 => Ok(None),
            (_, received) => Err(AppendError::Gap {
                expected: last.seq + 1,
                received,
            }),
        }
    }

    /// Remembers an append that was judged new.
    pub(super) fn accept(&mut self, id: ProducerId, at: Accepted) {
        self.accepted.insert(id, at);
    }

    /// How far each producer came, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ProducerId, Accepted)> {
        self.accepted.iter().map(|(id, at)| (id, *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_append_is_new_once_in_order_and_in_the_newest_epoch() {
        let id = ProducerId::parse("producer-id", "p").unwrap();
        let mut producers = Producers::default();
        let at = |epoch, seq| Accepted { epoch, seq };
        let gap = |expected, received| Err(AppendError::Gap { expected, received });
        for (epoch, seq, judgement) in [
            (3, 1, gap(0, 1)),
            (3, 0, Ok(None)),
            (3, 0, Ok(Some(at(3, 0)))),
            (3, 2, gap(1, 2)),
            (3, 1, Ok(None)),
            (3, 0, Ok(Some(at(3, 1)))),
            (
                2,
                9,
                Err(AppendError::StaleEpoch {
                    current: 3,
                    came: 2,
                }),
            ),
            (4, 2, Err(AppendError::EpochStart { epoch: 4, seq: 2 })),
            (9, 0, Ok(None)),
            (
                3,
                2,
                Err(AppendError::StaleEpoch {
                    current: 9,
                    came: 3,
                }),
            ),
            (9, 1, Ok(None)),
        ] {
            let judged = producers.judge(&id, at(epoch, seq));
            assert_eq!(judged, judgement, "epoch {epoch}, seq {seq}");
            if judged == Ok(None) {
                producers.accept(id.clone(), at(epoch, seq));
            }
        }
        assert_eq!(
            producers.judge(&ProducerId::parse("producer-id", "q").unwrap(), at(0, 0)),
            Ok(None),
            "producers are independent"
        );
    }

    #[test]
    fn a_stream_remembers_so_many_producers_and_those_go_on() {
        let id = |number: usize| ProducerId::parse("producer-id", &number.to_string()).unwrap();
        let at = |seq| Accepted { epoch: 0, seq };
        let mut producers = Producers::default();
        (0..PRODUCERS_MAX).for_each(|number| producers.accept(id(number), at(0)));
        let refused = producers.judge(&id(PRODUCERS_MAX), at(0));
        assert_eq!(
            refused,
            Err(AppendError::TooManyProducers {
                limit: PRODUCERS_MAX
            })
        );
        assert_eq!(producers.judge(&id(0), at(1)), Ok(None));
        producers.accept(id(0), at(1));
        assert_eq!(producers.judge(&id(0), at(1)), Ok(Some(at(1))));
    }
}
