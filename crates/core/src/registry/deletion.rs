//! Deletion of streams: on request, after expiry, and of hidden streams after their last fork is deleted.

use super::{NameLock, Streams};
use crate::log::Log;
use crate::log::fork_refs::DeletionKind;
use crate::log::retention::sweeps_between_checks;
use crate::model::StreamName;
use crate::store::{Change, Commit, StoreError};
use futures_util::StreamExt;
use futures_util::stream;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

/// The number of streams that a sweep deletes or trims concurrently.
const SWEEP_AT_ONCE: usize = 64;

/// The outcome of a deletion, with the lock on the name.
pub(super) type RemovalOutcome = (Result<(), StoreError>, NameLock);

impl Streams {
    /// Deletes a stream with all its data, or hides it if it has forks; `false` if there is no stream
    /// of this name. Waiting readers are woken.
    ///
    /// Dropping the future does not cancel a submitted deletion; the name stays locked until it completes.
    ///
    /// # Errors
    /// [`StoreError`]; the stream still exists.
    ///
    /// Source: Durable Streams protocol, sections 4.2 and 5.4.
    pub async fn delete(&self, name: &StreamName) -> Result<bool, StoreError> {
        let lock = self.lock_name(name).await;
        let Some(log) = self.find(name) else {
            return Ok(false);
        };
        match self.remove(log, lock).await {
            Ok((outcome, _)) => outcome.map(|()| true),
            // The store was dropped with its pending changes.
            Err(_) => Err(StoreError::NoStream),
        }
    }

    /// Submits the deletion of a stream whose name the caller has locked. It completes even if the
    /// receiver is dropped.
    pub(super) fn remove(
        &self,
        log: Arc<Log>,
        lock: NameLock,
    ) -> oneshot::Receiver<RemovalOutcome> {
        let (answer, removed) = oneshot::channel();
        let Some(kind) = log.fork_refs.begin_delete() else {
            // While the name is locked, only the collection of a hidden stream can be in progress.
            let _gone = answer.send((Ok(()), lock));
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
                        log.mark_deleted();
                        if is_unused {
                            streams.collect(log);
                        }
                    }
                    Ok(()) => streams.remove_log(&log),
                    Err(_) => log.fork_refs.rollback_delete(),
                }
                // If the receiver was dropped, the name is unlocked here.
                let _gone = answer.send((result, lock));
            }),
        );
        removed
    }

    /// The deletion of a stream, with the note about its name.
    fn deletion(&self, log: &Log) -> Change {
        Change::Delete {
            notes: self.deleted.end_generation(log.name(), log.generation()),
        }
    }

    /// Removes a stream that was deleted from the store: frees its name, marks its log as deleted, and
    /// releases its source.
    fn remove_log(&self, log: &Arc<Log>) {
        self.write().remove(log.name());
        log.mark_deleted();
        if let Some(source) = log.source() {
            self.release(source);
        }
    }

    /// Removes a fork from the count of its source, and deletes the source if it is hidden and has no
    /// forks any more.
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
                Ok(()) => streams.remove_log(&log),
                Err(error) => {
                    tracing::warn!(stream = %log.name(), %error, "a hidden stream without forks was not deleted; the next sweep tries again");
                    log.fork_refs.rollback_delete();
                }
            }),
        );
    }

    /// Deletes hidden streams without forks, when the store is opened or after an earlier deletion failed.
    pub(super) fn collect_hidden(&self) {
        for log in self.all(|log| log.fork_refs.collect()) {
            self.collect(log);
        }
    }

    /// Deletes expired streams and messages beyond their retention periodically, until the server stops.
    ///
    /// - `every`: the interval between sweeps.
    /// - `stop`: becomes true when the server stops.
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

    /// Deletes expired streams, and messages beyond their retention.
    async fn sweep(&self, number: u64, every: Duration) {
        self.delete_expired().await;
        self.collect_hidden();
        let is_due = |age: Duration| number.is_multiple_of(sweeps_between_checks(age, every));
        let kept =
            self.all(|log| log.exceeds_byte_limit() || log.config().keep_age.is_some_and(is_due));
        stream::iter(kept)
            .for_each_concurrent(SWEEP_AT_ONCE, |log| async move {
                log.enforce_byte_limit().await;
                log.enforce_age_limit().await;
            })
            .await;
    }

    /// Deletes expired streams.
    pub async fn delete_expired(&self) {
        let over = self.all(|log| !log.is_hidden() && log.is_expired());
        let removals = over.into_iter().filter_map(|log| {
            // A name that is locked now is left to the next sweep.
            let lock = self.try_lock_name(log.name())?;
            log.is_expired().then(|| self.remove(log, lock))
        });
        stream::iter(removals)
            .for_each_concurrent(SWEEP_AT_ONCE, |removed| async {
                if let Ok((Err(error), lock)) = removed.await {
                    tracing::warn!(stream = %lock.name, %error, "an expired stream was not deleted; the next sweep tries again");
                }
            })
            .await;
    }

    /// The streams for which `predicate` is true. The lock on all streams is held meanwhile, so the
    /// predicate must be fast.
    fn all(&self, predicate: impl Fn(&Log) -> bool) -> Vec<Arc<Log>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.values()
            .filter(|log| predicate(log))
            .cloned()
            .collect()
    }
}
