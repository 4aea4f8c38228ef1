//! The committer: a thread that writes all waiting changes as one commit, syncs it as configured, and calls the callbacks.
//!
//! Changes that arrive during a commit are combined in the next one. So commits become larger under
//! load, and a single writer waits only for one sync.

use super::super::StoreError;
use super::super::notes::NoteSizes;
use super::SyncMode;
use super::current::CurrentEngine;
use super::engine::{Engine, EngineError};
use super::faults::{FaultPoint, Faults};
use super::health::Health;
use super::latest_pages::{DiskStreams, LatestPages};
use super::queue::{NextWork, Queue, QueuedCommit, QueuedWork};
use super::space::FreeSpace;
use super::stage::CommitStage;
use super::sweep::Sweeps;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The maximum time that a commit waits while the engine is behind, and the interval of checks.
const BEHIND_MAX: Duration = Duration::from_secs(10);
const BEHIND_INTERVAL: Duration = Duration::from_millis(2);
/// The interval between attempts to replace a failed engine.
const REPLACE_INTERVAL: Duration = Duration::from_secs(1);

/// The state of the committer thread.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) current: Arc<CurrentEngine>,
    pub(super) streams: Arc<DiskStreams>,
    pub(super) queue: Arc<Queue>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) counts: Arc<StoreCounts>,
    pub(super) faults: Arc<Faults>,
    pub(super) sync: SyncMode,
    pub(super) latest_pages: LatestPages,
    pub(super) free_space: FreeSpace,
    pub(super) note_sizes: NoteSizes,
    /// The deadline of the next deferred sync, if one is needed.
    pub(super) sync_by: Option<Instant>,
    pub(super) health: Arc<Health>,
    /// The failure because of which the engine must be replaced.
    pub(super) failing: Option<TransientFailure>,
}

/// A failure that may be temporary.
#[derive(Debug)]
pub(super) struct TransientFailure {
    reason: String,
    /// The time of the next attempt to replace the engine.
    try_at: Instant,
}

/// Counters of a store's operations since it was opened.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// The number of commits.
    pub commits: AtomicU64,
    /// The number of syncs.
    pub syncs: AtomicU64,
}

impl Committer {
    /// Commits until the queue is closed and empty, then syncs.
    ///
    /// A panic disables writing but does not end this thread: queued and later changes are refused with
    /// the reason.
    pub(super) fn run(mut self) {
        let health = Arc::clone(&self.health);
        while health.run(|| self.step()).unwrap_or(true) {}
        if health.refusal().is_none() {
            health.run(|| self.sync_deferred());
            if let Ok(engine) = self.current.get() {
                engine.sync_record();
            }
        }
    }

    /// Waits for work or a deadline, and handles it; `false` when the queue is closed and empty.
    fn step(&mut self) -> bool {
        let try_at = self.failing.as_ref().map(|failing| failing.try_at);
        match self
            .queue
            .take(self.sync_by.into_iter().chain(try_at).min())
        {
            NextWork::Work(work) => self.commit(work),
            NextWork::Timeout => {}
            NextWork::End => return false,
        }
        if self.sync_by.is_some_and(|by| Instant::now() >= by) {
            self.sync_deferred();
        }
        if self
            .failing
            .as_ref()
            .is_some_and(|failing| Instant::now() >= failing.try_at)
        {
            self.replace_engine();
        }
        true
    }

    /// Records a failure: a transient one until the engine is replaced, a permanent one forever.
    fn fail(&mut self, error: &EngineError) {
        match error {
            EngineError::Permanent(reason) => self.health.disable_writing(reason),
            EngineError::Transient(reason) => {
                if self.failing.is_none() {
                    tracing::error!("the disk store cannot write now and will try again: {reason}");
                }
                self.failing = Some(TransientFailure {
                    reason: reason.clone(),
                    try_at: Instant::now(),
                });
            }
        }
    }

    fn replace_engine(&mut self) {
        match self.current.replace() {
            Ok(()) => {
                tracing::warn!("the disk store can write again");
                // The replacement has written and synced all commits.
                (self.failing, self.sync_by) = (None, None);
            }
            Err(EngineError::Transient(reason)) => {
                self.failing = Some(TransientFailure {
                    reason,
                    try_at: Instant::now() + REPLACE_INTERVAL,
                });
            }
            Err(permanent @ EngineError::Permanent(_)) => {
                self.failing = None;
                self.fail(&permanent);
            }
        }
    }

    /// The error for all changes at the moment; `None` if the store can write.
    fn refusal(&self) -> Option<StoreError> {
        let failing = self.failing.as_ref().map(|failing| {
            StoreError::Unwritable(format!(
                "{}. Stored data can be read, and writing is tried again",
                failing.reason
            ))
        });
        self.health.refusal().or(failing)
    }

    fn commit(&mut self, work: Vec<QueuedCommit>) {
        let (work, callbacks): (Vec<_>, Vec<_>) = work
            .into_iter()
            .map(|QueuedCommit { work, done, .. }| (work, done))
            .unzip();
        let health = Arc::clone(&self.health);
        let outcomes = health.run(|| self.outcomes(work));
        let mut outcomes = outcomes.into_iter().flatten();
        for done in callbacks {
            let outcome = outcomes
                .next()
                .unwrap_or_else(|| health.refusal().map_or(Ok(()), Err));
            health.run(|| done(outcome));
        }
    }

    /// Commits the work; returns the outcome of each item, in the same order.
    fn outcomes(&mut self, work: Vec<QueuedWork>) -> Vec<Result<(), StoreError>> {
        let refusal = self.refusal();
        let engine = self.current.get();
        let streams = Arc::clone(&self.streams);
        let mut stage = CommitStage::new(&streams, &mut self.free_space, &mut self.note_sizes);
        let mut outcomes: Vec<_> = work
            .into_iter()
            .map(|work| match (work, &refusal) {
                (QueuedWork::Refused(error), _) => Err(error),
                (_, Some(error)) => Err(error.clone()),
                (QueuedWork::Change(commit), None) => stage.add(commit),
                (QueuedWork::Note(key, value), None) => stage.note(key, value.as_ref()),
            })
            .collect();
        let failed = engine.map_err(CommitFailure::Engine).and_then(|engine| {
            let Some(batch) = stage.batch(&engine) else {
                return Ok(());
            };
            let write = CommitWriter {
                engine: &engine,
                faults: &self.faults,
                counts: &self.counts,
                sync: self.sync,
            };
            write.write(batch)?;
            let by = self.sync.sync_delay().map(|within| Instant::now() + within);
            self.sync_by = self.sync_by.or(by);
            Ok(())
        });
        let failure = match failed {
            Ok(()) => {
                stage.publish(&mut self.latest_pages, &self.sweeps);
                None
            }
            Err(CommitFailure::Busy(reason)) => Some(StoreError::Unwritable(reason)),
            Err(CommitFailure::Engine(error)) => {
                self.fail(&error);
                self.refusal()
            }
        };
        if let Some(failure) = failure {
            // All outcomes fail, because a change may have been refused due to another change of this
            // commit: an append after a deletion, for example.
            outcomes.fill(Err(failure));
        }
        if self.free_space.is_short {
            self.sweeps.request_space();
        }
        outcomes
    }

    /// Performs a deferred sync.
    fn sync_deferred(&mut self) {
        self.sync_by = None;
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        let faults = &self.faults;
        let sync = |engine: Arc<Engine>| {
            faults.pass(FaultPoint::BeforeSync)?;
            engine.sync()?;
            faults.pass(FaultPoint::AfterSync)
        };
        match self.current.get().and_then(sync) {
            Err(EngineError::Permanent(reason)) => {
                self.health.disable_writing(&format!(
                    "{reason}. The last commits may not survive a crash of the machine"
                ));
            }
            Err(transient) if self.failing.is_none() => self.fail(&transient),
            Err(_) | Ok(()) => {}
        }
    }
}

/// Why a commit failed.
enum CommitFailure {
    /// Nothing was written because the engine is behind.
    Busy(String),
    /// The engine failed; it may be unknown whether the commit was written.
    Engine(EngineError),
}

impl From<EngineError> for CommitFailure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Writes and syncs one commit.
struct CommitWriter<'a> {
    engine: &'a Engine,
    faults: &'a Faults,
    counts: &'a StoreCounts,
    sync: SyncMode,
}

impl CommitWriter<'_> {
    fn write(&self, batch: fjall::OwnedWriteBatch) -> Result<(), CommitFailure> {
        self.wait_while_behind()?;
        self.faults.pass(FaultPoint::BeforeWrite)?;
        let number = self.engine.commit(batch)?;
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.faults.pass(FaultPoint::AfterWrite)?;
        if self.sync == SyncMode::Always {
            self.faults.pass(FaultPoint::BeforeSync)?;
            self.engine
                .sync()
                .inspect_err(|_| self.engine.undo(number))?;
            self.counts.syncs.fetch_add(1, Ordering::Relaxed);
            self.faults.pass(FaultPoint::AfterSync)?;
        }
        self.faults.pass(FaultPoint::BeforeDone)?;
        Ok(())
    }

    fn wait_while_behind(&self) -> Result<(), CommitFailure> {
        let begun = Instant::now();
        while self.engine.is_behind() {
            self.engine.check()?;
            if begun.elapsed() > BEHIND_MAX {
                return Err(CommitFailure::Busy(format!(
                    "the disk has been too slow for {} s",
                    BEHIND_MAX.as_secs()
                )));
            }
            std::thread::sleep(BEHIND_INTERVAL);
        }
        Ok(())
    }
}
