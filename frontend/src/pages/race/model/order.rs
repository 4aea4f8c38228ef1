//! Finds lost and repeated messages: by the source's numbers, or by comparing the lanes message for message.
//!
//! All lanes begin at the same offset, so the i-th message of one lane is the i-th of every other.

use std::collections::VecDeque;

use crate::lanes::pieces::CutMessage;

/// Messages that are kept for comparing lanes.
const KEPT: usize = 65_536;
/// Distance from its expected position, in messages, in which an unexpected message is searched.
const SEARCHED: u64 = 4_096;

/// The latest messages of the stream, each with its first arrival in any lane.
#[derive(Debug, Clone, Default)]
pub struct FirstArrivals {
    first: u64,
    entries: VecDeque<FirstArrival>,
}

#[derive(Debug, Clone, Copy)]
struct FirstArrival {
    digest: u64,
    /// When the first lane received it; NaN if that lane was still catching up.
    first_ms: f64,
}

/// The position of one lane, and how many messages it has lost and received again.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Position of the next message, counted from the common start.
    pub position: u64,
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived again.
    pub repeated: u64,
    last: Option<(u64, u64)>,
}

/// The position of a message that has arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MessageArrival {
    /// Its position, counted from the common start.
    pub position: u64,
    /// Milliseconds after the first lane that received it; `None` if that is not known.
    pub behind_ms: Option<f64>,
    /// Whether it had arrived before.
    pub repeated: bool,
}

impl FirstArrivals {
    /// Adds one message of the lane whose order is `order`.
    ///
    /// - `at_ms`: its arrival on the page's clock.
    /// - `live`: whether the lane has caught up; only then the arrival is a measurement.
    pub fn arrive(
        &mut self,
        order: &mut Order,
        message: &CutMessage,
        at_ms: f64,
        live: bool,
    ) -> MessageArrival {
        let repeated = match message
            .stamps
            .and_then(|stamps| Some((stamps.seq?, stamps.due_us)))
        {
            Some((seq, due_us)) => order.count(seq, due_us),
            None => self.compare(order, message.digest),
        };
        if repeated {
            order.repeated += 1;
            return MessageArrival {
                position: order.position,
                behind_ms: None,
                repeated,
            };
        }
        let position = order.position;
        order.position += 1;
        let first_ms = self.enter(
            position,
            message.digest,
            if live { at_ms } else { f64::NAN },
        );
        let behind_ms = first_ms
            .filter(|first| live && first.is_finite())
            .map(|first| (at_ms - first).max(0.0));
        MessageArrival {
            position,
            behind_ms,
            repeated,
        }
    }

    /// Adds a message at its position unless another lane did; returns its first arrival, if it is kept.
    fn enter(&mut self, position: u64, digest: u64, at_ms: f64) -> Option<f64> {
        if self.entries.is_empty() {
            self.first = position;
        }
        if let Some(entry) = self.entry(position) {
            return Some(entry.first_ms);
        }
        if position < self.first {
            return None;
        }
        if position - self.next() > KEPT as u64 {
            self.entries.clear();
            self.first = position;
        }
        while self.next() < position {
            self.push(FirstArrival {
                digest: 0,
                first_ms: f64::NAN,
            });
        }
        self.push(FirstArrival {
            digest,
            first_ms: at_ms,
        });
        Some(at_ms)
    }

    fn push(&mut self, entry: FirstArrival) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, position: u64) -> Option<&FirstArrival> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.entries.get(index)
    }

    /// Whether the message is a repeat; if it is found later in the stream, the messages before it count as lost.
    fn compare(&self, order: &mut Order, digest: u64) -> bool {
        let here = self.entry(order.position);
        if here.is_none_or(|entry| entry.digest == digest) {
            return false;
        }
        let is_same = |position: &u64| {
            self.entry(*position)
                .is_some_and(|entry| entry.digest == digest)
        };
        let ahead = order.position + 1..(order.position + SEARCHED).min(self.next());
        let behind = order.position.saturating_sub(SEARCHED)..order.position;
        if let Some(found) = ahead.into_iter().find(is_same) {
            order.lost += found - order.position;
            order.position = found;
            return false;
        }
        if behind.rev().any(|position| is_same(&position)) {
            return true;
        }
        // Neither before nor after: the message that the other lanes received at this position is lost.
        order.lost += 1;
        false
    }
}

impl Order {
    /// Adds the number of a lab event, and returns whether it had arrived before. Gaps are counted as lost.
    fn count(&mut self, seq: u64, due_us: u64) -> bool {
        let Some((last_seq, last_due_us)) = self.last else {
            self.last = Some((seq, due_us));
            return false;
        };
        if seq <= last_seq && due_us <= last_due_us {
            return true;
        }
        // A smaller number with a later due time means that the source was restarted.
        if seq > last_seq + 1 {
            self.lost += seq - last_seq - 1;
            self.position += seq - last_seq - 1;
        }
        self.last = Some((seq, due_us));
        false
    }

    /// Moves to another position without counting the messages between; earlier counts are kept.
    pub fn jump(&mut self, position: u64) {
        self.position = position;
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::pieces::MessageStamps;

    fn plain(digest: u64) -> CutMessage {
        CutMessage {
            bytes: 1,
            digest,
            stamps: None,
        }
    }

    fn stamped(seq: u64, due_us: u64) -> CutMessage {
        CutMessage {
            bytes: 1,
            digest: seq,
            stamps: Some(MessageStamps {
                seq: Some(seq),
                due_us,
                sent_us: None,
            }),
        }
    }

    fn feed(
        first_arrivals: &mut FirstArrivals,
        messages: impl IntoIterator<Item = CutMessage>,
        at_ms: f64,
    ) -> Order {
        let mut order = Order::default();
        for message in messages {
            first_arrivals.arrive(&mut order, &message, at_ms, true);
        }
        order
    }

    #[test]
    fn lanes_with_equal_events_have_no_loss_and_no_repeat() {
        let mut first_arrivals = FirstArrivals::default();
        for at_ms in [1.0, 2.0, 3.0] {
            let order = feed(
                &mut first_arrivals,
                (0..100).map(|digest| plain(digest % 3)),
                at_ms,
            );
            assert_eq!((order.position, order.lost, order.repeated), (100, 0, 0));
        }
    }

    #[test]
    fn gaps_and_repeats_are_found_without_stamps() {
        let mut first_arrivals = FirstArrivals::default();
        feed(&mut first_arrivals, (0..10).map(plain), 1.0);
        let gap = feed(
            &mut first_arrivals,
            [0, 1, 2, 5, 6, 7, 8, 9].map(plain),
            2.0,
        );
        assert_eq!((gap.position, gap.lost, gap.repeated), (10, 2, 0));
        let again = feed(&mut first_arrivals, [0, 1, 2, 1, 2, 3, 4].map(plain), 3.0);
        assert_eq!((again.position, again.lost, again.repeated), (5, 0, 2));
    }

    #[test]
    fn gaps_are_found_by_sequence_number_in_a_single_lane() {
        let mut first_arrivals = FirstArrivals::default();
        let order = feed(
            &mut first_arrivals,
            [(4, 40), (5, 50), (8, 80), (8, 80), (7, 70), (9, 90)]
                .map(|(seq, due)| stamped(seq, due)),
            1.0,
        );
        assert_eq!((order.lost, order.repeated), (2, 2));
    }

    #[test]
    fn a_restarted_source_is_neither_loss_nor_repeat() {
        let mut first_arrivals = FirstArrivals::default();
        let order = feed(
            &mut first_arrivals,
            [(900, 40), (0, 50), (1, 60)].map(|(seq, due)| stamped(seq, due)),
            1.0,
        );
        assert_eq!((order.lost, order.repeated), (0, 0));
    }

    #[test]
    fn published_messages_between_lab_events_keep_their_order() {
        let mut first_arrivals = FirstArrivals::default();
        let mixed = || [stamped(1, 10), plain(77), stamped(2, 20), plain(78)];
        for at_ms in [5.0, 9.0] {
            let order = feed(&mut first_arrivals, mixed(), at_ms);
            assert_eq!((order.position, order.lost, order.repeated), (4, 0, 0));
        }
    }

    #[test]
    fn a_lanes_lag_is_the_time_since_the_first_lane_had_it() {
        let mut first_arrivals = FirstArrivals::default();
        let (mut fast, mut slow) = (Order::default(), Order::default());
        assert_eq!(
            first_arrivals
                .arrive(&mut fast, &plain(1), 100.0, true)
                .behind_ms,
            Some(0.0)
        );
        assert_eq!(
            first_arrivals
                .arrive(&mut slow, &plain(1), 130.0, true)
                .behind_ms,
            Some(30.0)
        );
        first_arrivals.arrive(&mut fast, &plain(2), 140.0, false);
        assert_eq!(
            first_arrivals
                .arrive(&mut slow, &plain(2), 150.0, true)
                .behind_ms,
            None,
            "the first was catching up"
        );
    }

    #[test]
    fn first_arrivals_are_bounded_and_drop_the_oldest() {
        let mut first_arrivals = FirstArrivals::default();
        let order = feed(&mut first_arrivals, (0..200_000).map(plain), 1.0);
        assert_eq!(order.position, 200_000);
        assert_eq!(first_arrivals.entries.len(), KEPT);
        let mut late = Order::default();
        assert_eq!(
            first_arrivals
                .arrive(&mut late, &plain(0), 2.0, true)
                .behind_ms,
            None
        );
        assert_eq!((late.lost, late.repeated), (0, 0));
    }
}
