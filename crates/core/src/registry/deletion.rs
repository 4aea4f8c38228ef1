//! Deletes streams: on request, when they have expired, and hidden ones once their last fork is deleted.

use super::{NameLock, Streams};
use crate::log::Log;
use crate::log::fork_refs::DeletionKind;
use crate::log::retention::sweeps_between_looks;
use crate::model::StreamName;
use crate::store::{Change, Commit, StoreError};
use futures_util::StreamExt;
use futures_util::stream;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

/// Streams that a sweep deletes or cuts at the same time.
const SWEEP_AT_ONCE: usize = 64;

/// The outcome of a deletion, with the lock on the name.
pub(super) type RemovalOutcome = (Result<(), StoreError>, NameLock);

impl Streams {
    /// Deletes a stream with all its data, or hides it while it has forks; `false` when there is none of this name.
    /// Readers that wait are woken.
    ///
    /// Dropping the future undoes nothing: what was submitted is done, and the name stays locked until then.
    ///
    /// # Errors
    /// [`StoreError`]; then the stream is still there.
    ///
    /// Source: Durable Streams protocol, sections 4.2 and 5.4.
    pub async fn delete(&self, name: &StreamName) -> Result<bool, StoreError> {
        let lock = self.lock_name(name).await;
        let Some(log) = self.find(name) else {
            return Ok(false);
        };
        match self.remove(log, lock).await {
            Ok((outcome, _)) => outcome.map(|()| true),
            // The store is gone with all that it was told.
            Err(_) => Err(StoreError::NoStream),
        }
    }

    /// Submits the deletion of a stream whose name the caller has locked; it is done, whether a request waits for that or not.
    pub(super) fn remove(
        &self,
        log: Arc<Log>,
        lock: NameLock,
    ) -> oneshot::Receiver<RemovalOutcome> {
        let (answer, removed) = oneshot::channel();
        let Some(kind) = log.fork_refs.begin_delete() else {
            // Nobody else ends it while this lock lasts, except the collection of what is hidden.
            let _kept = answer.send((Ok(()), lock));
            return removed;
        };
        let hides = kind == DeletionKind::Hide;
        let change = if hides {
            Change::Hide
        } else {
            self.deletion(&log)
        };
        let streams = self.clone();
        let stream = log.id();
        self.store.commit(
            Commit { stream, change },
            Box::new(move |result| {
                match &result {
                    Ok(()) if hides => {
                        let is_unused = log.fork_refs.hide();
                        log.end();
                        if is_unused {
                            streams.collect(log);
                        }
                    }
                    Ok(()) => streams.forget(&log),
                    Err(_) => log.fork_refs.rollback_delete(),
                }
                // When nobody waits, the name is unlocked here.
                let _gone = answer.send((result, lock));
            }),
        );
        removed
    }

    /// The deletion of a stream, with what is remembered of its name.
    fn deletion(&self, log: &Log) -> Change {
        Change::Delete {
            notes: self.deleted.end_life(log.name(), log.life()),
        }
    }

    /// A stream was deleted from the store: frees its name, ends its log, and releases its source.
    fn forget(&self, log: &Arc<Log>) {
        self.write().remove(log.name());
        log.end();
        if let Some(source) = log.source() {
            self.release(source);
        }
    }

    /// Removes a fork from the count of its source; deletes a hidden source without forks.
    pub(super) fn release(&self, source: &Arc<Log>) {
        if source.fork_refs.release() {
            self.collect(Arc::clone(source));
        }
    }

    /// Deletes a hidden stream whose last fork was deleted.
    fn collect(&self, log: Arc<Log>) {
        let streams = self.clone();
        let stream = log.id();
        self.store.commit(
            Commit { stream, change: self.deletion(&log) },
            Box::new(move |result| match result {
                Ok(()) => streams.forget(&log),
                Err(error) => {
                    tracing::warn!(stream = %log.name(), %error, "a deleted stream without forks stays for now");
                    log.fork_refs.rollback_delete();
                }
            }),
        );
    }

    /// Deletes what is hidden and has no forks: at the opening, or when it could not be deleted before.
    pub(super) fn collect_hidden(&self) {
        for log in self.all(|log| log.fork_refs.collect()) {
            self.collect(log);
        }
    }

    /// Looks every so often for streams that have ended by themselves and for messages that are no longer kept, until
    /// the server stops.
    pub async fn sweep_until(&self, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep = 0_u64;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            self.sweep(sweep, every).await;
            sweep = sweep.wrapping_add(1);
        }
    }

    /// Deletes the streams that have ended by themselves, and removes messages that are no longer kept.
    async fn sweep(&self, number: u64, every: Duration) {
        self.delete_ended().await;
        self.collect_hidden();
        let is_due = |age: Duration| number.is_multiple_of(sweeps_between_looks(age, every));
        let kept =
            self.all(|log| log.has_too_many_bytes() || log.config().keep_age.is_some_and(is_due));
        stream::iter(kept)
            .for_each_concurrent(SWEEP_AT_ONCE, |log| async move {
                log.keep_to_bytes().await;
                log.keep_to_age().await;
            })
            .await;
    }

    /// Deletes the streams that have ended by themselves.
    pub async fn delete_ended(&self) {
        let over = self.all(|log| !log.is_hidden() && log.is_over());
        let removals = over.into_iter().filter_map(|log| {
            // A name that is busy now is looked at again in the next sweep.
            let lock = self.try_lock_name(log.name())?;
            log.is_over().then(|| self.remove(log, lock))
        });
        stream::iter(removals)
            .for_each_concurrent(SWEEP_AT_ONCE, |removed| async {
                if let Ok((Err(error), lock)) = removed.await {
                    tracing::warn!(stream = %lock.name, %error, "a stream that has ended stays for now");
                }
            })
            .await;
    }

    /// The streams that `is_meant` picks; asked under the lock, so it must be quick.
    fn all(&self, is_meant: impl Fn(&Log) -> bool) -> Vec<Arc<Log>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.values().filter(|log| is_meant(log)).cloned().collect()
    }
}
