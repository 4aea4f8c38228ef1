//! The committer: one thread that takes whatever waits, writes it as one commit, makes it as durable as was promised, and
//! then tells everybody.
//!
//! Changes that arrive while a commit is under way leave together in the next one: under load commits grow by themselves,
//! and a lone writer waits for one sync and nothing else.

use super::super::StoreError;
use super::SyncMode;
use super::engine::{Engine, EngineError};
use super::faults::{Faults, Point};
use super::health::Health;
use super::hot::{Hot, Streams};
use super::queue::{Queue, Taken, Waiting, Wanted};
use super::space::Room;
use super::stage::Stage;
use super::sweep::Sweeps;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a commit waits for an engine that is behind, and how often it looks.
const BEHIND_MAX: Duration = Duration::from_secs(10);
const BEHIND_LOOK: Duration = Duration::from_millis(2);

/// What the committer works with.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) engine: Arc<Engine>,
    pub(super) streams: Arc<Streams>,
    pub(super) queue: Arc<Queue>,
    pub(super) sweeps: Arc<Sweeps>,
    pub(super) counts: Arc<Counts>,
    pub(super) faults: Arc<Faults>,
    pub(super) sync: SyncMode,
    pub(super) hot: Hot,
    pub(super) room: Room,
    /// When what was committed must be durable; `None` when everything is, or need not be.
    pub(super) sync_by: Option<Instant>,
    pub(super) health: Arc<Health>,
}

/// What the store has done since it opened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Commits.
    pub commits: AtomicU64,
    /// Times the system was told to make commits durable.
    pub syncs: AtomicU64,
}

impl Committer {
    /// Commits until the queue is closed and empty; then makes everything durable.
    ///
    /// A panic on the way ends all writing, but not this: whoever waits and whoever comes is told the reason.
    pub(super) fn run(mut self) {
        let health = Arc::clone(&self.health);
        while health.watch(|| self.step()).unwrap_or(true) {}
        if health.refusal().is_none() {
            health.watch(|| {
                self.sync_late();
                self.engine.sync_note();
            });
        }
    }

    /// Waits for something to do and does it; `false` when nothing will come any more.
    fn step(&mut self) -> bool {
        match self.queue.take(self.sync_by) {
            Taken::Work(work) => self.turn(work),
            Taken::Nothing => {}
            Taken::End => return false,
        }
        if self.sync_by.is_some_and(|by| Instant::now() >= by) {
            self.sync_late();
        }
        true
    }

    fn turn(&mut self, work: Vec<Waiting>) {
        let (wanted, waiting): (Vec<_>, Vec<_>) =
            work.into_iter().map(|Waiting { wanted, done, .. }| (wanted, done)).unzip();
        let health = Arc::clone(&self.health);
        let outcomes = health.watch(|| self.outcomes(wanted));
        let mut outcomes = outcomes.into_iter().flatten();
        for done in waiting {
            let outcome = outcomes.next().unwrap_or_else(|| health.refusal().map_or(Ok(()), Err));
            health.watch(|| done(outcome));
        }
    }

    /// Commits what is wanted, as far as it is allowed; what becomes of each, in the same order.
    fn outcomes(&mut self, work: Vec<Wanted>) -> Vec<Result<(), StoreError>> {
        let mut stage = Stage::new(&self.streams, &mut self.room);
        let mut outcomes: Vec<_> = work
            .into_iter()
            .map(|wanted| match (wanted, self.health.refusal()) {
                (Wanted::Refused(error), _) | (_, Some(error)) => Err(error),
                (Wanted::Change(commit), None) => stage.add(commit),
                (Wanted::Note(key, value), None) => stage.note(key, value.as_ref()),
            })
            .collect();
        let failure = stage.batch(&self.engine).and_then(|batch| {
            let write = Write { engine: &self.engine, faults: &self.faults, counts: &self.counts, sync: self.sync };
            match write.write(batch) {
                Ok(()) => {
                    let by = self.sync.promised_within().map(|within| Instant::now() + within);
                    self.sync_by = self.sync_by.or(by);
                    None
                }
                Err(Failed::Busy(reason)) => Some(StoreError::Unwritable(reason)),
                Err(Failed::Broken(error)) => {
                    self.health.end_writing(&error.to_string());
                    self.health.refusal()
                }
            }
        });
        match failure {
            None => stage.publish(&mut self.hot, &self.sweeps),
            Some(failure) => {
                for outcome in &mut outcomes {
                    *outcome = outcome.clone().and(Err(failure.clone()));
                }
            }
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
        let synced = self.faults.pass(Point::BeforeSync).and_then(|()| self.engine.sync());
        if let Err(error) = synced.and_then(|()| self.faults.pass(Point::AfterSync)) {
            self.health.end_writing(&format!("{error}. The last commits may not outlive this machine"));
        }
    }
}

/// Why a commit failed.
enum Failed {
    /// Nothing was written; later it may go better.
    Busy(String),
    /// Nobody knows what was written.
    Broken(EngineError),
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Self::Broken(error)
    }
}

/// The writing of one commit.
struct Write<'a> {
    engine: &'a Engine,
    faults: &'a Faults,
    counts: &'a Counts,
    sync: SyncMode,
}

impl Write<'_> {
    fn write(&self, batch: fjall::OwnedWriteBatch) -> Result<(), Failed> {
        self.wait_while_behind()?;
        self.faults.pass(Point::BeforeWrite)?;
        self.engine.commit(batch)?;
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        self.faults.pass(Point::AfterWrite)?;
        if self.sync == SyncMode::Always {
            self.faults.pass(Point::BeforeSync)?;
            self.engine.sync()?;
            self.counts.syncs.fetch_add(1, Ordering::Relaxed);
            self.faults.pass(Point::AfterSync)?;
        }
        self.faults.pass(Point::BeforeDone)?;
        Ok(())
    }

    fn wait_while_behind(&self) -> Result<(), Failed> {
        let begun = Instant::now();
        while self.engine.is_behind() {
            self.engine.check()?;
            if begun.elapsed() > BEHIND_MAX {
                return Err(Failed::Busy(format!("its disk has been behind for {} s", BEHIND_MAX.as_secs())));
            }
            std::thread::sleep(BEHIND_LOOK);
        }
        Ok(())
    }
}
