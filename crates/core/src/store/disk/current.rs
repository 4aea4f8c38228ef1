//! The engine in use, and its replacement after a failure that passes: closed, its files looked over, and opened again.
//!
//! An engine whose write has failed takes no more writes, whatever the reason was: no file could be opened, the disk was full.
//! When the reason is gone, the same files make a new one. What it had failed to write, and nobody was told of, is cut off
//! first, so that the medium holds what memory holds.

use super::engine::{Engine, EngineError};
use super::open::{Directory, DiskOpenError};
use super::space;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// How long a replacement waits for reads under way.
const READS_MAX: Duration = Duration::from_secs(5);
/// How long it waits until what it holds is in tables.
const FLUSH_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);
/// Files that must be free to be opened before an engine is closed: as many as an opening has open at once.
const FILES: usize = 24;
/// Bytes that must be free beside those in memory that have to be written to tables, twice.
const ROOM: u64 = 1 << 20;

/// The engine in use.
#[derive(Debug)]
pub(super) struct Current {
    /// Missing only after a replacement that failed.
    engine: RwLock<Option<Arc<Engine>>>,
    undo_from: Mutex<Option<u64>>,
    /// The last to go: its lock covers the engine's files.
    directory: Arc<Directory>,
}

impl Current {
    pub(super) fn new(directory: Arc<Directory>, engine: Engine) -> Self {
        Self {
            directory,
            engine: RwLock::new(Some(Arc::new(engine))),
            undo_from: Mutex::default(),
        }
    }

    /// The engine, to be dropped soon; waits while it is being replaced.
    ///
    /// # Errors
    /// [`EngineError::Passing`]: the last replacement failed.
    pub(super) fn get(&self) -> Result<Arc<Engine>, EngineError> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        engine.clone().ok_or_else(|| {
            EngineError::Passing("the store's files could not be opened again yet".to_owned())
        })
    }

    /// Puts a new engine in the place of one that failed, and writes to tables what it found in the journal: so it does not
    /// matter whether that was ever synced.
    ///
    /// # Errors
    /// [`EngineError::Passing`]: it may go better later. [`EngineError::Lasting`]: it will not.
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
                DiskOpenError::Damaged { .. } => EngineError::Lasting(refusal.to_string()),
                other => EngineError::Passing(other.to_string()),
            })?;
        let persisted = engine.persisted();
        let engine = Arc::clone(place.insert(Arc::new(engine)));
        drop(place);
        if undo.is_some_and(|undo| persisted >= Some(undo)) {
            return Err(EngineError::Lasting(
                "what failed to be written is on the disk already".to_owned(),
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
            std::thread::sleep(LOOK);
        }
        engine.check()
    }

    /// Whether there are files and room enough to open the engine again, as far as that can be known.
    ///
    /// - Returns the bytes free.
    fn can_open(&self, engine: &Engine) -> Result<u64, EngineError> {
        let passing = |reason: io::Error| EngineError::Passing(reason.to_string());
        let path = self.directory.path();
        let _files: Vec<File> = (0..FILES)
            .map(|_| File::open(path))
            .collect::<Result<_, _>>()
            .map_err(passing)?;
        let (_, free) = space::ask_system(path).map_err(passing)?;
        let needed = engine
            .unwritten_bytes()
            .saturating_mul(2)
            .saturating_add(ROOM);
        if free < needed {
            return Err(EngineError::Passing(format!(
                "{free} bytes of the disk are free, {needed} are needed"
            )));
        }
        Ok(free)
    }
}

/// Closes the engine once nobody reads from it any more.
fn close(place: &mut RwLockWriteGuard<'_, Option<Arc<Engine>>>) -> Result<(), EngineError> {
    let begun = Instant::now();
    while let Some(engine) = place.take() {
        match Arc::try_unwrap(engine) {
            Ok(last) => last.close(),
            Err(shared) => {
                **place = Some(shared);
                if begun.elapsed() > READS_MAX {
                    return Err(EngineError::Passing(
                        "reads under way keep the store's files open".to_owned(),
                    ));
                }
                std::thread::sleep(LOOK);
            }
        }
    }
    Ok(())
}
