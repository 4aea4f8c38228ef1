//! Which technique to use: the wanted one, or another one while that keeps failing.
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

/// The technique in use and those that replace it.
#[derive(Debug)]
pub(super) struct TechniqueChoice {
    wanted: Technique,
    fallback: bool,
    current: Technique,
    faults: u32,
    /// The technique to go back to when a new try of the wanted one fails.
    trying_from: Option<Technique>,
    try_again_at: Option<Duration>,
    try_again_after: Duration,
}

/// What a reader has to know before it can ask by a technique; a plain read tells all of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LiveNeeds {
    /// An offset, not `now`.
    pub(super) offset: bool,
    /// That it is at the tail.
    pub(super) caught_up: bool,
    /// What kind of stream it is.
    pub(super) kind: bool,
}

pub(super) fn needs_before_live(technique: Technique) -> LiveNeeds {
    match technique {
        Technique::Poll | Technique::LongPoll => LiveNeeds {
            offset: true,
            ..LiveNeeds::default()
        },
        // The responses do not tell the kind.
        Technique::Sse => LiveNeeds {
            caught_up: true,
            kind: true,
            ..LiveNeeds::default()
        },
        Technique::Ndjson | Technique::Websocket => LiveNeeds {
            caught_up: true,
            ..LiveNeeds::default()
        },
    }
}

impl TechniqueChoice {
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
        self.fallback && self.next().is_some()
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
            .or_else(|| self.next())
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

    fn next(&self) -> Option<Technique> {
        use Technique::{LongPoll, Ndjson, Poll, Sse, Websocket};
        let order: &[Technique] = match self.wanted {
            Websocket => &[Websocket, Sse, Ndjson, LongPoll, Poll],
            Ndjson => &[Ndjson, Sse, LongPoll, Poll],
            Sse => &[Sse, Ndjson, LongPoll, Poll],
            LongPoll => &[LongPoll, Poll],
            Poll => &[Poll],
        };
        let at = order
            .iter()
            .position(|technique| *technique == self.current)?;
        order.get(at + 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn every_fallback_chain_ends_with_polling_without_repeats() {
        for wanted in Technique::ALL {
            let mut choice = TechniqueChoice::new(wanted, true);
            let mut seen = vec![wanted];
            while choice.failed(NOW, true) {
                assert!(!seen.contains(&choice.current()), "{wanted}: {seen:?}");
                seen.push(choice.current());
            }
            assert_eq!(choice.current(), Technique::Poll);
        }
    }

    #[test]
    fn one_fault_is_forgotten_after_a_success() {
        let mut choice = TechniqueChoice::new(Technique::Sse, true);
        for _ in 0..10 {
            assert!(!choice.failed(NOW, false) && !choice.failed(NOW, false));
            choice.works();
        }
        assert!(
            !choice.failed(NOW, false) && !choice.failed(NOW, false) && choice.failed(NOW, false)
        );
    }

    #[test]
    fn a_failed_retry_of_a_technique_backs_off_longer() {
        let mut choice = TechniqueChoice::new(Technique::Websocket, true);
        while !choice.failed(NOW, false) {}
        let first = choice.try_again_at().unwrap();
        assert_eq!(choice.try_again(first), Technique::Websocket);
        assert!(choice.failed(first, false), "one fault is enough");
        assert_eq!(choice.current(), Technique::Sse);
        assert!(choice.try_again_at().unwrap() - first > first - NOW);
    }

    #[test]
    fn without_fallback_the_technique_does_not_change() {
        let mut choice = TechniqueChoice::new(Technique::Websocket, false);
        assert!((0..20).all(|_| !choice.failed(NOW, true)));
        assert!(!choice.has_next());
    }
}
