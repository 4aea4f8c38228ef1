//! The committer: one thread that takes whatever waits, writes it as one commit, makes it as durable as was promised, and
//! then tells everybody.
//!
//! Changes that arrive while a commit is under way leave together in the next one: under load commits grow by themselves,
//! and a lone writer waits for one sync and nothing else.

use super::super::StoreError;
use super::super::notes::NoteSizes;
use super::SyncMode;
use super::current::Current;
use super::engine::{Engine, EngineError};
use super::faults::{Faults, Point};
use super::health::Health;
use super::latest_pages::{DiskStreams, LatestPages};
use super::queue::{NextWork, Queue, QueuedCommit, QueuedWork};
use super::space::Room;
use super::stage::CommitStage;
use super::sweep::Sweeps;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a commit waits for an engine that is behind, and how often it looks.
const BEHIND_MAX: Duration = Duration::from_secs(10);
const BEHIND_LOOK: Duration = Duration::from_millis(2);
/// How often an engine that failed is replaced, or that is tried.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

/// What the committer works with.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) current: Arc<Current>,
    pub(super) streams: Arc<DiskStreams>,
    pub(super) queue: Arc<Queue>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) counts: Arc<StoreCounts>,
    pub(super) faults: Arc<Faults>,
    pub(super) sync: SyncMode,
    pub(super) latest_pages: LatestPages,
    pub(super) room: Room,
    pub(super) note_sizes: NoteSizes,
    /// When what was committed must be durable; `None` when everything is, or need not be.
    pub(super) sync_by: Option<Instant>,
    pub(super) health: Arc<Health>,
    /// Why nothing can be written until the engine has been replaced.
    pub(super) failing: Option<TransientFailure>,
}

/// A failure that may pass.
#[derive(Debug)]
pub(super) struct TransientFailure {
    reason: String,
    /// When the engine is replaced, or that is tried again.
    try_at: Instant,
}

/// What the store has done since it opened.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// Commits.
    pub commits: AtomicU64,
    /// Times the system was told to make commits durable.
    pub syncs: AtomicU64,
}

impl Committer {
    /// Commits until the queue is closed and empty; then makes everything durable.
    ///
    /// A panic ends all writing, but not this thread: all queued and later work is refused with the reason.
    pub(super) fn run(mut self) {
        let health = Arc::clone(&self.health);
        while health.watch(|| self.step()).unwrap_or(true) {}
        if health.refusal().is_none() {
            health.watch(|| self.sync_late());
            if let Ok(engine) = self.current.get() {
                engine.sync_note();
            }
        }
    }

    /// Waits for something to do and does it; `false` when nothing will come any more.
    fn step(&mut self) -> bool {
        let try_at = self.failing.as_ref().map(|failing| failing.try_at);
        match self
            .queue
            .take(self.sync_by.into_iter().chain(try_at).min())
        {
            NextWork::Work(work) => self.commit(work),
            NextWork::Nothing => {}
            NextWork::End => return false,
        }
        if self.sync_by.is_some_and(|by| Instant::now() >= by) {
            self.sync_late();
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

    /// Takes note of a failure: of one that passes, until it has.
    fn fail(&mut self, error: &EngineError) {
        match error {
            EngineError::Lasting(reason) => self.health.end_writing(reason),
            EngineError::Passing(reason) => {
                if self.failing.is_none() {
                    tracing::error!("the disk store can't write now, and will try again: {reason}");
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
                tracing::warn!("the disk store writes again");
                // What it held was written anew and synced.
                (self.failing, self.sync_by) = (None, None);
            }
            Err(EngineError::Passing(reason)) => {
                self.failing = Some(TransientFailure {
                    reason,
                    try_at: Instant::now() + REPLACE_EVERY,
                });
            }
            Err(lasting @ EngineError::Lasting(_)) => {
                self.failing = None;
                self.fail(&lasting);
            }
        }
    }

    /// Why nothing can be written at this moment; `None` when it can.
    fn refusal(&self) -> Option<StoreError> {
        let failing = self.failing.as_ref().map(|failing| {
            StoreError::Unwritable(format!(
                "{}. What is there can be read, and writing is tried again",
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
        let outcomes = health.watch(|| self.outcomes(work));
        let mut outcomes = outcomes.into_iter().flatten();
        for done in callbacks {
            let outcome = outcomes
                .next()
                .unwrap_or_else(|| health.refusal().map_or(Ok(()), Err));
            health.watch(|| done(outcome));
        }
    }

    /// Commits the work that is not refused; returns the outcome of each, in the same order.
    fn outcomes(&mut self, work: Vec<QueuedWork>) -> Vec<Result<(), StoreError>> {
        let refusal = self.refusal();
        let engine = self.current.get();
        let streams = Arc::clone(&self.streams);
        let mut stage = CommitStage::new(&streams, &mut self.room, &mut self.note_sizes);
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
            let by = self
                .sync
                .promised_within()
                .map(|within| Instant::now() + within);
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
            // What was refused may rest on what the same commit would have done, a deletion before an append.
            outcomes.fill(Err(failure));
        }
        if self.room.is_short {
            self.sweeps.want_room();
        }
        outcomes
    }

    /// Makes durable what was promised to be so later.
    fn sync_late(&mut self) {
        self.sync_by = None;
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        let faults = &self.faults;
        let sync = |engine: Arc<Engine>| {
            faults.pass(Point::BeforeSync)?;
            engine.sync()?;
            faults.pass(Point::AfterSync)
        };
        match self.current.get().and_then(sync) {
            Err(EngineError::Lasting(reason)) => {
                self.health.end_writing(&format!(
                    "{reason}. The last commits may not outlive this machine"
                ));
            }
            Err(passing) if self.failing.is_none() => self.fail(&passing),
            Err(_) | Ok(()) => {}
        }
    }
}

/// Why a commit failed.
enum CommitFailure {
    /// Nothing was written; later it may go better.
    Busy(String),
    /// It was not written, or it is unknown whether it was.
    Engine(EngineError),
}

impl From<EngineError> for CommitFailure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// The writing of one commit.
struct CommitWriter<'a> {
    engine: &'a Engine,
    faults: &'a Faults,
    counts: &'a StoreCounts,
    sync: SyncMode,
}

impl CommitWriter<'_> {
    fn write(&self, batch: fjall::OwnedWriteBatch) -> Result<(), CommitFailure> {
        self.wait_while_behind()?;
        self.faults.pass(Point::BeforeWrite)?;
        let number = self.engine.commit(batch)?;
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.faults.pass(Point::AfterWrite)?;
        if self.sync == SyncMode::Always {
            self.faults.pass(Point::BeforeSync)?;
            self.engine
                .sync()
                .inspect_err(|_| self.engine.undo(number))?;
            self.counts.syncs.fetch_add(1, Ordering::Relaxed);
            self.faults.pass(Point::AfterSync)?;
        }
        self.faults.pass(Point::BeforeDone)?;
        Ok(())
    }

    fn wait_while_behind(&self) -> Result<(), CommitFailure> {
        let begun = Instant::now();
        while self.engine.is_behind() {
            self.engine.check()?;
            if begun.elapsed() > BEHIND_MAX {
                return Err(CommitFailure::Busy(format!(
                    "its disk has been behind for {} s",
                    BEHIND_MAX.as_secs()
                )));
            }
            std::thread::sleep(BEHIND_LOOK);
        }
        Ok(())
    }
}
