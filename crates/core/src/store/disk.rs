//! The disk store: acknowledged changes survive a crash of the process and, if synced, of the machine.
//!
//! | file | content |
//! | --- | --- |
//! | `disk/open.rs` | the data directory: lock, version, permissions, creation |
//! | `disk/journal.rs`, `disk/tables.rs` | checks of the engine's files before the engine opens them |
//! | `disk/synced.rs` | the position up to which the journal was synced |
//! | `disk/recover.rs` | reads the stored state of all streams when the store is opened |
//! | `disk/queue.rs`, `disk/commit.rs`, `disk/stage.rs` | group commit: the queue, the committer thread, the contents of one commit |
//! | `disk/latest_pages.rs`, `disk/read_cache.rs` | the state and the latest appends of streams in memory; a cache of pages read from disk |
//! | `disk/sweep.rs` | removes deleted and trimmed data in the background |
//! | `disk/space.rs` | free space of the file system |
//! | `disk/codec.rs`, `disk/engine.rs` | the encoding of keys and values, and the key-value engine |
//! | `disk/health.rs` | whether the store can write; a panic in the store disables writing |
//! | `disk/current.rs` | the engine in use, which is replaced after a transient failure |
//! | `disk/faults.rs` | fault injection for tests |
//!
//! A commit contains messages, positions of writers, and closed, created and deleted streams. It is
//! written, synced, published in memory and acknowledged, in this order. So (with
//! [`SyncMode::Always`]) readers see only data that survives a crash, and an acknowledged change is
//! always durable.

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
    Commit, CommitCallback, Cut, CutFuture, MessagesFuture, ReadFuture, Recovery, Store,
    StoreError, StoreUsage, StreamId,
};
use bytes::Bytes;
use commit::Committer;
use current::CurrentEngine;
use engine::Engine;
use faults::Faults;
use futures_util::FutureExt;
use futures_util::future::lazy;
use health::Health;
use latest_pages::{DiskStream, DiskStreams, LatestPages, MemoryLookup};
use open::Directory;
use queue::{Queue, QueuedWork};
use read_cache::ReadCache;
use space::FreeSpace;
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
    /// Sync before a change is acknowledged and readable. No acknowledged change is lost in a crash.
    Always,
    /// Sync at most this time after a change was acknowledged. A crash of the process loses nothing; a
    /// crash of the machine loses at most the changes of this period.
    Within(Duration),
    /// Leave syncing to the operating system. A crash of the process loses nothing; a crash of the
    /// machine loses the changes that were not written yet.
    Never,
}

impl SyncMode {
    fn sync_delay(self) -> Option<Duration> {
        match self {
            Self::Within(within) => Some(within),
            Self::Always | Self::Never => None,
        }
    }
}

/// The options of a disk store.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// When a change counts as durable.
    pub sync: SyncMode,
    /// The maximum number of bytes of latest appends in memory, for all streams together.
    pub hot_max: u64,
    /// The number of bytes of the file system to leave free; appends beyond it fail with
    /// [`StoreError::Full`].
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

/// Stores streams on disk.
#[derive(Debug)]
pub struct DiskStore {
    current: Arc<CurrentEngine>,
    streams: Arc<DiskStreams>,
    read_cache: Arc<ReadCache>,
    queue: Arc<Queue>,
    sweeps: Arc<Sweeps>,
    counts: Arc<StoreCounts>,
    /// Free space of the file system that is not used, in bytes.
    reserve: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Locked until the store is dropped; must be the last field.
    directory: Arc<Directory>,
}

impl DiskStore {
    /// Opens the store in `directory`, which is created if it is missing. Returns the stored streams
    /// and notes.
    ///
    /// # Errors
    /// All of [`DiskOpenError`]. The directory is unchanged, except that an unfinished commit at the
    /// end of the journal may have been cut off.
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
        let directory = Arc::new(Directory::lock(directory)?);
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
            let state = codec::StateMetadata {
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
            .for_each(|sweep| sweeps.request(sweep));
        let store = Self {
            read_cache: Arc::default(),
            queue: Arc::default(),
            counts: Arc::default(),
            reserve: options.reserve,
            threads: Mutex::default(),
            current: Arc::new(CurrentEngine::new(Arc::clone(&directory), engine)),
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
            free_space: FreeSpace::new(self.directory.path(), options.reserve),
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
            health.run(|| sweep::run(&current, &streams, &sweeps, &faults, &path));
        });
        threads.push(sweeper.map_err(DiskOpenError::Thread)?);
        Ok(())
    }

    /// Checks that only the owner can access a data directory. A missing directory is valid, because
    /// it is created with these permissions.
    ///
    /// # Errors
    /// [`DiskOpenError::Exposed`]: others have access. [`DiskOpenError::Io`]: the permissions cannot be
    /// read.
    pub fn check_private(directory: &Path) -> Result<(), DiskOpenError> {
        open::check_private(directory)
    }

    /// The maximum number of files that a store has open at once.
    pub const FILES_MAX: usize = engine::FILES_MAX + 32;

    /// Counters of the store's operations.
    pub fn counts(&self) -> &StoreCounts {
        &self.counts
    }

    /// Runs a read from disk on a blocking thread.
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
                    Err(StoreError::Damaged(format!("a read was aborted: {reason}")))
                })
            })
    }
}

impl Store for DiskStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
        self.queue.push(QueuedWork::Change(commit), done);
    }

    fn read(&self, id: StreamId, from: Offset, until: Offset, max_bytes: usize) -> ReadFuture<'_> {
        let stream = match self.streams.find(id) {
            Ok(stream) => stream,
            Err(refusal) => return Box::pin(ready(Err(refusal))),
        };
        match stream.read(from, until, max_bytes) {
            MemoryLookup::Found(page) => Box::pin(ready(page)),
            MemoryLookup::OnDisk { end } => {
                let range = [from, until.min(end), end];
                if let Some(found) =
                    self.read_cache
                        .find(id, from, max_bytes.min(distance(from, range[1])))
                {
                    return Box::pin(ready(read_result(Some(&found), range, max_bytes)));
                }
                let read_cache = Arc::clone(&self.read_cache);
                Box::pin(self.read_disk(&stream, move |engine, stream| {
                    let found = engine.page(stream.id, [from, range[1]], max_bytes);
                    // If the data was removed during the read, report that instead of damage.
                    stream.check(from)?;
                    let found = found?.map(Arc::new);
                    found
                        .iter()
                        .for_each(|page| read_cache.insert(stream.id, Arc::clone(page)));
                    read_result(found.as_ref(), range, max_bytes)
                }))
            }
        }
    }

    fn cut(&self, id: StreamId, cut: Cut) -> CutFuture<'_> {
        match self.streams.find(id) {
            Ok(stream) => {
                Box::pin(self.read_disk(&stream, move |engine, stream| seek(engine, stream, cut)))
            }
            Err(refusal) => Box::pin(ready(Err(refusal))),
        }
    }

    fn last_messages(&self, id: StreamId, until: Offset, count: usize) -> MessagesFuture<'_> {
        let in_memory = self.streams.find(id).and_then(|stream| {
            let in_memory = stream.last_messages(until, count)?;
            Ok((stream, in_memory))
        });
        let (stream, (mut found, [end, earliest])) = match in_memory {
            Ok(in_memory) => in_memory,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        if found.len() == count || end <= earliest {
            found.reverse();
            return Box::pin(ready(Ok(found)));
        }
        Box::pin(self.read_disk(&stream, move |engine, stream| {
            let rest = engine.last_messages(stream.id, [earliest, end], count - found.len());
            // Messages that were removed meanwhile are not damage.
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
        let space = space::file_system_space(self.directory.path());
        StoreUsage {
            kind: "disk",
            stored_bytes: engine.ok().map(|engine| engine.disk_bytes()),
            limit_bytes: None,
            free_bytes: space.ok().map(|(_, free)| free),
            reserved_bytes: Some(self.reserve),
        }
    }

    fn close(&self) {
        self.queue.close();
        self.sweeps.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // The store may be dropped by a callback on the committer thread, which cannot join itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the disk store has panicked");
            }
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The result of a read within the page that contains its start.
///
/// - `range`: the start and end of the read, and the end of the stream.
fn read_result(
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

/// The position of a cut, read from disk.
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
    // If the data was removed during the search, report that instead of damage.
    stream.check(if found.is_ok() { end } else { earliest })?;
    found.map(|found| found.max(earliest))
}
