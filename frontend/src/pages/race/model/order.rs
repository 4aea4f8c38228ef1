//! Finds lost and repeated messages: by the source's own count, or by comparing the lanes message for message.
//!
//! All lanes begin at the same offset, so the i-th message of one lane is the i-th of every other.

use std::collections::VecDeque;

use crate::lanes::pieces::CutMessage;

/// So many messages are remembered for comparing lanes.
const REMEMBERED: usize = 65_536;
/// So far around its place a message that is out of place is looked for.
const SEARCHED: u64 = 4_096;

/// The messages of the stream as the lanes brought them, each with its first arrival.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    first: u64,
    entries: VecDeque<LedgerEntry>,
}

#[derive(Debug, Clone, Copy)]
struct LedgerEntry {
    digest: u64,
    /// When the first lane had it; not a number when that lane was still catching up.
    first_ms: f64,
}

/// How far one lane is, and what it has lost and seen again.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Place of the next message, counted from the common start.
    pub position: u64,
    /// Messages that never came.
    pub lost: u64,
    /// Messages that came again.
    pub repeated: u64,
    last: Option<(u64, u64)>,
}

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MessageArrival {
    /// Its place, counted from the common start.
    pub position: u64,
    /// Milliseconds after the first lane that had it; `None` when that is not known.
    pub behind_ms: Option<f64>,
    /// Whether it had come before.
    pub repeated: bool,
}

impl Ledger {
    /// Takes one message of the lane whose order is `order`.
    ///
    /// - `at_ms`: its arrival on the page's clock.
    /// - `live`: whether the lane has caught up; only then does the arrival say anything about speed.
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

    /// Enters a message at its place unless a lane was there before; when the first one was there, if it is remembered.
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
        if position - self.next() > REMEMBERED as u64 {
            self.entries.clear();
            self.first = position;
        }
        while self.next() < position {
            self.push(LedgerEntry {
                digest: 0,
                first_ms: f64::NAN,
            });
        }
        self.push(LedgerEntry {
            digest,
            first_ms: at_ms,
        });
        Some(at_ms)
    }

    fn push(&mut self, entry: LedgerEntry) {
        if self.entries.len() == REMEMBERED {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, position: u64) -> Option<&LedgerEntry> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.entries.get(index)
    }

    /// Whether the message is a repeat; one found further on moves the lane there and counts what lies between as lost.
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
        // Neither before nor after: what the other lanes had here never came.
        order.lost += 1;
        false
    }
}

impl Order {
    /// Takes the count of a lab event; whether it had come before. Gaps are counted as lost.
    fn count(&mut self, seq: u64, due_us: u64) -> bool {
        let Some((last_seq, last_due_us)) = self.last else {
            self.last = Some((seq, due_us));
            return false;
        };
        if seq <= last_seq && due_us <= last_due_us {
            return true;
        }
        // A smaller number that is due later is a source that began anew.
        if seq > last_seq + 1 {
            self.lost += seq - last_seq - 1;
            self.position += seq - last_seq - 1;
        }
        self.last = Some((seq, due_us));
        false
    }

    /// Goes to another place of the stream without counting what lies between; earlier counts stay.
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
        ledger: &mut Ledger,
        messages: impl IntoIterator<Item = CutMessage>,
        at_ms: f64,
    ) -> Order {
        let mut order = Order::default();
        for message in messages {
            ledger.arrive(&mut order, &message, at_ms, true);
        }
        order
    }

    #[test]
    fn lanes_with_equal_events_have_no_loss_and_no_repeat() {
        let mut ledger = Ledger::default();
        for at_ms in [1.0, 2.0, 3.0] {
            let order = feed(&mut ledger, (0..100).map(|digest| plain(digest % 3)), at_ms);
            assert_eq!((order.position, order.lost, order.repeated), (100, 0, 0));
        }
    }

    #[test]
    fn gaps_and_repeats_are_found_without_stamps() {
        let mut ledger = Ledger::default();
        feed(&mut ledger, (0..10).map(plain), 1.0);
        let gap = feed(&mut ledger, [0, 1, 2, 5, 6, 7, 8, 9].map(plain), 2.0);
        assert_eq!((gap.position, gap.lost, gap.repeated), (10, 2, 0));
        let again = feed(&mut ledger, [0, 1, 2, 1, 2, 3, 4].map(plain), 3.0);
        assert_eq!((again.position, again.lost, again.repeated), (5, 0, 2));
    }

    #[test]
    fn gaps_are_found_by_sequence_number_in_a_single_lane() {
        let mut ledger = Ledger::default();
        let order = feed(
            &mut ledger,
            [(4, 40), (5, 50), (8, 80), (8, 80), (7, 70), (9, 90)]
                .map(|(seq, due)| stamped(seq, due)),
            1.0,
        );
        assert_eq!((order.lost, order.repeated), (2, 2));
    }

    #[test]
    fn a_restarted_source_is_neither_loss_nor_repeat() {
        let mut ledger = Ledger::default();
        let order = feed(
            &mut ledger,
            [(900, 40), (0, 50), (1, 60)].map(|(seq, due)| stamped(seq, due)),
            1.0,
        );
        assert_eq!((order.lost, order.repeated), (0, 0));
    }

    #[test]
    fn published_messages_between_lab_events_keep_their_order() {
        let mut ledger = Ledger::default();
        let mixed = || [stamped(1, 10), plain(77), stamped(2, 20), plain(78)];
        for at_ms in [5.0, 9.0] {
            let order = feed(&mut ledger, mixed(), at_ms);
            assert_eq!((order.position, order.lost, order.repeated), (4, 0, 0));
        }
    }

    #[test]
    fn a_lanes_lag_is_the_time_since_the_first_lane_had_it() {
        let mut ledger = Ledger::default();
        let (mut fast, mut slow) = (Order::default(), Order::default());
        assert_eq!(
            ledger.arrive(&mut fast, &plain(1), 100.0, true).behind_ms,
            Some(0.0)
        );
        assert_eq!(
            ledger.arrive(&mut slow, &plain(1), 130.0, true).behind_ms,
            Some(30.0)
        );
        ledger.arrive(&mut fast, &plain(2), 140.0, false);
        assert_eq!(
            ledger.arrive(&mut slow, &plain(2), 150.0, true).behind_ms,
            None,
            "the first was catching up"
        );
    }

    #[test]
    fn the_ledger_drops_the_oldest_and_stays_bounded() {
        let mut ledger = Ledger::default();
        let order = feed(&mut ledger, (0..200_000).map(plain), 1.0);
        assert_eq!(order.position, 200_000);
        assert_eq!(ledger.entries.len(), REMEMBERED);
        let mut late = Order::default();
        assert_eq!(
            ledger.arrive(&mut late, &plain(0), 2.0, true).behind_ms,
            None
        );
        assert_eq!((late.lost, late.repeated), (0, 0));
    }
}
