//! The data directory: whose it is, which version, its lock, and the making of an empty one.

use super::super::StoreError;
use super::engine::{Engine, EngineError};
use super::files::{
    FilesError, NO_FOLLOW, OTHERS, create_directory, replace_file, restrict, sync_folder,
};
use super::journal;
use super::synced::SyncedNote;
use super::tables;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that says what the directory is, and what it says.
const MARK: &str = "TAILWATER";
const MARK_TEXT: &str = "tailwater data directory, format 2\n";
/// The file whose lock keeps a second server out.
const LOCK: &str = "lock";
/// The engine's folder, and its name while it is made.
const ENGINE: &str = "db";
const ENGINE_UNFINISHED: &str = "db.new";

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskOpenError {
    /// The system refused.
    #[error(
        "the data directory {path} can't be used: {reason}. Choose another with --data-dir, or --store memory for none"
    )]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Another server has it.
    #[error(
        "the data directory {path} is in use by another server: stop that one, or choose another with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It holds something else.
    #[error(
        "{path} is not a Tailwater data directory: it has no file {MARK}, but `{found}`. Choose an empty or a new one with --data-dir"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// Another version made it.
    #[error("the data directory {path} has another format: expected `{}`, found `{found}`. Use the version of tailwater that made it", MARK_TEXT.trim())]
    Version {
        /// The directory.
        path: PathBuf,
        /// What its mark says.
        found: String,
    },
    /// What it holds is not what was written.
    #[error(
        "the data directory {path} is damaged and not opened: {what}. Nothing in it was changed; restore it from a copy"
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is broken, and where.
        what: String,
    },
    /// Others than its owner can read it.
    #[error(
        "the data directory {path} can be read by others (its mode is {mode:o}), and with it all messages and the keys that \
         webhooks are signed with: chmod 700 {path}"
    )]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No thread for the store.
    #[error("the store can't start its threads: {0}")]
    Thread(io::Error),
}

/// A data directory of ours, locked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked as long as this lives.
    lock: File,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that is forked at this moment has it, too, until it becomes another program.
        if let Err(reason) = self.lock.unlock() {
            tracing::warn!("{} could not be unlocked: {reason}", self.path.display());
        }
    }
}

impl Directory {
    /// Takes a directory, which is made when it is missing.
    pub(super) fn take(path: &Path) -> Result<Self, DiskOpenError> {
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
                "that others can't read what is in {} could not be seen to: {reason}",
                path.display()
            );
        }
        if let Err(exposed @ DiskOpenError::Exposed { .. }) = check_private(path) {
            tracing::warn!("{exposed}. With --strict it is not used");
        }
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the engine, which is made when it is missing, once its files have been looked over.
    ///
    /// - `undo_from`: commits with this number and higher ones have failed and are cut off.
    pub(super) fn engine(&self, undo_from: Option<u64>) -> Result<Engine, DiskOpenError> {
        let path = self.path.join(ENGINE);
        let failed = |reason| DiskOpenError::Io {
            path: path.clone(),
            reason,
        };
        if !path.try_exists().map_err(failed)? {
            self.make_engine(&path)?;
        }
        if let Some(missing) = missing_part(&path).map_err(failed)? {
            return Err(self.damage(format!("{} is missing", missing.display())));
        }
        let unfit = |error| match error {
            FilesError::Io(reason) => DiskOpenError::Io {
                path: path.clone(),
                reason,
            },
            FilesError::Damaged(what) => self.damage(what),
        };
        tables::examine(&path.join("keyspaces")).map_err(unfit)?;
        let synced = SyncedNote::read(&self.path).map_err(unfit)?;
        let reached = journal::examine(&path, synced, undo_from).map_err(unfit)?;
        let engine = Engine::open(&path, reached).map_err(|error| match error {
            EngineError::Passing(what) => failed(io::Error::other(what)),
            EngineError::Lasting(what) => self.damage(what),
        })?;
        // The engine has synced what it found.
        engine.note_in(SyncedNote::open(&self.path, reached).map_err(failed)?);
        Ok(engine)
    }

    /// Makes it under another name first: a crash on the way leaves nothing that looks like one.
    fn make_engine(&self, path: &Path) -> Result<(), DiskOpenError> {
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

    /// The error for what was found broken in here.
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

/// Something that does not belong into a directory of ours or one that is going to be; `None` where all is well.
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

/// Whether nobody but its owner can look into a directory; one that is not there yet will be made so.
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

/// A file without which the engine would take what is there for nothing, and remove it.
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
    fn a_child_with_the_lock_file_does_not_hold_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let taken = Directory::take(&path).unwrap();
        assert!(matches!(
            Directory::take(&path),
            Err(DiskOpenError::InUse { .. })
        ));
        let child = taken.lock.try_clone().unwrap();
        drop(taken);
        Directory::take(&path).unwrap();
        drop(child);
    }
}
