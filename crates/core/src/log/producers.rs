//! Idempotent producers: classifies appends as new, duplicate, gap or stale. Without I/O.

use super::AppendError;
use crate::model::{Accepted, ProducerId};
use std::collections::HashMap;

/// The positions of the producers of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Producers {
    accepted: HashMap<ProducerId, Accepted>,
}

/// The maximum number of producers of one stream. Producers are stored as long as the stream exists,
/// so a writer that uses a new identifier for each append must get an error.
pub(super) const PRODUCERS_MAX: usize = 100_000;

impl Producers {
    /// Returns `None` for a new append, and the position of the producer for a duplicate.
    ///
    /// # Errors
    /// [`AppendError::StaleEpoch`], [`AppendError::EpochStart`], [`AppendError::Gap`], [`AppendError::TooManyProducers`].
    ///
    /// Source: Durable Streams protocol, section 5.2.1, "Validation Logic".
    pub(super) fn check(
        &self,
        id: &ProducerId,
        at: Accepted,
    ) -> Result<Option<Accepted>, AppendError> {
        let Some(&last) = self.accepted.get(id) else {
            return match at.seq {
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
        match (at.epoch, at.seq) {
            (epoch, _) if epoch < last.epoch => Err(AppendError::StaleEpoch {
                current: last.epoch,
                received: epoch,
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

    /// Stores the position after a new append.
    pub(super) fn accept(&mut self, id: ProducerId, at: Accepted) {
        self.accepted.insert(id, at);
    }

    /// The position of each producer, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ProducerId, Accepted)> {
        self.accepted.iter().map(|(id, at)| (id, *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_is_new_once_in_order_and_in_the_newest_epoch() {
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
                    received: 2,
                }),
            ),
            (4, 2, Err(AppendError::EpochStart { epoch: 4, seq: 2 })),
            (9, 0, Ok(None)),
            (
                3,
                2,
                Err(AppendError::StaleEpoch {
                    current: 9,
                    received: 3,
                }),
            ),
            (9, 1, Ok(None)),
        ] {
            let checked = producers.check(&id, at(epoch, seq));
            assert_eq!(checked, judgement, "epoch {epoch}, seq {seq}");
            if checked == Ok(None) {
                producers.accept(id.clone(), at(epoch, seq));
            }
        }
        assert_eq!(
            producers.check(&ProducerId::parse("producer-id", "q").unwrap(), at(0, 0)),
            Ok(None),
            "producers are independent"
        );
    }

    #[test]
    fn known_producers_continue_when_their_limit_is_reached() {
        let id = |number: usize| ProducerId::parse("producer-id", &number.to_string()).unwrap();
        let at = |seq| Accepted { epoch: 0, seq };
        let mut producers = Producers::default();
        (0..PRODUCERS_MAX).for_each(|number| producers.accept(id(number), at(0)));
        let refused = producers.check(&id(PRODUCERS_MAX), at(0));
        assert_eq!(
            refused,
            Err(AppendError::TooManyProducers {
                limit: PRODUCERS_MAX
            })
        );
        assert_eq!(producers.check(&id(0), at(1)), Ok(None));
        producers.accept(id(0), at(1));
        assert_eq!(producers.check(&id(0), at(1)), Ok(Some(at(1))));
    }
}
