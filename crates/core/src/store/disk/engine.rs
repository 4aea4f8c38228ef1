//! The key-value engine of the disk store: fjall, its spaces and limits, and the mapping of its errors.

mod limits;
mod listing;

pub(super) use limits::{check_key, check_value};

use super::super::page::{LONG, SealedPage, distance};
use super::super::{StoreError, StreamId};
use super::codec::{self, Damage, MetadataKind, Space};
use super::health::catch_panic;
use super::journal::JournalPosition;
use super::synced::SyncRecord;
use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{
    AbstractTree, Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tailwater_protocol::Offset;

/// The maximum size of the journals in bytes, which are read again when the store is opened. ReadFuture
/// this much takes about a second.
const JOURNALS_BYTES_MAX: u64 = 128 << 20;
/// The maximum size of the memtable of a space in bytes.
const MEMTABLE_BYTES_MAX: u64 = 8 << 20;
/// The size of a table in bytes. A merge writes new tables before it removes the old ones: twelve
/// unmerged tables into 32 MiB and, at the same time, one table into ten need about 220 MiB, which
/// must be available within the reserve (`--disk-reserve`).
const TABLE_BYTES: u64 = 8 << 20;
/// The size of a block of a table in bytes; large, because data is read sequentially.
const BLOCK_BYTES: u32 = 16 << 10;
/// The size of the engine's block cache in bytes. Pages made of blocks are cached in `read_cache.rs`.
const CACHE_BYTES: u64 = 32 << 20;
/// The maximum number of tables that stay open between reads.
const TABLES_OPEN_MAX: usize = 128;
/// The maximum number of open files: those tables, as many that are being written, merged or read,
/// and the journals.
pub(super) const FILES_MAX: usize = 2 * TABLES_OPEN_MAX;
/// The numbers of full memtables and unmerged tables from which changes wait. The engine itself waits
/// at 4 and 30, but without checking that its worker threads are still running.
const SEALED_MAX: usize = 2;
const UNMERGED_MAX: usize = 12;

/// The maximum size of data in bytes for a major merge that reclaims space. It blocks all other
/// merges, so merging more would take too long.
const MERGE_BYTES_MAX: u64 = 256 << 20;
/// The minimum number of bytes that a major merge must leave free.
const MERGE_ROOM: u64 = 8 << 20;

/// An open database with its spaces.
pub(super) struct Engine {
    db: Database,
    pub(super) data: Keyspace,
    pub(super) metadata: Keyspace,
    pub(super) notes: Keyspace,
    path: PathBuf,
    /// The position of the last commit; locked while a commit is written.
    reached: Mutex<JournalPosition>,
    /// The number of the first failed commit, which may be in the journal.
    undo_from: OnceLock<u64>,
    synced: OnceLock<SyncRecord>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// An error of the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EngineError {
    /// An operation of the file system failed and may succeed later. The engine must be replaced
    /// before it can write again.
    #[error("{0}")]
    Transient(String),
    /// The state of the files is unknown, or there is a bug. The store must be opened again.
    #[error("{0}")]
    Permanent(String),
}

impl From<fjall::Error> for EngineError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(reason) | fjall::Error::Storage(fjall::LsmError::Io(reason)) => {
                match reason.kind() {
                    // Unexpected content, not a failed operation.
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                        Self::Permanent(reason.to_string())
                    }
                    _ => Self::Transient(reason.to_string()),
                }
            }
            fjall::Error::Poisoned => Self::Transient(
                "the engine stopped writing after an earlier failure in the background".to_owned(),
            ),
            fjall::Error::Locked => {
                Self::Transient("the engine's files are still in use".to_owned())
            }
            other => Self::Permanent(format!("{other:?}")),
        }
    }
}

impl Engine {
    /// Creates an empty database in `path`, which must not exist, and closes it.
    pub(super) fn create(path: &Path) -> Result<(), EngineError> {
        let db = Database::builder(path).worker_threads(1).open()?;
        for name in SPACES {
            db.keyspace(name, || options(name))?;
        }
        db.persist(PersistMode::SyncAll)?;
        Ok(())
    }

    /// Opens an existing database.
    ///
    /// - `reached`: the position of its last commit.
    pub(super) fn open(path: &Path, reached: JournalPosition) -> Result<Self, EngineError> {
        guarded(|| {
            let workers = std::thread::available_parallelism()
                .map_or(2, usize::from)
                .clamp(2, 4);
            let db = Database::builder(path)
                .worker_threads(workers)
                .cache_size(CACHE_BYTES)
                .max_cached_files(Some(TABLES_OPEN_MAX))
                .max_journaling_size(JOURNALS_BYTES_MAX)
                .open()?;
            if let Some(missing) = SPACES.into_iter().find(|name| !db.keyspace_exists(name)) {
                return Err(EngineError::Permanent(format!(
                    "its space `{missing}` is missing"
                )));
            }
            let [data, metadata, notes] = SPACES.map(|name| db.keyspace(name, || options(name)));
            let (path, reached) = (path.to_owned(), Mutex::new(reached));
            Ok(Self {
                data: data?,
                metadata: metadata?,
                notes: notes?,
                db,
                path,
                reached,
                undo_from: OnceLock::new(),
                synced: OnceLock::new(),
            })
        })
    }

    /// Sets the record that is written after each sync.
    pub(super) fn set_sync_record(&self, record: SyncRecord) {
        // Called once, when the engine is opened.
        let _second = self.synced.set(record);
    }

    /// Creates an atomic batch, which is written to the operating system when it is committed.
    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::Buffer))
    }

    /// Commits a batch.
    ///
    /// - Returns a lower bound of its number that is higher than the numbers of all earlier commits.
    pub(super) fn commit(&self, batch: OwnedWriteBatch) -> Result<u64, EngineError> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.db.seqno();
        guarded(|| Ok(batch.commit()?)).inspect_err(|_| self.undo(number))?;
        let journal = self.newest_journal(reached.journal);
        // If a new journal was started meanwhile, it is unknown which journal contains the commit.
        *reached = JournalPosition {
            journal,
            number: if journal == reached.journal {
                number
            } else {
                0
            },
        };
        Ok(number)
    }

    /// Records that the commits from `number` on have failed, so that a replacement cuts them off.
    pub(super) fn undo(&self, number: u64) {
        self.undo_from.get_or_init(|| number);
    }

    /// The number of the first failed commit, if there is one.
    pub(super) fn undo_from(&self) -> Option<u64> {
        self.undo_from.get().copied()
    }

    /// The highest number of a commit in the tables.
    pub(super) fn persisted(&self) -> Option<u64> {
        self.spaces()
            .into_iter()
            .filter_map(|space| space.tree.get_highest_persisted_seqno())
            .max()
    }

    /// The number of bytes that are not in tables yet.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        self.db.write_buffer_size()
    }

    /// Closes all files, so that they can be opened again.
    pub(super) fn close(self) {
        // An engine is closed after a failure; further failures are ignored.
        let _closed = catch_panic(|| drop(self));
    }

    fn spaces(&self) -> [&Keyspace; 3] {
        [&self.data, &self.metadata, &self.notes]
    }

    /// The number of the current journal; `last` is the number of an earlier one.
    fn newest_journal(&self, last: u64) -> u64 {
        let is_there = |number: &u64| {
            self.path
                .join(format!("{number}.jnl"))
                .try_exists()
                .unwrap_or(false)
        };
        (last + 1..).take_while(is_there).last().unwrap_or(last)
    }

    /// Syncs all commits.
    ///
    /// # Errors
    /// [`EngineError::Permanent`] if the sync failed, because the operating system may have discarded the
    /// unwritten data.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        let reached = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        guarded(|| match self.db.persist(PersistMode::SyncData) {
            Err(fjall::Error::Io(reason)) => {
                Err(EngineError::Permanent(format!("a sync failed: {reason}")))
            }
            other => Ok(other?),
        })?;
        if let Some(record) = self.synced.get() {
            record.write(reached);
        }
        Ok(())
    }

    /// Syncs the record of the synced position.
    pub(super) fn sync_record(&self) {
        if let Some(record) = self.synced.get() {
            record.sync();
        }
    }

    /// Whether too many memtables or tables wait to be written or merged.
    pub(super) fn is_behind(&self) -> bool {
        self.spaces().into_iter().any(|space| {
            space.sealed_memtable_count() >= SEALED_MAX || space.tree.l0_run_count() >= UNMERGED_MAX
        })
    }

    /// Checks that the engine can write, as far as it can tell.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        Ok(self.db.persist(PersistMode::Buffer)?)
    }

    /// The number of bytes on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.db.disk_space().unwrap_or_default()
    }

    /// Drops tables that contain only appends of `stream` before `before`. The remaining appends must
    /// be removed afterwards, not before: dropping a table that contains their tombstones would restore
    /// them.
    pub(super) fn drop_tables(&self, stream: StreamId, before: Offset) -> Result<(), EngineError> {
        let (first, last) = (
            codec::data_key(stream, Offset::ZERO),
            codec::data_key(stream, before),
        );
        guarded(|| {
            self.data
                .tree
                .drop_range(&first[..]..&last[..])
                .map_err(|error| fjall::Error::from(error).into())
        })
    }

    /// Starts to write all memtables to tables, so that journals can be removed.
    pub(super) fn flush(&self) -> Result<(), EngineError> {
        for space in self.spaces() {
            guarded(|| Ok(space.rotate_memtable()?))?;
        }
        Ok(())
    }

    /// Whether memtables wait to be written to tables.
    pub(super) fn is_flushing(&self) -> bool {
        self.spaces()
            .into_iter()
            .any(|space| space.sealed_memtable_count() > 0)
    }

    /// Merges all data, which reclaims the space of removed data. Does nothing if there is too much
    /// data, or not enough free space to write all of it again: a merge that runs out of space stops
    /// the engine.
    ///
    /// - `free`: the number of free bytes of the file system.
    /// - Returns whether the data was merged.
    pub(super) fn merge(&self, free: u64) -> Result<bool, EngineError> {
        let size = self.data.disk_space();
        let fits = size <= MERGE_BYTES_MAX && size.saturating_add(MERGE_ROOM) <= free;
        if fits {
            guarded(|| Ok(self.data.major_compact()?))?;
        }
        Ok(fits)
    }

    /// Deletes files that are no longer used. The engine does this when it writes a table.
    pub(super) fn drop_old_files(&self) -> Result<(), EngineError> {
        let mut batch = self.batch();
        // There is no note under this key.
        batch.remove(&self.notes, [0]);
        self.commit(batch)?;
        guarded(|| Ok(self.notes.rotate_memtable()?)).map(drop)
    }

    /// Reads appends of a stream from `from` to `until` at most, until they have `max_bytes`. Stops
    /// earlier before a value of [`LONG`] bytes or more, which is not copied to be joined with others.
    ///
    /// - Returns a page that contains `from`; `None` if there are no appends.
    pub(super) fn page(
        &self,
        stream: StreamId,
        [from, until]: [Offset; 2],
        max_bytes: usize,
    ) -> Result<Option<SealedPage>, StoreError> {
        let first = self.first_at(stream, from)?.unwrap_or(from);
        let mut pages: Vec<SealedPage> = Vec::new();
        for page in self.records(stream, first, until) {
            let page = page?;
            let is_long = page.bytes.len() >= LONG;
            if is_long && !pages.is_empty() {
                break;
            }
            let is_enough = is_long || distance(from, page.end()) >= max_bytes;
            pages.push(page);
            if is_enough {
                break;
            }
        }
        if pages.len() > 1 {
            Ok(SealedPage::join(pages.iter()))
        } else {
            Ok(pages.pop())
        }
    }

    /// The start of the stored value that contains `position`; `None` if no value starts at or before
    /// it.
    pub(super) fn first_at(
        &self,
        stream: StreamId,
        position: Offset,
    ) -> Result<Option<Offset>, StoreError> {
        let range = codec::data_key(stream, Offset::ZERO)..=codec::data_key(stream, position);
        let key = self
            .data
            .range(range)
            .next_back()
            .map(Guard::key)
            .transpose()
            .map_err(unreadable)?;
        Ok(key
            .map(|key| codec::read_data_key(&key))
            .transpose()
            .map_err(damaged)?
            .map(|(_, at)| at))
    }

    /// The stored values of a stream that start in `from..until`. A gap between them is an error.
    pub(super) fn records(
        &self,
        stream: StreamId,
        from: Offset,
        until: Offset,
    ) -> impl Iterator<Item = Result<SealedPage, StoreError>> + use<> {
        let mut expected = from;
        self.data
            .range(codec::data_key(stream, from)..codec::data_key(stream, until))
            .map(move |guard| {
                let page = open_records(guard)?;
                if page.at != expected {
                    let (id, at) = (stream.0, page.at);
                    return Err(StoreError::Damaged(format!(
                        "stream {id} has a gap between {expected} and {at}"
                    )));
                }
                expected = page.end();
                Ok(page)
            })
    }

    /// The last stored value of a stream.
    pub(super) fn last(&self, stream: StreamId) -> Result<Option<SealedPage>, StoreError> {
        let range = codec::data_key(stream, Offset::ZERO)..=codec::data_key(stream, Offset::MAX);
        self.data
            .range(range)
            .next_back()
            .map(open_records)
            .transpose()
    }

    /// The metadata of all streams, ordered by stream.
    pub(super) fn metadata(
        &self,
    ) -> impl Iterator<Item = Result<(StreamId, MetadataKind, Bytes), StoreError>> + use<> {
        self.metadata.iter().map(|guard| {
            let (key, value) = guard.into_inner().map_err(unreadable)?;
            let value = Bytes::from(value);
            let (stream, kind) = codec::read_metadata_key(&key).map_err(damaged)?;
            let body = codec::open(Space::Metadata, &key, &value).map_err(|Damage(what)| {
                StoreError::Damaged(format!("the metadata of stream {}: {what}", stream.0))
            })?;
            Ok((stream, kind, value.slice_ref(body)))
        })
    }

    /// All notes.
    pub(super) fn notes(
        &self,
    ) -> impl Iterator<Item = Result<(String, Bytes), StoreError>> + use<> {
        self.notes.iter().map(|guard| {
            let (key, value) = guard.into_inner().map_err(unreadable)?;
            let value = Bytes::from(value);
            let name = String::from_utf8(key.to_vec())
                .map_err(|_| damaged(Damage("a note's key is not UTF-8")))?;
            let body = codec::open(Space::Notes, &key, &value).map_err(|Damage(what)| {
                StoreError::Damaged(format!("the note `{name}`: {what}"))
            })?;
            Ok((name, value.slice_ref(body)))
        })
    }
}

/// The names of the keyspaces, as stored on disk.
const SPACES: [&str; 3] = ["data", "facts", "notes"];

fn options(space: &str) -> KeyspaceCreateOptions {
    let merging = Leveled::default().with_table_target_size(TABLE_BYTES);
    let options = KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES_MAX)
        .compaction_strategy(Arc::new(merging))
        // Filters do not help reads by range, and there are no others.
        .filter_policy(FilterPolicy::disabled());
    if space == "data" {
        options.data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
    } else {
        options
    }
}

fn open_records(guard: Guard) -> Result<SealedPage, StoreError> {
    let (key, value) = guard.into_inner().map_err(unreadable)?;
    codec::open_records(&key, &value.into()).map_err(|Damage(what)| {
        let place =
            codec::read_data_key(&key).map(|(stream, at)| format!("stream {} at {at}", stream.0));
        StoreError::Damaged(format!(
            "{}: {what}",
            place.unwrap_or_else(|_| "an append".to_owned())
        ))
    })
}

fn damaged(Damage(what): Damage) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

fn unreadable(error: fjall::Error) -> StoreError {
    match EngineError::from(error) {
        EngineError::Transient(reason) => StoreError::Unreadable(reason),
        EngineError::Permanent(reason) => StoreError::Damaged(reason),
    }
}

/// Calls the engine, and converts a panic, which it uses for unexpected bytes, into an error.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_panic(run).unwrap_or_else(|text| {
        Err(EngineError::Permanent(format!(
            "the engine panicked: {text}"
        )))
    })
}
