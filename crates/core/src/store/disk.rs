//! The store that keeps streams on disk: what it acknowledged survives the process and, synced, the machine.
//!
//! | file | what |
//! | --- | --- |
//! | `disk/open.rs` | the directory: whose it is, its lock, its version, its making |
//! | `disk/journal.rs`, `disk/tables.rs` | look the engine's files over before the engine reads them |
//! | `disk/synced.rs` | how far the journal is known to be on the medium |
//! | `disk/recover.rs` | what is known of every stream when the store opens |
//! | `disk/queue.rs`, `disk/commit.rs`, `disk/stage.rs` | group commit: what waits, who writes it, one commit in the making |
//! | `disk/latest_pages.rs`, `disk/read_cache.rs` | where streams stand, and the latest appends in memory; older ones that were just read |
//! | `disk/sweep.rs` | removes what was deleted or trimmed, in the background |
//! | `disk/space.rs` | room on the medium |
//! | `disk/codec.rs`, `disk/engine.rs` | what keys and values look like, and the engine that keeps them |
//! | `disk/health.rs` | whether it can still write; a panic ends that with a reason |
//! | `disk/current.rs` | the engine in use, replaced after a failure that passes |
//! | `disk/faults.rs` | faults on request, for tests |
//!
//! One commit holds the messages, the marks that later appends are checked against, closure, creation and deletion. It is
//! written, made durable, published in memory and told, in this order; so nothing can be read that a crash could take back
//! (with [`SyncMode::Always`]), and nothing is acknowledged that is not there.

mod codec;
mod commit;
mod current;
mod engine;
mod faults;
mod files;
mod health;
mod journal;
mod latest_pages;
mod open;
mod queue;
mod read_cache;
mod recover;
mod space;
mod stage;
mod sweep;
mod synced;
mod tables;
#[cfg(test)]
mod tests;

pub use commit::StoreCounts;
pub use open::DiskOpenError;

use super::notes::NoteSizes;
use super::page::{SealedPage, distance, nanos, page};
use super::{
    Commit, CommitCallback, Cut, Listing, Reading, Recovery, Seeking, Store, StoreError,
    StoreUsage, StreamId,
};
use bytes::Bytes;
use commit::Committer;
use current::Current;
use engine::Engine;
use faults::Faults;
use futures_util::FutureExt;
use futures_util::future::lazy;
use health::Health;
use latest_pages::{DiskStream, DiskStreams, LatestPages, MemoryLookup};
use open::Directory;
use queue::{Queue, QueuedWork};
use read_cache::ReadCache;
use space::Room;
use std::future::{Future, ready};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use sweep::Sweeps;
use tailwater_protocol::Offset;

/// When a change counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged or can be read. Nothing acknowledged is ever lost, but with the medium itself.
    Always,
    /// So long after it was acknowledged, at most. A crash of the process loses nothing, one of the machine up to this much.
    Within(Duration),
    /// When the system sees fit. A crash of the process loses nothing, one of the machine what was not written yet.
    Never,
}

impl SyncMode {
    fn promised_within(self) -> Option<Duration> {
        match self {
            Self::Within(within) => Some(within),
            Self::Always | Self::Never => None,
        }
    }
}

/// How a disk store is opened.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// When a change counts as durable.
    pub sync: SyncMode,
    /// Bytes of the latest appends kept in memory, of all streams together.
    pub hot_max: u64,
    /// Bytes of the medium left free; beyond it appends fail with [`StoreError::Full`].
    pub reserve: u64,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            sync: SyncMode::Always,
            hot_max: 256 << 20,
            reserve: 256 << 20,
        }
    }
}

/// Streams on disk.
#[derive(Debug)]
pub struct DiskStore {
    current: Arc<Current>,
    streams: Arc<DiskStreams>,
    read_cache: Arc<ReadCache>,
    queue: Arc<Queue>,
    sweeps: Arc<Sweeps>,
    counts: Arc<StoreCounts>,
    /// Bytes of the medium that are left free.
    reserve: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for life; the last to go.
    directory: Arc<Directory>,
}

impl DiskStore {
    /// Opens the store in `directory`, which is made when it is missing, and tells what it holds.
    ///
    /// # Errors
    /// All of [`DiskOpenError`]; then nothing in the directory was changed, but for a journal's unfinished end that was cut off.
    pub fn open(
        directory: &Path,
        options: &DiskOptions,
    ) -> Result<(Self, Recovery), DiskOpenError> {
        Self::open_with(directory, options, Faults::from_environment())
    }

    fn open_with(
        directory: &Path,
        options: &DiskOptions,
        faults: Faults,
    ) -> Result<(Self, Recovery), DiskOpenError> {
        let begun = Instant::now();
        let directory = Arc::new(Directory::take(directory)?);
        let engine = directory.engine(None)?;
        let found = recover::recover(&engine).map_err(|error| directory.damaged(&error))?;
        tracing::info!(
            "{} holds {} streams in {} bytes of disk; {} deletions to finish; opened in {} ms",
            directory.path().display(),
            found.recovery.streams.len(),
            engine.disk_bytes(),
            found.sweeps.len(),
            begun.elapsed().as_millis(),
        );
        let streams = Arc::new(DiskStreams::default());
        for stream in &found.recovery.streams {
            let state = codec::StateFact {
                closed: stream.closed.clone(),
                hidden: stream.hidden,
                earliest: stream.earliest,
            };
            streams.insert(Arc::new(DiskStream::new(stream.stream, stream.next, state)));
        }
        let sweeps = Arc::<Sweeps>::default();
        found
            .sweeps
            .into_iter()
            .for_each(|sweep| sweeps.want(sweep));
        let store = Self {
            read_cache: Arc::default(),
            queue: Arc::default(),
            counts: Arc::default(),
            reserve: options.reserve,
            threads: Mutex::default(),
            current: Arc::new(Current::new(Arc::clone(&directory), engine)),
            streams,
            sweeps,
            directory,
        };
        let note_sizes = NoteSizes::of(&found.recovery.notes);
        store.start(options, Arc::new(faults), note_sizes)?;
        Ok((store, found.recovery))
    }

    fn start(
        &self,
        options: &DiskOptions,
        faults: Arc<Faults>,
        note_sizes: NoteSizes,
    ) -> Result<(), DiskOpenError> {
        let health = Arc::<Health>::default();
        let committer = Committer {
            current: Arc::clone(&self.current),
            streams: Arc::clone(&self.streams),
            queue: Arc::clone(&self.queue),
            sweeps: Arc::clone(&self.sweeps),
            counts: Arc::clone(&self.counts),
            faults: Arc::clone(&faults),
            sync: options.sync,
            latest_pages: LatestPages::new(options.hot_max),
            room: Room::new(self.directory.path(), options.reserve),
            note_sizes,
            sync_by: None,
            health: Arc::clone(&health),
            failing: None,
        };
        let (current, streams, sweeps) = (
            Arc::clone(&self.current),
            Arc::clone(&self.streams),
            Arc::clone(&self.sweeps),
        );
        let path = self.directory.path().to_owned();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        threads.push(
            named("committer")
                .spawn(move || committer.run())
                .map_err(DiskOpenError::Thread)?,
        );
        let sweeper = named("sweeper").spawn(move || {
            health.watch(|| sweep::run(&current, &streams, &sweeps, &faults, &path));
        });
        threads.push(sweeper.map_err(DiskOpenError::Thread)?);
        Ok(())
    }

    /// Whether nobody but its owner can read what a data directory holds; one that is not there yet will be so.
    ///
    /// # Errors
    /// [`DiskOpenError::Exposed`], and [`DiskOpenError::Io`] when that can't be known.
    pub fn check_private(directory: &Path) -> Result<(), DiskOpenError> {
        open::check_private(directory)
    }

    /// Files that an open store may have open at once.
    pub const FILES_MAX: usize = engine::FILES_MAX + 32;

    /// What it has done since it opened.
    pub fn counts(&self) -> &StoreCounts {
        &self.counts
    }

    /// Runs something that reads the disk where it may block.
    fn read_disk<T: Send + 'static, R>(
        &self,
        stream: &Arc<DiskStream>,
        read: R,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, R> + 'static
    where
        R: FnOnce(&Engine, &DiskStream) -> Result<T, StoreError> + Send + 'static,
    {
        let (current, stream) = (Arc::clone(&self.current), Arc::clone(stream));
        let read = move || match current.get() {
            Ok(engine) => read(&engine, &stream),
            Err(error) => Err(StoreError::Unreadable(error.to_string())),
        };
        lazy(move |_| tokio::task::spawn_blocking(read))
            .then(|reading| reading)
            .map(|outcome| {
                outcome.unwrap_or_else(|reason| {
                    Err(StoreError::Damaged(format!("a read broke off: {reason}")))
                })
            })
    }
}

impl Store for DiskStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
        self.queue.push(QueuedWork::Change(commit), done);
    }

    fn read(&self, id: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_> {
        let stream = match self.streams.find(id) {
            Ok(stream) => stream,
            Err(refusal) => return Box::pin(ready(Err(refusal))),
        };
        match stream.look(from, until, max_bytes) {
            MemoryLookup::Here(page) => Box::pin(ready(page)),
            MemoryLookup::OnDisk { end } => {
                let range = [from, until.min(end), end];
                if let Some(found) =
                    self.read_cache
                        .find(id, from, max_bytes.min(distance(from, range[1])))
                {
                    return Box::pin(ready(answer(Some(&found), range, max_bytes)));
                }
                let read_cache = Arc::clone(&self.read_cache);
                Box::pin(self.read_disk(&stream, move |engine, stream| {
                    let found = engine.page(stream.id, [from, range[1]], max_bytes);
                    // What was swept away meanwhile is not damage.
                    stream.check(from)?;
                    let found = found?.map(Arc::new);
                    found
                        .iter()
                        .for_each(|page| read_cache.keep(stream.id, Arc::clone(page)));
                    answer(found.as_ref(), range, max_bytes)
                }))
            }
        }
    }

    fn cut(&self, id: StreamId, cut: Cut) -> Seeking<'_> {
        match self.streams.find(id) {
            Ok(stream) => {
                Box::pin(self.read_disk(&stream, move |engine, stream| seek(engine, stream, cut)))
            }
            Err(refusal) => Box::pin(ready(Err(refusal))),
        }
    }

    fn last_messages(&self, id: StreamId, until: Offset, count: usize) -> Listing<'_> {
        let looked = self.streams.find(id).and_then(|stream| {
            let looked = stream.last_messages(until, count)?;
            Ok((stream, looked))
        });
        let (stream, (mut found, [end, earliest])) = match looked {
            Ok(looked) => looked,
            Err(refusal) => return Box::pin(ready(Err(refusal))),
        };
        if found.len() == count || end <= earliest {
            found.reverse();
            return Box::pin(ready(Ok(found)));
        }
        Box::pin(self.read_disk(&stream, move |engine, stream| {
            let rest = engine.last_messages(stream.id, [earliest, end], count - found.len());
            // What was swept away meanwhile is not damage.
            stream.check(if rest.is_ok() { Offset::MAX } else { earliest })?;
            found.extend(rest?);
            found.reverse();
            Ok(found)
        }))
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback) {
        self.queue
            .push(QueuedWork::Note(key.to_owned(), value), done);
    }

    fn usage(&self) -> StoreUsage {
        let engine = self.current.get();
        let room = space::ask_system(self.directory.path());
        StoreUsage {
            kind: "disk",
            stored_bytes: engine.ok().map(|engine| engine.disk_bytes()),
            limit_bytes: None,
            free_bytes: room.ok().map(|(_, free)| free),
            reserved_bytes: Some(self.reserve),
        }
    }

    fn close(&self) {
        self.queue.close();
        self.sweeps.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The last handle may go with a change that the committer has just told; it can't wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the disk store had died");
            }
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a read from `from` to `until` gives of the page in which it begins; `end` is the stream's.
fn answer(
    found: Option<&Arc<SealedPage>>,
    range: [Offset; 3],
    max_bytes: usize,
) -> Result<Bytes, StoreError> {
    page(
        found.into_iter().map(|page| Ok(Arc::clone(page))),
        range,
        max_bytes,
    )
}

/// The position that a cut means, from the disk.
fn seek(engine: &Engine, stream: &DiskStream, cut: Cut) -> Result<Offset, StoreError> {
    let (earliest, end) = {
        let kept = stream.kept();
        (kept.state.earliest, kept.end())
    };
    let found = match cut {
        Cut::AtMost(at) if at >= end => Ok(end),
        Cut::AtMost(at) => {
            let first = engine.first_at(stream.id, at)?.unwrap_or(earliest);
            match engine.records(stream.id, first, end).next() {
                Some(page) => {
                    page.map(|page| page.cut_at(page.index.last_append(distance(page.at, at))))
                }
                None => Ok(earliest),
            }
        }
        Cut::OlderThan(time) => {
            let first = engine.first_at(stream.id, earliest)?.unwrap_or(earliest);
            let mut found = Ok(earliest);
            for page in engine.records(stream.id, first, end) {
                let since = page.map(|page| {
                    let since = page
                        .index
                        .first_since(nanos(time), distance(page.at, earliest));
                    (
                        page.cut_at(since.unwrap_or(page.index.len())),
                        since.is_some(),
                    )
                });
                let is_last = !matches!(since, Ok((_, false)));
                found = since.map(|(position, _)| position);
                if is_last {
                    break;
                }
            }
            found
        }
    };
    // What was swept away meanwhile is not damage.
    stream.check(if found.is_ok() { end } else { earliest })?;
    found.map(|found| found.max(earliest))
}
