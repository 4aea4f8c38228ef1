//! Which technique to use: the preferred one, or a fallback while it keeps failing.
//!
//! | preferred | fallbacks, in this order        | reason |
//! | --------- | ------------------------------- | ------ |
//! | websocket | sse, ndjson, long-poll, poll    | a proxy that blocks upgrades usually passes streaming responses |
//! | ndjson    | sse, long-poll, poll            | proxies that buffer responses usually do not buffer `text/event-stream` |
//! | sse       | ndjson, long-poll, poll         | a proxy that changes `text/event-stream` may pass other types unchanged |
//! | long-poll | poll                            | only the hold differs from a poll |
//! | poll      | none                            | every other technique needs plain reads too |

use std::time::Duration;
use tailwater_protocol::Technique;

/// Consecutive failures of a technique after which its fallback is used.
const FAULTS_MAX: u32 = 3;
const RETRY_DELAY_MIN: Duration = Duration::from_secs(60);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(15 * 60);

/// The technique in use, and its fallbacks.
#[derive(Debug)]
pub(super) struct TechniqueChoice {
    preferred: Technique,
    fallback: bool,
    current: Technique,
    faults: u32,
    /// The technique to return to if the retry of the preferred one fails.
    retried_from: Option<Technique>,
    retry_at: Option<Duration>,
    retry_delay: Duration,
}

/// What a reader must know before it sends a request of a technique; a plain read returns all of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LiveRequirements {
    /// A concrete offset instead of `now`.
    pub(super) offset: bool,
    /// That the offset is the tail.
    pub(super) caught_up: bool,
    /// The content kind of the stream.
    pub(super) kind: bool,
}

pub(super) fn requirements_of(technique: Technique) -> LiveRequirements {
    match technique {
        Technique::Poll | Technique::LongPoll => LiveRequirements {
            offset: true,
            ..LiveRequirements::default()
        },
        // Its responses do not contain the content type of the stream.
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
    pub(super) fn new(preferred: Technique, fallback: bool) -> Self {
        Self {
            preferred,
            fallback,
            current: preferred,
            faults: 0,
            retried_from: None,
            retry_at: None,
            retry_delay: RETRY_DELAY_MIN,
        }
    }

    pub(super) fn current(&self) -> Technique {
        self.current
    }

    /// Failures of the current technique since its last success.
    pub(super) fn faults(&self) -> u32 {
        self.faults
    }

    /// Records that the current technique delivered a complete page or frame.
    pub(super) fn succeeded(&mut self) {
        self.faults = 0;
        if self.current == self.preferred {
            self.retried_from = None;
            self.retry_at = None;
            self.retry_delay = RETRY_DELAY_MIN;
        }
    }

    /// Records a success of `technique`; without effect if that is not the current one, as while catching up.
    pub(super) fn succeeded_by(&mut self, technique: Technique) {
        if technique == self.current {
            self.succeeded();
        }
    }

    /// Whether there is a fallback for the current technique.
    pub(super) fn has_next(&self) -> bool {
        self.fallback && self.next().is_some()
    }

    /// Records a failure of the current technique; returns whether another one is used now.
    ///
    /// - `unsupported`: the server does not support it, so an immediate retry is useless.
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

    /// When to retry the preferred technique.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    pub(super) fn is_retry_due(&self, now: Duration) -> bool {
        self.retry_at.is_some_and(|at| now >= at)
    }

    /// Switches to the preferred technique for one attempt, and returns it.
    pub(super) fn retry(&mut self, now: Duration) -> Technique {
        self.retried_from = Some(self.current);
        self.retry_delay = (self.retry_delay * 2).min(RETRY_DELAY_MAX);
        // Prevents a second retry while the outcome of this one is unknown.
        self.retry_at = Some(now + self.retry_delay);
        self.current = self.preferred;
        self.faults = 0;
        self.preferred
    }

    fn next(&self) -> Option<Technique> {
        use Technique::{LongPoll, Ndjson, Poll, Sse, Websocket};
        let order: &[Technique] = match self.preferred {
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
        for preferred in Technique::ALL {
            let mut choice = TechniqueChoice::new(preferred, true);
            let mut seen = vec![preferred];
            while choice.failed(NOW, true) {
                assert!(!seen.contains(&choice.current()), "{preferred}: {seen:?}");
                seen.push(choice.current());
            }
            assert_eq!(choice.current(), Technique::Poll);
        }
    }

    #[test]
    fn a_success_resets_the_count_of_faults() {
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
