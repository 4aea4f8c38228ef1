//! A record of the position up to which the engine's journal was synced, so that missing commits at its end are detected.
//!
//! An invalid commit at the end of the journal was either never completed or was damaged later. The
//! journal alone does not show which. The record is written after each sync and not synced itself, so
//! it costs one short write and survives a crash of the process. After a loss of power it may be
//! older than the journal, but never newer.
//!
//! File format: 8 bytes of name and version, the journal's number (u64), a commit's number (u64), the
//! XXH3 of these 24 bytes (u64). All numbers are little-endian.

use super::files::{FilesError, open_file, replace_file};
use super::journal::JournalPosition;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// The file's name in the data directory, and its name until it is complete.
const NAME: &str = "synced";
const NAME_UNFINISHED: &str = "synced.new";
const BEGIN: [u8; 8] = *b"TWSYNC\x00\x01";

/// The open file of the record.
#[derive(Debug)]
pub(super) struct SyncRecord {
    file: File,
    has_failed: AtomicBool,
}

impl SyncRecord {
    /// Reads the record of a data directory; `None` if there is none.
    ///
    /// # Errors
    /// [`FilesError::Damaged`]: the record is invalid.
    pub(super) fn read(directory: &Path) -> Result<Option<JournalPosition>, FilesError> {
        let path = directory.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => decode(&bytes)
                .map(Some)
                .ok_or_else(|| FilesError::Damaged(format!("{} is invalid", path.display()))),
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(reason.into()),
        }
    }

    /// Writes and syncs a record, and creates the file if it is missing.
    pub(super) fn open(directory: &Path, position: JournalPosition) -> io::Result<Self> {
        let path = directory.join(NAME);
        if fs::symlink_metadata(&path).is_err() {
            // Created under a temporary name, so that it is never incomplete.
            let unfinished = directory.join(NAME_UNFINISHED);
            let mut file = replace_file(&unfinished)?;
            file.write_all(&encode(position))?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(directory)?.sync_all()?;
        }
        let record = Self {
            file: open_file(&path)?,
            has_failed: AtomicBool::new(false),
        };
        record.file.write_all_at(&encode(position), 0)?;
        record.file.sync_data()?;
        Ok(record)
    }

    /// Writes the position up to which the journal has been synced.
    pub(super) fn write(&self, position: JournalPosition) {
        // A failure is not critical: an older record only detects less damage.
        if let Err(reason) = self.file.write_all_at(&encode(position), 0)
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("cannot write the synced position of the journal: {reason}");
        }
    }

    /// Syncs the record.
    pub(super) fn sync(&self) {
        if let Err(reason) = self.file.sync_data() {
            tracing::warn!("cannot sync the synced position of the journal: {reason}");
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
    fn a_record_is_the_last_one_written_or_damaged() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(SyncRecord::read(directory.path()).unwrap(), None);
        let first = JournalPosition {
            journal: 1,
            number: 2,
        };
        let record = SyncRecord::open(directory.path(), first).unwrap();
        assert_eq!(SyncRecord::read(directory.path()).unwrap(), Some(first));
        let second = JournalPosition {
            journal: u64::MAX,
            number: 1 << 60,
        };
        record.write(second);
        assert_eq!(SyncRecord::read(directory.path()).unwrap(), Some(second));
        drop(SyncRecord::open(directory.path(), first).unwrap());
        let path = directory.path().join(NAME);
        let bytes = fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            for wrong in [&changed[..], &bytes[..place]] {
                fs::write(&path, wrong).unwrap();
                let seen = SyncRecord::read(directory.path());
                assert!(
                    matches!(seen, Err(FilesError::Damaged(_))),
                    "{place}: {seen:?}"
                );
            }
        }
    }
}
