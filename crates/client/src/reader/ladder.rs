//! Which technique to use: the wanted one, and below it those that step in while it keeps failing.
//!
//! | wanted    | then, from left to right        | because |
//! | --------- | ------------------------------- | ------- |
//! | websocket | sse, ndjson, long-poll, poll    | what stops an upgrade seldom stops an answer that never ends |
//! | ndjson    | sse, long-poll, poll            | `text/event-stream` is the one content type that proxies know not to hold back |
//! | sse       | ndjson, long-poll, poll         | what meddles with `text/event-stream` may leave other types alone |
//! | long-poll | poll                            | every answer is short and whole; only the waiting can fail |
//! | poll      | nothing                         | if that fails, nothing works |

use std::time::Duration;
use tailwater_protocol::Technique;

/// Failures in a row, nothing whole between them, after which the next technique steps in.
const FAULTS_MAX: u32 = 3;
const TRY_AGAIN_FIRST: Duration = Duration::from_secs(60);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(super) struct Ladder {
    wanted: Technique,
    fallback: bool,
    current: Technique,
    faults: u32,
    /// The technique to go back to when a new try of the wanted one fails.
    trying_from: Option<Technique>,
    try_again_at: Option<Duration>,
    try_again_after: Duration,
}

impl Ladder {
    pub(super) fn new(wanted: Technique, fallback: bool) -> Self {
        Self {
            wanted,
            fallback,
            current: wanted,
            faults: 0,
            trying_from: None,
            try_again_at: None,
            try_again_after: TRY_AGAIN_FIRST,
        }
    }

    pub(super) fn current(&self) -> Technique {
        self.current
    }

    /// Failures of the current technique since it last worked.
    pub(super) fn faults(&self) -> u32 {
        self.faults
    }

    /// Something came whole by the current technique.
    pub(super) fn works(&mut self) {
        self.faults = 0;
        if self.current == self.wanted {
            self.trying_from = None;
            self.try_again_at = None;
            self.try_again_after = TRY_AGAIN_FIRST;
        }
    }

    /// Something came whole by `technique`, which is another one while catching up.
    pub(super) fn worked(&mut self, technique: Technique) {
        if technique == self.current {
            self.works();
        }
    }

    /// Whether another technique would step in for the current one.
    pub(super) fn has_next(&self) -> bool {
        self.fallback && self.below().is_some()
    }

    /// The current technique failed; returns whether another one has stepped in.
    ///
    /// - `unsupported`: the server does not know it, so that trying it again now is useless.
    pub(super) fn failed(&mut self, now: Duration, unsupported: bool) -> bool {
        self.faults += 1;
        let enough = unsupported || self.trying_from.is_some() || self.faults >= FAULTS_MAX;
        let Some(next) = self
            .trying_from
            .take()
            .or_else(|| self.below())
            .filter(|_| enough && self.fallback)
        else {
            return false;
        };
        self.current = next;
        self.faults = 0;
        self.try_again_at = Some(now + self.try_again_after);
        true
    }

    /// When to try the wanted technique again.
    pub(super) fn try_again_at(&self) -> Option<Duration> {
        self.try_again_at
    }

    pub(super) fn wants_another_try(&self, now: Duration) -> bool {
        self.try_again_at.is_some_and(|at| now >= at)
    }

    /// Goes back to the wanted technique for one try, and returns it.
    pub(super) fn try_again(&mut self, now: Duration) -> Technique {
        self.trying_from = Some(self.current);
        self.try_again_after = (self.try_again_after * 2).min(TRY_AGAIN_MAX);
        // If neither success nor failure comes of it, it is not tried twice at once.
        self.try_again_at = Some(now + self.try_again_after);
        self.current = self.wanted;
        self.faults = 0;
        self.wanted
    }

    fn below(&self) -> Option<Technique> {
        use Technique::{LongPoll, Ndjson, Poll, Sse, Websocket};
        let rungs: &[Technique] = match self.wanted {
            Websocket => &[Websocket, Sse, Ndjson, LongPoll, Poll],
            Ndjson => &[Ndjson, Sse, LongPoll, Poll],
            Sse => &[Sse, Ndjson, LongPoll, Poll],
            LongPoll => &[LongPoll, Poll],
            Poll => &[Poll],
        };
        let at = rungs.iter().position(|rung| *rung == self.current)?;
        rungs.get(at + 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn every_way_down_ends_with_polling_and_repeats_nothing() {
        for wanted in Technique::ALL {
            let mut ladder = Ladder::new(wanted, true);
            let mut seen = vec![wanted];
            while ladder.failed(NOW, true) {
                assert!(!seen.contains(&ladder.current()), "{wanted}: {seen:?}");
                seen.push(ladder.current());
            }
            assert_eq!(ladder.current(), Technique::Poll);
        }
    }

    #[test]
    fn one_fault_is_forgiven_when_something_works_again() {
        let mut ladder = Ladder::new(Technique::Sse, true);
        for _ in 0..10 {
            assert!(!ladder.failed(NOW, false) && !ladder.failed(NOW, false));
            ladder.works();
        }
        assert!(
            !ladder.failed(NOW, false) && !ladder.failed(NOW, false) && ladder.failed(NOW, false)
        );
    }

    #[test]
    fn a_failed_new_try_goes_straight_back_and_waits_longer() {
        let mut ladder = Ladder::new(Technique::Websocket, true);
        while !ladder.failed(NOW, false) {}
        let first = ladder.try_again_at().unwrap();
        assert_eq!(ladder.try_again(first), Technique::Websocket);
        assert!(ladder.failed(first, false), "one fault is enough");
        assert_eq!(ladder.current(), Technique::Sse);
        assert!(ladder.try_again_at().unwrap() - first > first - NOW);
    }

    #[test]
    fn without_fallback_nothing_steps_in() {
        let mut ladder = Ladder::new(Technique::Websocket, false);
        assert!((0..20).all(|_| !ladder.failed(NOW, true)));
        assert!(!ladder.has_next());
    }
}
