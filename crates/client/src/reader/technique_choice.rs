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
const RETRY_DELAY_MIN: Duration = Duration::from_secs(60);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(15 * 60);

/// The technique in use and those that replace it.
#[derive(Debug)]
pub(super) struct TechniqueChoice {
    wanted: Technique,
    fallback: bool,
    current: Technique,
    faults: u32,
    /// The technique to go back to when a new try of the wanted one fails.
    retried_from: Option<Technique>,
    retry_at: Option<Duration>,
    retry_delay: Duration,
}

/// What a reader has to know before it can ask by a technique; a plain read tells all of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LiveRequirements {
    /// An offset, not `now`.
    pub(super) offset: bool,
    /// That it is at the tail.
    pub(super) caught_up: bool,
    /// What kind of stream it is.
    pub(super) kind: bool,
}

pub(super) fn requirements_of(technique: Technique) -> LiveRequirements {
    match technique {
        Technique::Poll | Technique::LongPoll => LiveRequirements {
            offset: true,
            ..LiveRequirements::default()
        },
        // The responses do not tell the kind.
        Technique::Sse => LiveRequirements {
            caught_up: true,
            kind: true,
            ..LiveRequirements::default()
        },
        Technique::Ndjson | Technique::Websocket => LiveRequirements {
            caught_up: true,
            ..LiveRequirements::default()
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
            retried_from: None,
            retry_at: None,
            retry_delay: RETRY_DELAY_MIN,
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
    pub(super) fn succeeded(&mut self) {
        self.faults = 0;
        if self.current == self.wanted {
            self.retried_from = None;
            self.retry_at = None;
            self.retry_delay = RETRY_DELAY_MIN;
        }
    }

    /// Something came whole by `technique`, which is another one while catching up.
    pub(super) fn succeeded_by(&mut self, technique: Technique) {
        if technique == self.current {
            self.succeeded();
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
        let enough = unsupported || self.retried_from.is_some() || self.faults >= FAULTS_MAX;
        let Some(next) = self
            .retried_from
            .take()
            .or_else(|| self.next())
            .filter(|_| enough && self.fallback)
        else {
            return false;
        };
        self.current = next;
        self.faults = 0;
        self.retry_at = Some(now + self.retry_delay);
        true
    }

    /// When to try the wanted technique again.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    pub(super) fn is_retry_due(&self, now: Duration) -> bool {
        self.retry_at.is_some_and(|at| now >= at)
    }

    /// Goes back to the wanted technique for one try, and returns it.
    pub(super) fn retry(&mut self, now: Duration) -> Technique {
        self.retried_from = Some(self.current);
        self.retry_delay = (self.retry_delay * 2).min(RETRY_DELAY_MAX);
        // If neither success nor failure comes of it, it is not tried twice at once.
        self.retry_at = Some(now + self.retry_delay);
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
            choice.succeeded();
        }
        assert!(
            !choice.failed(NOW, false) && !choice.failed(NOW, false) && choice.failed(NOW, false)
        );
    }

    #[test]
    fn a_failed_retry_of_a_technique_backs_off_longer() {
        let mut choice = TechniqueChoice::new(Technique::Websocket, true);
        while !choice.failed(NOW, false) {}
        let first = choice.retry_at().unwrap();
        assert_eq!(choice.retry(first), Technique::Websocket);
        assert!(choice.failed(first, false), "one fault is enough");
        assert_eq!(choice.current(), Technique::Sse);
        assert!(choice.retry_at().unwrap() - first > first - NOW);
    }

    #[test]
    fn without_fallback_the_technique_does_not_change() {
        let mut choice = TechniqueChoice::new(Technique::Websocket, false);
        assert!((0..20).all(|_| !choice.failed(NOW, true)));
        assert!(!choice.has_next());
    }
}
