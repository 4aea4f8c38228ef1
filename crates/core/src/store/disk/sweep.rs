//! The sweeper: removes deleted and trimmed data from disk in the background, in small batches. Unfinished sweeps are
//! resumed when the store is opened.

use super::super::StreamId;
use super::codec::{self, MetadataKind, Space};
use super::current::CurrentEngine;
use super::engine::{Engine, EngineError};
use super::faults::{FaultPoint, Faults};
use super::latest_pages::DiskStreams;
use super::space;
use fjall::Guard;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tailwater_protocol::Offset;

/// The maximum number of removals in one batch.
const BATCH_LEN: usize = 1_000;
/// The pause of a sweep while the engine is behind.
const PAUSE: Duration = Duration::from_millis(20);
/// The delay before a failed sweep is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The number of bytes to remove from which it is worthwhile to drop whole tables.
const TABLES_BYTES_MIN: u64 = 16 << 20;
/// The minimum interval between two attempts to reclaim space.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(2);
/// The maximum time that reclaiming space waits for tables to be written.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// A range of a stream to be removed from disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) stream: StreamId,
    /// Appends that end at or before this position are removed.
    pub(super) before: Offset,
    /// Whether the stream was deleted, so that its metadata are removed as well.
    pub(super) is_gone: bool,
    /// Whether whole tables may be dropped: no appends of the range were removed individually before.
    pub(super) may_drop_tables: bool,
}

/// The pending sweeps, at most one per stream.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    wanted: Mutex<PendingSweeps>,
    arrived: Condvar,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct PendingSweeps {
    sweeps: BTreeMap<StreamId, Sweep>,
    /// Whether a change was refused for lack of space.
    needs_space: bool,
}

/// The next task of the sweeper.
#[derive(Clone, Copy)]
enum NextSweep {
    Sweep(Sweep),
    /// Reclaim the disk space of removed data.
    Reclaim,
    End,
}

impl Sweeps {
    /// Requests a sweep.
    pub(super) fn request(&self, sweep: Sweep) {
        self.lock().sweeps.insert(sweep.stream, sweep);
        self.arrived.notify_one();
    }

    /// Requests that the disk space of removed data is reclaimed.
    pub(super) fn request_space(&self) {
        self.lock().needs_space = true;
        self.arrived.notify_one();
    }

    /// Stops the sweeper after the current batch.
    pub(super) fn close(&self) {
        let wanted = self.lock();
        self.is_over.store(true, Ordering::Release);
        drop(wanted);
        self.arrived.notify_one();
    }

    /// Queues a failed task again, and waits until it may be tried again or the store closes.
    fn postpone(&self, next: NextSweep) {
        let mut wanted = self.lock();
        match next {
            NextSweep::Sweep(sweep) => drop(wanted.sweeps.entry(sweep.stream).or_insert(sweep)),
            NextSweep::Reclaim => wanted.needs_space = true,
            NextSweep::End => {}
        }
        let begun = Instant::now();
        while let Some(left) = RETRY_DELAY
            .checked_sub(begun.elapsed())
            .filter(|_| !self.is_over())
        {
            wanted = self
                .arrived
                .wait_timeout(wanted, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Waits for the next task.
    ///
    /// - `has_swept`: whether there is space to reclaim.
    fn next(&self, has_swept: bool) -> NextSweep {
        let mut wanted = self.lock();
        loop {
            if self.is_over() {
                return NextSweep::End;
            }
            if let Some((_, sweep)) = wanted.sweeps.pop_first() {
                return NextSweep::Sweep(sweep);
            }
            if std::mem::take(&mut wanted.needs_space) && has_swept {
                return NextSweep::Reclaim;
            }
            wanted = self
                .arrived
                .wait(wanted)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, PendingSweeps> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs sweeps until the store closes.
///
/// - `directory`: a path on the file system, to query its free space.
pub(super) fn run(
    current: &CurrentEngine,
    streams: &DiskStreams,
    sweeps: &Sweeps,
    faults: &Faults,
    directory: &Path,
) {
    let (mut has_swept, mut tried, mut is_failing) = (false, None, false);
    loop {
        let next = sweeps.next(has_swept);
        let engine = match current.get() {
            _ if matches!(next, NextSweep::End) => return,
            Ok(engine) => engine,
            Err(_) => {
                sweeps.postpone(next);
                continue;
            }
        };
        let mut run = SweepRun {
            engine: &engine,
            streams,
            sweeps,
            faults,
            has_swept,
        };
        match next {
            NextSweep::End => return,
            NextSweep::Sweep(sweep) => {
                let swept = run.sweep(sweep);
                has_swept = run.has_swept;
                drop(engine);
                let was_failing = std::mem::replace(&mut is_failing, swept.is_err());
                match swept {
                    Ok(()) => {}
                    Err(EngineError::Transient(reason)) => {
                        if !was_failing {
                            tracing::warn!("the removal of deleted data is delayed: {reason}");
                        }
                        sweeps.postpone(NextSweep::Sweep(Sweep {
                            may_drop_tables: false,
                            ..sweep
                        }));
                    }
                    Err(EngineError::Permanent(reason)) => {
                        let id = sweep.stream.0;
                        tracing::warn!(
                            "the removal of deleted data of stream {id} failed: {reason}; the next start resumes it"
                        );
                    }
                }
            }
            NextSweep::Reclaim
                if tried.is_some_and(|tried: Instant| tried.elapsed() < RECLAIM_INTERVAL) => {}
            NextSweep::Reclaim => {
                tried = Some(Instant::now());
                if let Err(reason) = run.reclaim(directory) {
                    tracing::warn!("the space of deleted data cannot be reclaimed yet: {reason}");
                }
                has_swept = run.has_swept;
            }
        }
    }
}

/// One task of the sweeper.
struct SweepRun<'a> {
    engine: &'a Engine,
    streams: &'a DiskStreams,
    sweeps: &'a Sweeps,
    faults: &'a Faults,
    /// Whether data was removed whose disk space may not have been reclaimed yet.
    has_swept: bool,
}

impl SweepRun<'_> {
    /// Flushes and merges all data, so that the files that contain removed data can be deleted.
    fn reclaim(&mut self, directory: &Path) -> Result<(), EngineError> {
        let begun = Instant::now();
        self.engine.flush()?;
        while self.engine.is_flushing() && begun.elapsed() < FLUSH_MAX && !self.sweeps.is_over() {
            self.engine.check()?;
            std::thread::sleep(PAUSE);
        }
        let (_, free) = space::file_system_space(directory)
            .map_err(|reason| EngineError::Transient(reason.to_string()))?;
        let before = self.engine.disk_bytes();
        if self.engine.merge(free)? {
            self.engine.drop_old_files()?;
            self.has_swept = false;
            let (after, took) = (self.engine.disk_bytes(), begun.elapsed().as_millis());
            tracing::info!(
                "the space of deleted data was reclaimed in {took} ms: {before} bytes of disk became {after}"
            );
        }
        Ok(())
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<(), EngineError> {
        let Sweep {
            stream,
            before,
            is_gone,
            may_drop_tables,
        } = sweep;
        let drops_tables = may_drop_tables && before.bytes() >= TABLES_BYTES_MIN;
        if drops_tables {
            // Tables are dropped immediately, so the deletion itself must be durable first.
            self.engine.sync()?;
            let whole = if is_gone {
                Offset::MAX
            } else {
                self.first_kept(stream, before)?
            };
            self.engine.drop_tables(stream, whole)?;
            self.engine.drop_old_files()?;
        }
        if !self.records(sweep)? {
            return Ok(());
        }
        if is_gone {
            return self.metadata(stream, drops_tables);
        }
        let key = codec::metadata_key(stream, &MetadataKind::Swept);
        let value = codec::seal(Space::Metadata, &key, |out| codec::put_offset(out, before));
        let mut batch = self.engine.batch();
        batch.insert(&self.engine.metadata, key, value);
        self.engine.commit(batch).map(drop)
    }

    /// The start of the stored append that contains `before`.
    fn first_kept(&self, stream: StreamId, before: Offset) -> Result<Offset, EngineError> {
        let first = self
            .engine
            .first_at(stream, before)
            .map_err(|error| EngineError::Permanent(error.to_string()))?;
        Ok(first.unwrap_or(before))
    }

    /// Removes appends; `false` if the store closed meanwhile.
    fn records(
        &mut self,
        Sweep {
            stream,
            before,
            is_gone,
            ..
        }: Sweep,
    ) -> Result<bool, EngineError> {
        let end = codec::data_key(stream, if is_gone { Offset::MAX } else { before });
        let keys = self
            .engine
            .data
            .range(codec::data_key(stream, Offset::ZERO)..=end)
            .map(Guard::key);
        let mut keys = keys.peekable();
        loop {
            let mut batch = self.engine.batch();
            while batch.len() < BATCH_LEN
                && let Some(key) = keys.next().transpose()?
            {
                // The last append may extend beyond the position; then it is retained.
                if is_gone || keys.peek().is_some() || self.ends_by(stream, before, &key) {
                    batch.remove(&self.engine.data, key);
                }
            }
            if batch.is_empty() {
                return Ok(true);
            }
            self.has_swept = true;
            self.engine.commit(batch)?;
            self.faults.pass(FaultPoint::InSweep)?;
            if !self.throttle()? {
                return Ok(false);
            }
        }
    }

    /// Whether the last append that starts before `before` also ends there.
    fn ends_by(&self, stream: StreamId, before: Offset, key: &[u8]) -> bool {
        let begins_before = codec::read_data_key(key).is_ok_and(|(_, at)| at < before);
        begins_before
            && self
                .streams
                .find(stream)
                .is_ok_and(|stream| stream.kept().end() <= before)
    }

    /// Removes the metadata of a deleted stream, the record of its deletion last.
    ///
    /// - `keeps_mark`: whether to retain the record of the deletion until the next start, which sweeps
    ///   the stream again. This is needed after whole tables were dropped: after a crash, the engine can
    ///   recover appends from the journal that it would skip if their tables existed.
    fn metadata(&self, stream: StreamId, keeps_mark: bool) -> Result<(), EngineError> {
        let mark = codec::metadata_key(stream, &MetadataKind::Gone);
        let mut keys = self
            .engine
            .metadata
            .prefix(stream.0.to_be_bytes())
            .map(Guard::key);
        loop {
            let mut batch = self.engine.batch();
            while batch.len() < BATCH_LEN
                && let Some(key) = keys.next().transpose()?
            {
                if !(keeps_mark && *key == mark[..]) {
                    batch.remove(&self.engine.metadata, key);
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.engine.commit(batch)?;
            if !self.throttle()? {
                return Ok(());
            }
        }
    }

    /// Waits while the engine is behind; `false` if the store closed meanwhile.
    fn throttle(&self) -> Result<bool, EngineError> {
        while self.engine.is_behind() && !self.sweeps.is_over() {
            self.engine.check()?;
            std::thread::sleep(PAUSE);
        }
        Ok(!self.sweeps.is_over())
    }
}
