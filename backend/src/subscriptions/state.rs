//! One subscription's cursors, wakes and leases as a state machine: no I/O, no clock, no randomness.
//!
//! What happens comes in with the moment at which it happens; [`SubscriptionState::settle`] then says what is to be done. Everything
//! but where streams end at this moment is worth keeping: [`SubscriptionState::revision`] tells whether it changed.
//!
//! ```text
//! idle --pending--> wake, due --attempt--> under way --told--> told --claim--> leased (pull-wake)
//!   ^                    ^------failed---------'                |                |
//!   '-------- done, released, or the lease's time has passed ---'----------------'
//! ```
//!
//! A webhook's lease begins with its wake, a pull-wake's with its claim.
//!
//! Source: Durable Streams protocol, section 7.

mod fault;
mod links;
#[cfg(test)]
mod tests;

pub use fault::SubscriptionFault;
pub use links::{Link, Sight, StreamInfo};

use std::collections::BTreeMap;
use std::time::Duration;
use tailwater_core::StreamName;
use tailwater_protocol::StreamOffset;

/// The first pause after a failed attempt; each further failure doubles it.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest pause after a failed attempt.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The most that chance makes a pause longer or shorter, in thousandths.
pub const JITTER_PERMILLE: u16 = 200;

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// So much later.
    pub fn after(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(millis(pause)))
    }

    /// How long it takes from `earlier` until then; zero when it has passed.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How a subscription's wakes reach a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryWay {
    /// By a request to a URL, which is the lease, too.
    Webhook,
    /// By an event on a stream, after which workers race for the lease.
    PullWake,
}

impl DeliveryWay {
    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::PullWake => "pull-wake",
        }
    }
}

/// What names one wake: requests about any other are fenced off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeKey {
    /// Higher with every wake of a subscription.
    pub generation: u64,
    /// Never the same twice.
    pub wake_id: String,
}

/// A wake in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// Its name, beside the generation.
    pub id: String,
    /// The first stream that had something pending.
    pub stream: StreamName,
    /// Who works on it, until when.
    pub lease: Option<Lease>,
    /// How far the telling came.
    pub step: WakeStage,
}

/// How far the telling of a wake came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeStage {
    /// To be told, now or when the pause after a failure is over.
    Due,
    /// Being told.
    UnderWay,
    /// The webhook took it, or the event stands on the wake stream.
    Told,
}

/// The right of one worker to work on a wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker, as it calls itself; a webhook has no name.
    pub holder: Option<String>,
    /// When it ends by itself.
    pub until: Moment,
}

/// What failed attempts leave behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Failures in a row, at least 1.
    pub failures: u32,
    /// No attempt before then.
    pub at: Moment,
    /// What went wrong last.
    pub reason: String,
}

/// A wake to be told, with everything that stood there at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which wake.
    pub key: WakeKey,
    /// The first stream that had something pending.
    pub stream: StreamName,
    /// What is linked.
    pub streams: Vec<StreamInfo>,
    /// When the lease ends: an answer after that comes too late.
    pub until: Option<Moment>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It was taken and all of the attempt's streams are worked off up to the tails it named.
    Done(Vec<StreamInfo>),
    /// It was taken.
    Taken,
    /// It was not, for this reason; try again after a pause.
    Failed {
        /// What went wrong, for people.
        reason: String,
        /// How chance changes the pause, in thousandths; at most [`JITTER_PERMILLE`] either way.
        jitter_permille: i32,
    },
}

/// One subscription's cursors, wakes and leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    pub(super) way: DeliveryWay,
    pub(super) lease_ttl: Duration,
    pub(super) links: BTreeMap<StreamName, Link>,
    pub(super) generation: u64,
    pub(super) wake: Option<Wake>,
    pub(super) retry: Option<Retry>,
    revision: u64,
}

impl SubscriptionState {
    /// An idle subscription without streams.
    pub fn new(way: DeliveryWay, lease_ttl: Duration) -> Self {
        Self {
            way,
            lease_ttl,
            links: BTreeMap::new(),
            generation: 0,
            wake: None,
            retry: None,
            revision: 0,
        }
    }

    /// Another number whenever something worth keeping changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The generation of the last wake; zero before the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The wake in flight, if there is one.
    pub fn current(&self) -> Option<WakeKey> {
        self.wake.as_ref().map(|wake| WakeKey {
            generation: self.generation,
            wake_id: wake.id.clone(),
        })
    }

    /// What failed attempts left behind, if the last one failed.
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// Whether [`SubscriptionState::settle`] would do something at `now`.
    pub fn is_due(&self, now: Moment) -> bool {
        let may_try = self.retry.as_ref().is_none_or(|retry| retry.at <= now);
        match &self.wake {
            None => may_try && self.is_pending(),
            Some(Wake {
                lease: Some(lease), ..
            }) if lease.until <= now => true,
            Some(Wake {
                step: WakeStage::Due,
                ..
            }) if may_try => true,
            Some(wake) => self.is_idle(wake) && !self.is_pending(),
        }
    }

    /// When [`SubscriptionState::settle`] next has something to do if nothing happens until then.
    pub fn deadline(&self) -> Option<Moment> {
        let retry = || self.retry.as_ref().map(|retry| retry.at);
        match &self.wake {
            None => retry().filter(|_| self.is_pending()),
            Some(wake) => {
                let lease = wake.lease.as_ref().map(|lease| lease.until);
                let retry = retry().filter(|_| wake.step == WakeStage::Due);
                [lease, retry].into_iter().flatten().min()
            }
        }
    }

    /// Ends what is over and begins what is due; says what is to be told, once what changed is kept.
    ///
    /// - `fresh`: the name of the next wake, if there is to be one.
    pub fn settle(&mut self, now: Moment, fresh: String) -> Option<Attempt> {
        self.expire(now);
        let is_pending = self.is_pending();
        if !is_pending && self.wake.as_ref().is_some_and(|wake| self.is_idle(wake)) {
            self.end_wake();
            self.retry = None;
        }
        if self.retry.as_ref().is_some_and(|retry| retry.at > now) {
            return None;
        }
        if self.wake.is_none() && is_pending {
            self.begin_wake(now, fresh);
        }
        let until = now.after(self.lease_ttl);
        let wake = self
            .wake
            .as_mut()
            .filter(|wake| wake.step == WakeStage::Due)?;
        // Not worth keeping: a restart begins the attempt anew.
        wake.step = WakeStage::UnderWay;
        if let Some(lease) = wake.lease.as_mut().filter(|lease| lease.until != until) {
            // Told again, it is issued again: the webhook has the whole time.
            lease.until = until;
            self.revision += 1;
        }
        let (stream, until) = (
            wake.stream.clone(),
            wake.lease.as_ref().map(|lease| lease.until),
        );
        let key = WakeKey {
            generation: self.generation,
            wake_id: wake.id.clone(),
        };
        Some(Attempt {
            key,
            stream,
            until,
            streams: self.streams().collect(),
        })
    }

    /// An attempt to tell a wake has ended.
    pub fn attempted(&mut self, key: &WakeKey, outcome: AttemptOutcome, now: Moment) {
        self.expire(now);
        if self.current().as_ref() != Some(key) {
            return;
        }
        match (outcome, &mut self.wake) {
            (AttemptOutcome::Done(streams), _) => {
                self.ack_seen(&streams);
                self.retry = None;
                self.end_wake();
            }
            (AttemptOutcome::Taken, Some(wake)) if wake.step != WakeStage::Told => {
                wake.step = WakeStage::Told;
                self.retry = None;
                self.revision += 1;
            }
            // What was acked or claimed meanwhile was evidently heard.
            (
                AttemptOutcome::Failed {
                    reason,
                    jitter_permille,
                },
                Some(wake),
            ) if wake.step == WakeStage::UnderWay => {
                wake.step = WakeStage::Due;
                self.note_failure(reason, jitter_permille, now);
            }
            (AttemptOutcome::Taken | AttemptOutcome::Failed { .. }, _) => {}
        }
    }

    /// Something changed for which a pull-wake's failed attempt waits: its wake stream is there now.
    pub fn hurry(&mut self, now: Moment) {
        if let Some(retry) = self.retry.as_mut().filter(|retry| retry.at > now) {
            retry.at = now;
        }
    }

    /// Gives the lease to a worker; returns which wake it works on.
    ///
    /// - `fresh`: the name of the wake, if there is none yet.
    ///
    /// # Errors
    /// [`SubscriptionFault::Claimed`], [`SubscriptionFault::NothingPending`].
    pub fn claim(
        &mut self,
        worker: &str,
        now: Moment,
        fresh: String,
    ) -> Result<WakeKey, SubscriptionFault> {
        self.expire(now);
        if let Some(lease) = self.wake.as_ref().and_then(|wake| wake.lease.as_ref()) {
            let holder = lease.holder.clone().unwrap_or_default();
            return Err(SubscriptionFault::Claimed {
                holder,
                generation: self.generation,
            });
        }
        if !self.is_pending() {
            return Err(SubscriptionFault::NothingPending);
        }
        if self.wake.is_none() {
            self.begin_wake(now, fresh);
        }
        let until = now.after(self.lease_ttl);
        let Some(wake) = &mut self.wake else {
            return Err(SubscriptionFault::NothingPending);
        };
        wake.lease = Some(Lease {
            holder: Some(worker.to_owned()),
            until,
        });
        wake.step = WakeStage::Told;
        self.retry = None;
        self.revision += 1;
        Ok(WakeKey {
            generation: self.generation,
            wake_id: wake.id.clone(),
        })
    }

    /// Moves cursors; then ends the wake or extends its lease.
    ///
    /// - `acks`: stream and position, each at or after what was acked and at or before the stream's end.
    /// - `done`: the wake is over; otherwise the worker goes on and this is a sign of life.
    ///
    /// # Errors
    /// [`SubscriptionFault::Fenced`], [`SubscriptionFault::NotLinked`], [`SubscriptionFault::AckOfOtherLife`], [`SubscriptionFault::AckGoesBack`], [`SubscriptionFault::AckBeyondTail`]; then no cursor moved.
    pub fn ack(
        &mut self,
        key: &WakeKey,
        acks: &[(StreamName, StreamOffset)],
        done: bool,
        now: Moment,
    ) -> Result<(), SubscriptionFault> {
        self.check(key, now)?;
        self.ack_all(acks)?;
        if done {
            self.retry = None;
            self.end_wake();
        } else if let Some(wake) = &mut self.wake {
            // Whoever acks has heard.
            wake.step = WakeStage::Told;
            if let Some(lease) = &mut wake.lease {
                lease.until = now.after(self.lease_ttl);
            }
            self.retry = None;
            self.revision += 1;
        }
        Ok(())
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// [`SubscriptionFault::Fenced`].
    pub fn release(&mut self, key: &WakeKey, now: Moment) -> Result<(), SubscriptionFault> {
        self.check(key, now)?;
        self.end_wake();
        Ok(())
    }

    /// Whether a request about a wake is about the current one, by somebody who holds its lease.
    fn check(&mut self, key: &WakeKey, now: Moment) -> Result<(), SubscriptionFault> {
        self.expire(now);
        let is_leased = self.wake.as_ref().is_some_and(|wake| wake.lease.is_some());
        if is_leased && self.current().as_ref() == Some(key) {
            Ok(())
        } else {
            Err(SubscriptionFault::Fenced)
        }
    }

    /// Ends a lease whose time has passed. A webhook that had not answered by then has failed.
    fn expire(&mut self, now: Moment) {
        let Some(wake) = &self.wake else { return };
        if wake.lease.as_ref().is_none_or(|lease| lease.until > now) {
            return;
        }
        if wake.step == WakeStage::UnderWay {
            self.note_failure("no answer before the lease ended".to_owned(), 0, now);
        }
        self.end_wake();
    }

    fn begin_wake(&mut self, now: Moment, id: String) {
        let Some(stream) = self.first_pending().cloned() else {
            return;
        };
        let until = now.after(self.lease_ttl);
        let lease = (self.way == DeliveryWay::Webhook).then_some(Lease {
            holder: None,
            until,
        });
        self.generation += 1;
        self.wake = Some(Wake {
            id,
            stream,
            lease,
            step: WakeStage::Due,
        });
        self.revision += 1;
    }

    fn end_wake(&mut self) {
        self.wake = None;
        self.revision += 1;
    }

    /// Whether nobody works on a wake, or is being asked to.
    fn is_idle(&self, wake: &Wake) -> bool {
        match self.way {
            DeliveryWay::Webhook => wake.step == WakeStage::Due,
            DeliveryWay::PullWake => wake.lease.is_none() && wake.step != WakeStage::UnderWay,
        }
    }

    fn note_failure(&mut self, reason: String, jitter_permille: i32, now: Moment) {
        let failures = self
            .retry
            .as_ref()
            .map_or(0, |retry| retry.failures)
            .saturating_add(1);
        let at = now.after(pause(failures, jitter_permille));
        self.retry = Some(Retry {
            failures,
            at,
            reason,
        });
        self.revision += 1;
    }
}

/// The pause after so many failures in a row: doubling from one second to a minute, changed by chance.
fn pause(failures: u32, jitter_permille: i32) -> Duration {
    let doubled = RETRY_MIN.saturating_mul(
        1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    let base = doubled.min(RETRY_MAX);
    let limit = i32::from(JITTER_PERMILLE);
    let permille = 1000 + jitter_permille.clamp(-limit, limit);
    (base * permille.unsigned_abs() / 1000).min(RETRY_MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
