//! The key-value engine beneath the disk store: fjall, its spaces, its limits, and what its failures mean here.

mod limits;
mod listing;

pub(super) use limits::{check_key, check_value};

use super::super::page::{LONG, SealedPage, distance};
use super::super::{StoreError, StreamId};
use super::codec::{self, Damage, Fact, Space};
use super::health::caught;
use super::journal::JournalPosition;
use super::synced::SyncedNote;
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

/// Bytes of journal after which what it holds must rest in tables: it is what an opening reads again, about a second's worth.
const JOURNALS_BYTES_MAX: u64 = 128 << 20;
/// Bytes of one space that wait in memory to be written as a table.
const MEMTABLE_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a table. Merging writes anew before it removes: twelve unmerged tables into 32 MiB and, at the same time, one table
/// into ten come to about 220 MiB, which has to fit into the room that appends leave (`--disk-reserve`).
const TABLE_BYTES: u64 = 8 << 20;
/// Bytes of a table's block: pages are read in order, so larger than for look-ups.
const BLOCK_BYTES: u32 = 16 << 10;
/// Bytes of blocks kept in memory; pages put together from them are kept in `read_cache.rs`.
const CACHE_BYTES: u64 = 32 << 20;
/// Tables that are kept open between reads.
const TABLES_OPEN_MAX: usize = 128;
/// Files that it may have open at once: those tables, as many that are written, merged or read at this moment, and journals.
pub(super) const FILES_MAX: usize = 2 * TABLES_OPEN_MAX;
/// Full memtables and unmerged tables from which on changes wait. The engine itself stops at 4 and 30, but without asking
/// whether the threads that would free it are still alive.
const SEALED_MAX: usize = 2;
const UNMERGED_MAX: usize = 12;

/// Bytes up to which everything is merged at once to get room back. Meanwhile nothing else is merged, so more would take
/// too long.
const MERGE_BYTES_MAX: u64 = 256 << 20;
/// Bytes that merging everything leaves free, at least.
const MERGE_ROOM: u64 = 8 << 20;

/// An open database with its spaces.
pub(super) struct Engine {
    db: Database,
    pub(super) data: Keyspace,
    pub(super) facts: Keyspace,
    pub(super) notes: Keyspace,
    path: PathBuf,
    /// Where the last commit lies; held while one is written.
    reached: Mutex<JournalPosition>,
    /// The number of the first commit that failed, which may be in the journal.
    undo_from: OnceLock<u64>,
    synced: OnceLock<SyncedNote>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// What went wrong in the engine, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EngineError {
    /// The system refused something, and may not refuse it later. The engine must be replaced before it writes again.
    #[error("{0}")]
    Passing(String),
    /// Nobody knows what is on the medium, or there is a bug: that stays so until the store is opened anew.
    #[error("{0}")]
    Lasting(String),
}

impl From<fjall::Error> for EngineError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(reason) | fjall::Error::Storage(fjall::LsmError::Io(reason)) => {
                match reason.kind() {
                    // The system has not refused this: there is something else than was expected.
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                        Self::Lasting(reason.to_string())
                    }
                    _ => Self::Passing(reason.to_string()),
                }
            }
            fjall::Error::Poisoned => Self::Passing(
                "the engine stopped writing after an earlier failure in the background".to_owned(),
            ),
            fjall::Error::Locked => Self::Passing("the engine's files are still in use".to_owned()),
            other => Self::Lasting(format!("{other:?}")),
        }
    }
}

impl Engine {
    /// Makes an empty database in `path`, which must not exist, and closes it again.
    pub(super) fn create(path: &Path) -> Result<(), EngineError> {
        let db = Database::builder(path).worker_threads(1).open()?;
        for name in SPACES {
            db.keyspace(name, || options(name))?;
        }
        db.persist(PersistMode::SyncAll)?;
        Ok(())
    }

    /// Opens the database in `path`, which must be one.
    ///
    /// - `reached`: where its last commit lies.
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
                return Err(EngineError::Lasting(format!(
                    "its part `{missing}` is missing"
                )));
            }
            let [data, facts, notes] = SPACES.map(|name| db.keyspace(name, || options(name)));
            let (path, reached) = (path.to_owned(), Mutex::new(reached));
            Ok(Self {
                data: data?,
                facts: facts?,
                notes: notes?,
                db,
                path,
                reached,
                undo_from: OnceLock::new(),
                synced: OnceLock::new(),
            })
        })
    }

    /// Notes from now on how far it is synced.
    pub(super) fn note_in(&self, note: SyncedNote) {
        // Only whoever opened it does this.
        let _second = self.synced.set(note);
    }

    /// Changes that take effect together, in memory and after a crash; given to the system when committed.
    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::Buffer))
    }

    /// Commits a batch.
    ///
    /// - Returns its number or a lower one that no commit before it has.
    pub(super) fn commit(&self, batch: OwnedWriteBatch) -> Result<u64, EngineError> {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.db.seqno();
        guarded(|| Ok(batch.commit()?)).inspect_err(|_| self.undo(number))?;
        let journal = self.newest_journal(reached.journal);
        // In which of the journals it lies is not known when there was a new one meanwhile.
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

    /// Remembers that commits from `number` on failed: a replacement is to cut them off.
    pub(super) fn undo(&self, number: u64) {
        self.undo_from.get_or_init(|| number);
    }

    /// The number of the first commit that failed, if one did.
    pub(super) fn undo_from(&self) -> Option<u64> {
        self.undo_from.get().copied()
    }

    /// The highest number of a commit that is in a table.
    pub(super) fn persisted(&self) -> Option<u64> {
        self.spaces()
            .into_iter()
            .filter_map(|space| space.tree.get_highest_persisted_seqno())
            .max()
    }

    /// Bytes that are in memory and in the journal only.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        self.db.write_buffer_size()
    }

    /// Lets go of all files; they can be opened again then.
    pub(super) fn close(self) {
        // What fails here failed before.
        let _closed = caught(|| drop(self));
    }

    fn spaces(&self) -> [&Keyspace; 3] {
        [&self.data, &self.facts, &self.notes]
    }

    /// The number of the journal that is written now; `last` is what it was before.
    fn newest_journal(&self, last: u64) -> u64 {
        let is_there = |number: &u64| {
            self.path
                .join(format!("{number}.jnl"))
                .try_exists()
                .unwrap_or(false)
        };
        (last + 1..).take_while(is_there).last().unwrap_or(last)
    }

    /// Makes everything committed so far survive the machine.
    ///
    /// # Errors
    /// [`EngineError::Lasting`] when the system failed to: it does not try again to write what it could not write then.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        let reached = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        guarded(|| match self.db.persist(PersistMode::SyncData) {
            Err(fjall::Error::Io(reason)) => {
                Err(EngineError::Lasting(format!("a sync failed: {reason}")))
            }
            other => Ok(other?),
        })?;
        if let Some(note) = self.synced.get() {
            note.write(reached);
        }
        Ok(())
    }

    /// Makes durable what is noted of how far it is synced.
    pub(super) fn sync_note(&self) {
        if let Some(note) = self.synced.get() {
            note.sync();
        }
    }

    /// Whether tables wait to be written or merged faster than that gets done.
    pub(super) fn is_behind(&self) -> bool {
        self.spaces().into_iter().any(|space| {
            space.sealed_memtable_count() >= SEALED_MAX || space.tree.l0_run_count() >= UNMERGED_MAX
        })
    }

    /// Whether the engine can still write, as far as it knows.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        Ok(self.db.persist(PersistMode::Buffer)?)
    }

    /// Bytes on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.db.disk_space().unwrap_or_default()
    }

    /// Lets go of whole tables that hold nothing but appends of `stream` before `before`, at once. What is left must be
    /// removed afterwards, never before: a removal in a table that goes would bring back what it removed.
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

    /// Writes what waits in memory to tables, so that journals can go; returns before that is done.
    pub(super) fn flush(&self) -> Result<(), EngineError> {
        for space in self.spaces() {
            guarded(|| Ok(space.rotate_memtable()?))?;
        }
        Ok(())
    }

    /// Whether anything still waits to be written to tables.
    pub(super) fn is_flushing(&self) -> bool {
        self.spaces()
            .into_iter()
            .any(|space| space.sealed_memtable_count() > 0)
    }

    /// Merges all data, which frees the space of everything that was removed; does nothing where that would take too long, or might
    /// take more room than there is: a merge that finds none ends the engine's writing, and as long as somebody reads an
    /// older state all of it is written anew.
    ///
    /// - `free`: bytes free on the medium.
    /// - Returns whether it was done.
    pub(super) fn merge(&self, free: u64) -> Result<bool, EngineError> {
        let there = self.data.disk_space();
        let fits = there <= MERGE_BYTES_MAX && there.saturating_add(MERGE_ROOM) <= free;
        if fits {
            guarded(|| Ok(self.data.major_compact()?))?;
        }
        Ok(fits)
    }

    /// Drops the files that only older states of the spaces still name, which the engine does when it writes a table.
    pub(super) fn drop_old_files(&self) -> Result<(), EngineError> {
        let mut batch = self.batch();
        // Nothing is kept under it.
        batch.remove(&self.notes, [0]);
        self.commit(batch)?;
        guarded(|| Ok(self.notes.rotate_memtable()?)).map(drop)
    }

    /// Appends of a stream, together at least `max_bytes` from `from` on, unless they end at `until` or would be a long piece and
    /// others: that is not copied to lie beside them.
    ///
    /// - `from`: in the first of them; `None` when nothing is there from `from` on.
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

    /// Where the appends begin that are kept together and among which `position` lies or which begin there; `None` when nothing
    /// before it is kept.
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

    /// The appends of a stream as they are kept together, those that begin in `from..until`, without gaps.
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
                        "stream {id} has nothing between {expected} and {at}"
                    )));
                }
                expected = page.end();
                Ok(page)
            })
    }

    /// The last appends of a stream, if any are kept.
    pub(super) fn last(&self, stream: StreamId) -> Result<Option<SealedPage>, StoreError> {
        let range = codec::data_key(stream, Offset::ZERO)..=codec::data_key(stream, Offset::MAX);
        self.data
            .range(range)
            .next_back()
            .map(open_records)
            .transpose()
    }

    /// Every fact of every stream, in the order of streams.
    pub(super) fn facts(
        &self,
    ) -> impl Iterator<Item = Result<(StreamId, Fact, Bytes), StoreError>> + use<> {
        self.facts.iter().map(|guard| {
            let (key, value) = guard.into_inner().map_err(unreadable)?;
            let value = Bytes::from(value);
            let (stream, fact) = codec::read_fact_key(&key).map_err(damaged)?;
            let body = codec::open(Space::Facts, &key, &value).map_err(|Damage(what)| {
                StoreError::Damaged(format!("what is kept about stream {}: {what}", stream.0))
            })?;
            Ok((stream, fact, value.slice_ref(body)))
        })
    }

    /// Every note.
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

const SPACES: [&str; 3] = ["data", "facts", "notes"];

fn options(space: &str) -> KeyspaceCreateOptions {
    let merging = Leveled::default().with_table_target_size(TABLE_BYTES);
    let options = KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES_MAX)
        .compaction_strategy(Arc::new(merging))
        // Everything is read by range, which these filters do not help.
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
        EngineError::Passing(reason) => StoreError::Unreadable(reason),
        EngineError::Lasting(reason) => StoreError::Damaged(reason),
    }
}

/// Runs something of the engine, which panics where it meets bytes that it did not expect.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    caught(run).unwrap_or_else(|text| {
        Err(EngineError::Lasting(format!(
            "the engine found what it did not expect: {text}"
        )))
    })
}
