//! One subscription's cursors, wakes and leases as a state machine: no I/O, no clock, no
//! randomness.
//!
//! Each input comes with its moment; [`SubscriptionState::settle`] then returns what is to be done.
//! Everything but the streams' tails has to be stored: [`SubscriptionState::revision`] changes with
//! it.
//!
//! ```text
//! idle --pending--> wake, due --attempt--> in progress --delivered--> delivered --claim--> leased (pull-wake)
//!   ^                    ^-------failed--------'                         |                  |
//!   '-------- done, released, or lease expired --------------------------'------------------'
//! ```
//!
//! A webhook's lease begins with its wake, a pull-wake's with its claim. While a subscription is
//! paused, no wake begins, is attempted or claimed; one that is leased goes on as far as its worker
//! takes it, and any other ends.
//!
//! Source: Durable Streams protocol, section 7.

mod fault;
mod links;
#[cfg(test)]
mod tests;
mod wake;

pub use fault::SubscriptionFault;
pub use links::{Link, StreamInfo, StreamSnapshot};
pub use wake::{Attempt, AttemptOutcome, Lease, Retry, Wake, WakeKey, WakeStage};

use std::collections::BTreeMap;
use std::time::Duration;
use tailwater_core::StreamName;
use tailwater_protocol::StreamOffset;

/// Pause after a first failed attempt; each further failure doubles it.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Maximum pause after a failed attempt.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Maximum random change of a pause, in thousandths.
pub const JITTER_PERMILLE: u16 = 200;

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `pause` later.
    pub fn after(self, pause: Duration) -> Self {
        Self(self.0.saturating_add(millis(pause)))
    }

    /// The time since `earlier`; zero when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How a subscription's wakes reach a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryWay {
    /// By a request to a URL, which includes the lease.
    Webhook,
    /// By an event on a stream, after which workers compete for the lease.
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

/// One subscription's cursors, wakes and leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    pub(super) way: DeliveryWay,
    pub(super) lease_ttl: Duration,
    pub(super) links: BTreeMap<StreamName, Link>,
    pub(super) generation: u64,
    pub(super) wake: Option<Wake>,
    pub(super) retry: Option<Retry>,
    pub(super) is_paused: bool,
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
            is_paused: false,
            revision: 0,
        }
    }

    /// Changes whenever something changes that has to be stored.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The generation of the last wake; zero before the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The wake in progress, if there is one.
    pub fn current(&self) -> Option<WakeKey> {
        self.wake.as_ref().map(|wake| WakeKey {
            generation: self.generation,
            wake_id: wake.id.clone(),
        })
    }

    /// Whether it is paused: it delivers nothing and gives no lease.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether pending work causes another wake when this one has ended.
    pub fn wakes_again(&self) -> bool {
        self.is_pending() && !self.is_paused
    }

    /// The retry state, if the last attempt failed and there is something to be repeated.
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// Whether [`SubscriptionState::settle`] would do something at `now`.
    pub fn is_due(&self, now: Moment) -> bool {
        let may_try = !self.is_paused && self.retry.as_ref().is_none_or(|retry| retry.at <= now);
        match &self.wake {
            None if self.is_pending() => may_try,
            None => self.retry.is_some(),
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

    /// When [`SubscriptionState::settle`] next has something to do without other input.
    pub fn deadline(&self) -> Option<Moment> {
        let retry = || {
            self.retry
                .as_ref()
                .filter(|_| !self.is_paused)
                .map(|retry| retry.at)
        };
        match &self.wake {
            None => retry().filter(|_| self.is_pending()),
            Some(wake) => {
                let lease = wake.lease.as_ref().map(|lease| lease.until);
                let retry = retry().filter(|_| wake.step == WakeStage::Due);
                [lease, retry].into_iter().flatten().min()
            }
        }
    }

    /// Ends what has expired and begins what is due; returns a delivery, to be started once the
    /// change is stored.
    ///
    /// - `new_id`: the id of the next wake, if one begins.
    pub fn settle(&mut self, now: Moment, new_id: String) -> Option<Attempt> {
        self.expire(now);
        let is_pending = self.is_pending();
        if !is_pending && self.wake.as_ref().is_some_and(|wake| self.is_idle(wake)) {
            self.end_wake();
        }
        if !is_pending && self.wake.is_none() && self.retry.take().is_some() {
            self.revision += 1;
        }
        if self.is_paused || self.retry.as_ref().is_some_and(|retry| retry.at > now) {
            return None;
        }
        if self.wake.is_none() && is_pending {
            self.begin_wake(now, new_id);
        }
        let until = now.after(self.lease_ttl);
        let wake = self
            .wake
            .as_mut()
            .filter(|wake| wake.step == WakeStage::Due)?;
        // Not stored: after a restart the attempt begins again.
        wake.step = WakeStage::InProgress;
        if let Some(lease) = wake.lease.as_mut().filter(|lease| lease.until != until) {
            // A repeated delivery issues the lease again: the webhook has its full time.
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

    /// Applies the outcome of an attempt.
    pub fn attempted(&mut self, key: &WakeKey, outcome: AttemptOutcome, now: Moment) {
        self.expire(now);
        if self.current().as_ref() != Some(key) {
            return;
        }
        match (outcome, &mut self.wake) {
            (AttemptOutcome::Done(streams), _) => {
                self.ack_delivered(&streams);
                self.retry = None;
                self.end_wake();
            }
            (AttemptOutcome::Accepted, Some(wake)) if wake.step != WakeStage::Delivered => {
                wake.step = WakeStage::Delivered;
                self.retry = None;
                self.revision += 1;
            }
            // A wake that was acked or claimed meanwhile was evidently delivered.
            (
                AttemptOutcome::Failed {
                    reason,
                    jitter_permille,
                },
                Some(wake),
            ) if wake.step == WakeStage::InProgress => {
                wake.step = WakeStage::Due;
                self.note_failure(reason, jitter_permille, now);
            }
            (AttemptOutcome::NotSent, Some(wake)) if wake.step == WakeStage::InProgress => {
                wake.step = WakeStage::Due;
            }
            (
                AttemptOutcome::Accepted | AttemptOutcome::Failed { .. } | AttemptOutcome::NotSent,
                _,
            ) => {}
        }
    }

    /// Retries a pull-wake's failed delivery at once: its wake stream now exists.
    pub fn retry_now(&mut self, now: Moment) {
        if let Some(retry) = self.retry.as_mut().filter(|retry| retry.at > now) {
            retry.at = now;
        }
    }

    /// Pauses deliveries and claims. A lease remains valid; a wake without one ends, so that pending
    /// work causes another when the pause ends.
    pub fn pause(&mut self) {
        if self.is_paused {
            return;
        }
        self.is_paused = true;
        self.wake = self.wake.take().filter(|wake| wake.lease.is_some());
        self.revision += 1;
    }

    /// Ends a pause; pending work is due at once, whatever the pause after a failure.
    pub fn resume(&mut self, now: Moment) {
        if !self.is_paused {
            return;
        }
        self.is_paused = false;
        self.retry_now(now);
        self.revision += 1;
    }

    /// Gives the lease to a worker; returns the wake.
    ///
    /// - `new_id`: the wake's id, if none is in progress.
    ///
    /// # Errors
    /// [`SubscriptionFault::Paused`], [`SubscriptionFault::Claimed`],
    /// [`SubscriptionFault::NothingPending`].
    pub fn claim(
        &mut self,
        worker: &str,
        now: Moment,
        new_id: String,
    ) -> Result<WakeKey, SubscriptionFault> {
        self.expire(now);
        if self.is_paused {
            return Err(SubscriptionFault::Paused);
        }
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
            self.begin_wake(now, new_id);
        }
        let until = now.after(self.lease_ttl);
        let Some(wake) = &mut self.wake else {
            return Err(SubscriptionFault::NothingPending);
        };
        wake.lease = Some(Lease {
            holder: Some(worker.to_owned()),
            until,
        });
        wake.step = WakeStage::Delivered;
        self.retry = None;
        self.revision += 1;
        Ok(WakeKey {
            generation: self.generation,
            wake_id: wake.id.clone(),
        })
    }

    /// Moves cursors; then ends the wake or extends its lease.
    ///
    /// - `acks`: stream and position, each between the last ack and the stream's tail.
    /// - `done`: whether the wake is finished; otherwise its lease is extended.
    ///
    /// # Errors
    /// [`SubscriptionFault::Fenced`], [`SubscriptionFault::NotLinked`],
    /// [`SubscriptionFault::AckOfEarlierStream`], [`SubscriptionFault::AckGoesBack`],
    /// [`SubscriptionFault::AckBeyondTail`]; then no cursor moved.
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
            // An ack implies delivery.
            wake.step = WakeStage::Delivered;
            if let Some(lease) = &mut wake.lease {
                lease.until = now.after(self.lease_ttl);
            }
            self.retry = None;
            self.revision += 1;
        }
        Ok(())
    }

    /// Releases the lease.
    ///
    /// # Errors
    /// [`SubscriptionFault::Fenced`].
    pub fn release(&mut self, key: &WakeKey, now: Moment) -> Result<(), SubscriptionFault> {
        self.check(key, now)?;
        self.end_wake();
        Ok(())
    }

    /// Whether a request is about the current wake, from the holder of its lease.
    fn check(&mut self, key: &WakeKey, now: Moment) -> Result<(), SubscriptionFault> {
        self.expire(now);
        let is_leased = self.wake.as_ref().is_some_and(|wake| wake.lease.is_some());
        if is_leased && self.current().as_ref() == Some(key) {
            Ok(())
        } else {
            Err(SubscriptionFault::Fenced)
        }
    }

    /// Ends an expired lease. A webhook that has not answered by then has failed.
    fn expire(&mut self, now: Moment) {
        let Some(wake) = &self.wake else { return };
        if wake.lease.as_ref().is_none_or(|lease| lease.until > now) {
            return;
        }
        if wake.step == WakeStage::InProgress {
            self.note_failure("no response before the lease expired".to_owned(), 0, now);
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

    /// Whether a wake is neither leased nor being delivered.
    fn is_idle(&self, wake: &Wake) -> bool {
        match self.way {
            DeliveryWay::Webhook => wake.step == WakeStage::Due,
            DeliveryWay::PullWake => wake.lease.is_none() && wake.step != WakeStage::InProgress,
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

/// The pause after this many consecutive failures: doubles from one second to a minute, with
/// jitter.
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
