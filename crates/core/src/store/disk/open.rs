//! The data directory: its lock, version and permissions, and the creation of an empty one.

use super::super::StoreError;
use super::engine::{Engine, EngineError};
use super::files::{
    FilesError, NO_FOLLOW, OTHERS, create_directory, replace_file, restrict, sync_folder,
};
use super::journal;
use super::synced::SyncRecord;
use super::tables;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that identifies a data directory, and its content.
const MARK: &str = "TAILWATER";
const MARK_TEXT: &str = "tailwater data directory, format 2\n";
/// The file whose lock prevents a second server from using the directory.
const LOCK: &str = "lock";
/// The engine's folder, and its name until it is complete.
const ENGINE: &str = "db";
const ENGINE_UNFINISHED: &str = "db.new";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskOpenError {
    /// An operation of the file system failed.
    #[error(
        "the data directory {path} cannot be used: {reason}. Choose another with --data-dir, or --store memory for none"
    )]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// Another server uses the directory.
    #[error(
        "the data directory {path} is in use by another server: stop that server, or choose another directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is not empty and not a data directory.
    #[error(
        "{path} is not a Tailwater data directory: it contains `{found}` but no file {MARK}. Choose an empty or a new directory with --data-dir"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The name of a file in the directory.
        found: String,
    },
    /// The directory has the format of another version.
    #[error("the data directory {path} has another format: expected `{}`, found `{found}`. Use the version of tailwater that created it", MARK_TEXT.trim())]
    Version {
        /// The directory.
        path: PathBuf,
        /// The content of its marker file.
        found: String,
    },
    /// Stored data is not as it was written.
    #[error(
        "the data directory {path} is damaged and was not opened: {what}. Nothing in it was changed; restore it from a copy"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// A description of the damage and its place.
        what: String,
    },
    /// Users other than the owner can read the directory.
    #[error(
        "the data directory {path} can be read by others (its mode is {mode:o}), including all messages and the keys that \
         webhooks are signed with: run chmod 700 {path}"
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// The mode of the directory.
        mode: u32,
    },
    /// A thread of the store could not be started.
    #[error("the store cannot start its threads: {0}")]
    Thread(io::Error),
}

/// A locked data directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked until the directory is dropped.
    lock: File,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is forked now inherits the file, and
        // with it the lock, until it executes another program.
        if let Err(reason) = self.lock.unlock() {
            tracing::warn!("cannot unlock {}: {reason}", self.path.display());
        }
    }
}

impl Directory {
    /// Locks and checks a directory, which is created if it is missing.
    pub(super) fn lock(path: &Path) -> Result<Self, DiskOpenError> {
        let at = |place: &Path| {
            let path = place.to_owned();
            move |reason| DiskOpenError::Io { path, reason }
        };
        create_directory(path).map_err(at(path))?;
        if let Some(found) = foreign(path).map_err(at(path))? {
            return Err(DiskOpenError::Foreign {
                path: path.to_owned(),
                found,
            });
        }
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(NO_FOLLOW);
        let lock = options.open(&lock_path).map_err(at(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DiskOpenError::InUse {
                path: path.to_owned(),
            },
            TryLockError::Error(reason) => DiskOpenError::Io {
                path: lock_path,
                reason,
            },
        })?;
        let mark = path.join(MARK);
        match fs::read(&mark) {
            Ok(text) if text == MARK_TEXT.as_bytes() => {}
            Ok(text) => {
                let found = String::from_utf8_lossy(&text)
                    .trim()
                    .chars()
                    .take(80)
                    .collect();
                return Err(DiskOpenError::Version {
                    path: path.to_owned(),
                    found,
                });
            }
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                write_mark(path).map_err(at(&mark))?;
            }
            Err(reason) => return Err(at(&mark)(reason)),
        }
        if let Err(reason) = restrict(path) {
            tracing::warn!(
                "cannot restrict the permissions of the files in {}: {reason}",
                path.display()
            );
        }
        if let Err(exposed @ DiskOpenError::Exposed { .. }) = check_private(path) {
            tracing::warn!("{exposed}. With --strict this is an error");
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks the engine's files and opens the engine, which is created if it is missing.
    ///
    /// - `undo_from`: the number of the first failed commit; it and all later ones are cut off.
    pub(super) fn engine(&self, undo_from: Option<u64>) -> Result<Engine, DiskOpenError> {
        let path = self.path.join(ENGINE);
        let failed = |reason| DiskOpenError::Io {
            path: path.clone(),
            reason,
        };
        if !path.try_exists().map_err(failed)? {
            self.create_engine(&path)?;
        }
        if let Some(missing) = missing_part(&path).map_err(failed)? {
            return Err(self.damage(format!("{} is missing", missing.display())));
        }
        let invalid = |error| match error {
            FilesError::Io(reason) => DiskOpenError::Io {
                path: path.clone(),
                reason,
            },
            FilesError::Damaged(what) => self.damage(what),
        };
        tables::check(&path.join("keyspaces")).map_err(invalid)?;
        let synced = SyncRecord::read(&self.path).map_err(invalid)?;
        let reached = journal::check(&path, synced, undo_from).map_err(invalid)?;
        let engine = Engine::open(&path, reached).map_err(|error| match error {
            EngineError::Transient(what) => failed(io::Error::other(what)),
            EngineError::Permanent(what) => self.damage(what),
        })?;
        // Opening the engine has synced the journal.
        engine.set_sync_record(SyncRecord::open(&self.path, reached).map_err(failed)?);
        Ok(engine)
    }

    /// Creates the engine's folder under a temporary name first, so that a crash cannot leave an
    /// incomplete one.
    fn create_engine(&self, path: &Path) -> Result<(), DiskOpenError> {
        let unfinished = self.path.join(ENGINE_UNFINISHED);
        let failed = |reason| DiskOpenError::Io {
            path: unfinished.clone(),
            reason,
        };
        match fs::remove_dir_all(&unfinished) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => return Err(failed(reason)),
            _ => {}
        }
        Engine::create(&unfinished).map_err(|error| failed(io::Error::other(error.to_string())))?;
        fs::rename(&unfinished, path).map_err(failed)?;
        sync_folder(&self.path).map_err(failed)
    }

    /// The error for damage that the store has found.
    pub(super) fn damaged(&self, error: &StoreError) -> DiskOpenError {
        self.damage(match error {
            StoreError::Damaged(what) => what.clone(),
            other => other.to_string(),
        })
    }

    fn damage(&self, what: String) -> DiskOpenError {
        DiskOpenError::Damaged {
            path: self.path.clone(),
            what,
        }
    }
}

/// The name of a file in a directory that is neither a data directory nor empty; `None` otherwise.
fn foreign(path: &Path) -> io::Result<Option<String>> {
    if path.join(MARK).try_exists()? {
        return Ok(None);
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != LOCK && name != unfinished_mark().as_str() {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

fn unfinished_mark() -> String {
    format!("{MARK}.new")
}

fn write_mark(path: &Path) -> io::Result<()> {
    let unfinished = path.join(unfinished_mark());
    let mut file = replace_file(&unfinished)?;
    file.write_all(MARK_TEXT.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path.join(MARK))?;
    sync_folder(path)
}

/// Checks that only the owner can access a directory, if it exists.
pub(super) fn check_private(path: &Path) -> Result<(), DiskOpenError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() && found.mode() & OTHERS != 0 => Err(DiskOpenError::Exposed {
            path: path.to_owned(),
            mode: found.mode() & 0o7777,
        }),
        Err(reason) if reason.kind() != io::ErrorKind::NotFound => Err(DiskOpenError::Io {
            path: path.to_owned(),
            reason,
        }),
        _ => Ok(()),
    }
}

/// A missing file without which the engine would treat existing data as garbage and remove it.
fn missing_part(engine: &Path) -> io::Result<Option<PathBuf>> {
    let spaces = engine.join("keyspaces");
    for part in [engine.join("version"), spaces.clone()] {
        if !part.try_exists()? {
            return Ok(Some(part));
        }
    }
    for entry in fs::read_dir(&spaces)? {
        let part = entry?.path().join("current");
        if !part.try_exists()? {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_process_with_the_lock_file_does_not_hold_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let locked = Directory::lock(&path).unwrap();
        assert!(matches!(
            Directory::lock(&path),
            Err(DiskOpenError::InUse { .. })
        ));
        let child = locked.lock.try_clone().unwrap();
        drop(locked);
        Directory::lock(&path).unwrap();
        drop(child);
    }
}
