//! How far the engine's journal is known to be on the medium: noted beside it, so that what is missing at its end is missed.
//!
//! A commit that is broken at the end of the journal may never have been acknowledged, or may have been damaged since; the
//! journal alone can't tell. The note is written after each sync and not synced itself, so that it costs one short write: what
//! it says holds from then on, whatever happens to the process. After a loss of power it may be older than the journal, never
//! newer.
//!
//! The file: 8 bytes of name and version, the journal's number (u64), a commit's number (u64), the XXH3 of these 24 bytes (u64).
//! All numbers little-endian.

use super::files::{FilesError, open_file, replace_file};
use super::journal::JournalPosition;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// The file's name in the data directory, and its name while it is made.
const NAME: &str = "synced";
const NAME_UNFINISHED: &str = "synced.new";
const BEGIN: [u8; 8] = *b"TWSYNC\x00\x01";

/// The note, open to be written again and again.
#[derive(Debug)]
pub(super) struct SyncedNote {
    file: File,
    has_failed: AtomicBool,
}

impl SyncedNote {
    /// What was noted in a data directory; `None` where nothing was, as by earlier builds.
    ///
    /// # Errors
    /// [`FilesError::Damaged`] when the note is not one that was written.
    pub(super) fn read(directory: &Path) -> Result<Option<JournalPosition>, FilesError> {
        let path = directory.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes).map(Some).ok_or_else(|| {
                FilesError::Damaged(format!("{} is not what it was written as", path.display()))
            }),
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(reason.into()),
        }
    }

    /// Notes a position, in a file that is made when it is missing, and makes the note durable.
    pub(super) fn open(directory: &Path, position: JournalPosition) -> io::Result<Self> {
        let path = directory.join(NAME);
        if fs::symlink_metadata(&path).is_err() {
            // Made whole or not at all.
            let unfinished = directory.join(NAME_UNFINISHED);
            let mut file = replace_file(&unfinished)?;
            file.write_all(&encode(position))?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(directory)?.sync_all()?;
        }
        let note = Self {
            file: open_file(&path)?,
            has_failed: AtomicBool::new(false),
        };
        note.file.write_all_at(&encode(position), 0)?;
        note.file.sync_data()?;
        Ok(note)
    }

    /// Notes a position that the journal has been synced to.
    pub(super) fn write(&self, position: JournalPosition) {
        // Without it nothing is lost; an older note just knows of less.
        if let Err(reason) = self.file.write_all_at(&encode(position), 0)
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("how far the journal is synced can't be noted: {reason}");
        }
    }

    /// Makes the note durable.
    pub(super) fn sync(&self) {
        if let Err(reason) = self.file.sync_data() {
            tracing::warn!("how far the journal is synced is not durable: {reason}");
        }
    }
}

fn encode(JournalPosition { journal, number }: JournalPosition) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&BEGIN);
    bytes[8..16].copy_from_slice(&journal.to_le_bytes());
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    let sum = xxh3_64(&bytes[..24]);
    bytes[24..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<JournalPosition> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let position = JournalPosition {
        journal: number(8)?,
        number: number(16)?,
    };
    (bytes == encode(position)).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_the_last_one_written_or_damaged() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(SyncedNote::read(directory.path()).unwrap(), None);
        let first = JournalPosition {
            journal: 1,
            number: 2,
        };
        let note = SyncedNote::open(directory.path(), first).unwrap();
        assert_eq!(SyncedNote::read(directory.path()).unwrap(), Some(first));
        let second = JournalPosition {
            journal: u64::MAX,
            number: 1 << 60,
        };
        note.write(second);
        assert_eq!(SyncedNote::read(directory.path()).unwrap(), Some(second));
        drop(SyncedNote::open(directory.path(), first).unwrap());
        let path = directory.path().join(NAME);
        let bytes = fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            for wrong in [&changed[..], &bytes[..place]] {
                fs::write(&path, wrong).unwrap();
                let seen = SyncedNote::read(directory.path());
                assert!(
                    matches!(seen, Err(FilesError::Damaged(_))),
                    "{place}: {seen:?}"
                );
            }
        }
    }
}
