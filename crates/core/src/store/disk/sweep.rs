//! The sweeper: removes from disk what was deleted or trimmed, in pieces, while changes go on; an opening finishes what a
//! stop left.

use super::super::StreamId;
use super::codec::{self, Fact, Space};
use super::current::Current;
use super::engine::{Engine, EngineError};
use super::faults::{Faults, Point};
use super::latest_pages::DiskStreams;
use super::space;
use fjall::Guard;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tailwater_protocol::Offset;

/// Removals in one piece.
const PIECE: usize = 1_000;
/// How long a sweep rests when the engine is behind.
const REST: Duration = Duration::from_millis(20);
/// How long a sweep waits whose engine can't write now.
const POSTPONED: Duration = Duration::from_secs(1);
/// Bytes of a stream from which on whole tables may lie within it.
const TABLES_BYTES_MIN: u64 = 16 << 20;
/// How often giving back is tried at most: writers ask for room again and again.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(2);
/// How long giving back waits for tables to be written.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// Something to be removed from disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) stream: StreamId,
    /// What ends at or before this position goes.
    pub(super) before: Offset,
    /// The whole stream was deleted: everything that is known of it goes, too.
    pub(super) is_gone: bool,
    /// Nothing of it was removed one by one yet, so that whole tables may go at once.
    pub(super) may_drop_tables: bool,
}

/// Sweeps that wait for the sweeper, one a stream.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    wanted: Mutex<PendingSweeps>,
    arrived: Condvar,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct PendingSweeps {
    sweeps: BTreeMap<StreamId, Sweep>,
    /// Somebody found no room on the medium.
    room: bool,
}

/// What the sweeper does next.
#[derive(Clone, Copy)]
enum NextSweep {
    Sweep(Sweep),
    /// Give back to the medium what was swept.
    GiveBack,
    End,
}

impl Sweeps {
    pub(super) fn want(&self, sweep: Sweep) {
        self.lock().sweeps.insert(sweep.stream, sweep);
        self.arrived.notify_one();
    }

    /// Asks for what was swept to be given back to the medium.
    pub(super) fn want_room(&self) {
        self.lock().room = true;
        self.arrived.notify_one();
    }

    /// Ends the sweeper after the piece under way.
    pub(super) fn close(&self) {
        let wanted = self.lock();
        self.is_over.store(true, Ordering::Release);
        drop(wanted);
        self.arrived.notify_one();
    }

    /// Puts off what could not be done now; returns after a while, or when the store closes.
    fn postpone(&self, next: NextSweep) {
        let mut wanted = self.lock();
        match next {
            NextSweep::Sweep(sweep) => drop(wanted.sweeps.entry(sweep.stream).or_insert(sweep)),
            NextSweep::GiveBack => wanted.room = true,
            NextSweep::End => {}
        }
        let begun = Instant::now();
        while let Some(left) = POSTPONED
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

    /// - `has_swept`: whether there is something to be given back.
    fn next(&self, has_swept: bool) -> NextSweep {
        let mut wanted = self.lock();
        loop {
            if self.is_over() {
                return NextSweep::End;
            }
            if let Some((_, sweep)) = wanted.sweeps.pop_first() {
                return NextSweep::Sweep(sweep);
            }
            if std::mem::take(&mut wanted.room) && has_swept {
                return NextSweep::GiveBack;
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

/// Sweeps until the end of the store.
///
/// - `directory`: on the medium, to ask how much of it is free.
pub(super) fn run(
    current: &Current,
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
        let mut sweeping = Sweeping {
            engine: &engine,
            streams,
            sweeps,
            faults,
            has_swept,
        };
        match next {
            NextSweep::End => return,
            NextSweep::Sweep(sweep) => {
                let swept = sweeping.sweep(sweep);
                has_swept = sweeping.has_swept;
                drop(engine);
                let was_failing = std::mem::replace(&mut is_failing, swept.is_err());
                match swept {
                    Ok(()) => {}
                    Err(EngineError::Passing(reason)) => {
                        if !was_failing {
                            tracing::warn!("sweeping away what was deleted waits: {reason}");
                        }
                        sweeps.postpone(NextSweep::Sweep(Sweep {
                            may_drop_tables: false,
                            ..sweep
                        }));
                    }
                    Err(EngineError::Lasting(reason)) => {
                        let id = sweep.stream.0;
                        tracing::warn!(
                            "sweeping away what was deleted of stream {id} broke off: {reason}; the next start goes on"
                        );
                    }
                }
            }
            NextSweep::GiveBack
                if tried.is_some_and(|tried: Instant| tried.elapsed() < GIVE_BACK_EVERY) => {}
            NextSweep::GiveBack => {
                tried = Some(Instant::now());
                if let Err(reason) = sweeping.give_back(directory) {
                    tracing::warn!(
                        "what was deleted can't be given back to the disk yet: {reason}"
                    );
                }
                has_swept = sweeping.has_swept;
            }
        }
    }
}

struct Sweeping<'a> {
    engine: &'a Engine,
    streams: &'a DiskStreams,
    sweeps: &'a Sweeps,
    faults: &'a Faults,
    /// Something was swept that may not have been given back to the medium yet.
    has_swept: bool,
}

impl Sweeping<'_> {
    /// Writes and merges what there is, so that the files that hold what was swept can go.
    fn give_back(&mut self, directory: &Path) -> Result<(), EngineError> {
        let begun = Instant::now();
        self.engine.flush()?;
        while self.engine.is_flushing() && begun.elapsed() < FLUSH_MAX && !self.sweeps.is_over() {
            self.engine.check()?;
            std::thread::sleep(REST);
        }
        let (_, free) = space::ask_system(directory)
            .map_err(|reason| EngineError::Passing(reason.to_string()))?;
        let before = self.engine.disk_bytes();
        if self.engine.merge(free)? {
            self.engine.drop_old_files()?;
            self.has_swept = false;
            let (after, took) = (self.engine.disk_bytes(), begun.elapsed().as_millis());
            tracing::info!(
                "what was deleted was merged away in {took} ms: {before} bytes of disk became {after}"
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
            // Only what will stay deleted may go for good.
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
            return self.facts(stream, drops_tables);
        }
        let key = codec::fact_key(stream, &Fact::Swept);
        let value = codec::seal(Space::Facts, &key, |out| codec::put_offset(out, before));
        let mut batch = self.engine.batch();
        batch.insert(&self.engine.facts, key, value);
        self.engine.commit(batch).map(drop)
    }

    /// The first position of the append in which `before` lies.
    fn first_kept(&self, stream: StreamId, before: Offset) -> Result<Offset, EngineError> {
        let first = self
            .engine
            .first_at(stream, before)
            .map_err(|error| EngineError::Lasting(error.to_string()))?;
        Ok(first.unwrap_or(before))
    }

    /// Removes appends; `false` when the store closed meanwhile.
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
            while batch.len() < PIECE
                && let Some(key) = keys.next().transpose()?
            {
                // The last one before the position may reach beyond it: then it stays until more is trimmed.
                if is_gone || keys.peek().is_some() || self.ends_by(stream, before, &key) {
                    batch.remove(&self.engine.data, key);
                }
            }
            if batch.is_empty() {
                return Ok(true);
            }
            self.has_swept = true;
            self.engine.commit(batch)?;
            self.faults.pass(Point::InSweep)?;
            if !self.rest()? {
                return Ok(false);
            }
        }
    }

    /// Whether the last append that begins at or before `before` also ends there.
    fn ends_by(&self, stream: StreamId, before: Offset, key: &[u8]) -> bool {
        let begins_before = codec::read_data_key(key).is_ok_and(|(_, at)| at < before);
        begins_before
            && self
                .streams
                .find(stream)
                .is_ok_and(|stream| stream.kept().end() <= before)
    }

    /// Removes what is known of a deleted stream, the mark of its deletion last.
    ///
    /// - `keeps_mark`: until the next opening looks again. Where whole tables went, a crash can bring appends back from the
    ///   journal, whose copies in tables are what tells the engine that it need not read them there.
    fn facts(&self, stream: StreamId, keeps_mark: bool) -> Result<(), EngineError> {
        let mark = codec::fact_key(stream, &Fact::Gone);
        let mut keys = self
            .engine
            .facts
            .prefix(stream.0.to_be_bytes())
            .map(Guard::key);
        loop {
            let mut batch = self.engine.batch();
            while batch.len() < PIECE
                && let Some(key) = keys.next().transpose()?
            {
                if !(keeps_mark && *key == mark[..]) {
                    batch.remove(&self.engine.facts, key);
                }
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.engine.commit(batch)?;
            if !self.rest()? {
                return Ok(());
            }
        }
    }

    /// Waits while the engine is behind; `false` when the store closed meanwhile.
    fn rest(&self) -> Result<bool, EngineError> {
        while self.engine.is_behind() && !self.sweeps.is_over() {
            self.engine.check()?;
            std::thread::sleep(REST);
        }
        Ok(!self.sweeps.is_over())
    }
}
