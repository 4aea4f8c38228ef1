//! The engine in use, and its replacement after a transient failure.
//!
//! After a failed write, an engine refuses all further writes, even if the cause (a full disk, no
//! free file descriptors) is temporary. When the cause has been removed, the engine is closed and its
//! files are checked and opened again. Failed commits, which were not acknowledged, are cut off first,
//! so that disk and memory agree.

use super::engine::{Engine, EngineError};
use super::open::{Directory, DiskOpenError};
use super::space;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// The maximum time that a replacement waits for pending reads.
const READS_MAX: Duration = Duration::from_secs(5);
/// The maximum time that it waits for data to be written to tables.
const FLUSH_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The number of files that can be opened before an engine is closed, as needed to open it again.
const FILES: usize = 24;
/// The number of free bytes required in addition to twice the unwritten bytes.
const ROOM: u64 = 1 << 20;

/// The engine in use.
#[derive(Debug)]
pub(super) struct CurrentEngine {
    /// `None` only after a failed replacement.
    engine: RwLock<Option<Arc<Engine>>>,
    undo_from: Mutex<Option<u64>>,
    /// The last field, because its lock protects the engine's files.
    directory: Arc<Directory>,
}

impl CurrentEngine {
    pub(super) fn new(directory: Arc<Directory>, engine: Engine) -> Self {
        Self {
            directory,
            engine: RwLock::new(Some(Arc::new(engine))),
            undo_from: Mutex::default(),
        }
    }

    /// The engine; waits while it is being replaced. Must be dropped soon, because a replacement waits
    /// for it.
    ///
    /// # Errors
    /// [`EngineError::Transient`]: the last replacement failed.
    pub(super) fn get(&self) -> Result<Arc<Engine>, EngineError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        engine.clone().ok_or_else(|| {
            EngineError::Transient("the store's files could not be opened again yet".to_owned())
        })
    }

    /// Replaces a failed engine, and writes the content of the journal to tables, so that it is
    /// durable even if the journal was not synced.
    ///
    /// # Errors
    /// [`EngineError::Transient`]: the replacement may succeed later. [`EngineError::Permanent`]: it will
    /// not.
    pub(super) fn replace(&self) -> Result<(), EngineError> {
        let mut place = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*place {
            let free = self.can_open(engine)?;
            tracing::debug!("the store's files are opened again, with {free} bytes free");
            let mut undo = self
                .undo_from
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *undo = undo.or(engine.undo_from());
        }
        close(&mut place)?;
        let undo = *self
            .undo_from
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let engine = self
            .directory
            .engine(undo)
            .map_err(|refusal| match refusal {
                DiskOpenError::Damaged { .. } => EngineError::Permanent(refusal.to_string()),
                other => EngineError::Transient(other.to_string()),
            })?;
        let persisted = engine.persisted();
        let engine = Arc::clone(place.insert(Arc::new(engine)));
        drop(place);
        if undo.is_some_and(|undo| persisted >= Some(undo)) {
            return Err(EngineError::Permanent(
                "a failed commit is already in the tables".to_owned(),
            ));
        }
        *self
            .undo_from
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        engine.flush()?;
        let begun = Instant::now();
        while engine.is_flushing() && begun.elapsed() < FLUSH_MAX {
            engine.check()?;
            std::thread::sleep(POLL_INTERVAL);
        }
        engine.check()
    }

    /// Checks that there are enough file descriptors and enough free space to open the engine again.
    ///
    /// - Returns the number of free bytes.
    fn can_open(&self, engine: &Engine) -> Result<u64, EngineError> {
        let transient = |reason: io::Error| EngineError::Transient(reason.to_string());
        let path = self.directory.path();
        let _files: Vec<File> = (0..FILES)
            .map(|_| File::open(path))
            .collect::<Result<_, _>>()
            .map_err(transient)?;
        let (_, free) = space::file_system_space(path).map_err(transient)?;
        let needed = engine
            .unwritten_bytes()
            .saturating_mul(2)
            .saturating_add(ROOM);
        if free < needed {
            return Err(EngineError::Transient(format!(
                "{free} bytes of the disk are free, {needed} are needed"
            )));
        }
        Ok(free)
    }
}

/// Closes the engine after pending reads have completed.
fn close(place: &mut RwLockWriteGuard<'_, Option<Arc<Engine>>>) -> Result<(), EngineError> {
    let begun = Instant::now();
    while let Some(engine) = place.take() {
        match Arc::try_unwrap(engine) {
            Ok(last) => last.close(),
            Err(shared) => {
                **place = Some(shared);
                if begun.elapsed() > READS_MAX {
                    return Err(EngineError::Transient(
                        "pending reads keep the store's files open".to_owned(),
                    ));
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }
    Ok(())
}
