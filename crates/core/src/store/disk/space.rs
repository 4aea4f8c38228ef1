//! Room on the medium: appends are refused while there is still enough left to finish, tidy up and delete.

use super::super::StoreError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a look at the medium counts, and how many bytes may be written on it.
const LOOK_AGE_MAX: Duration = Duration::from_millis(200);
const LOOK_BYTES_MAX: u64 = 4 << 20;
/// A change is written more than once before it rests: to the journal, and to a table while the journal still has it.
const COPIES: u64 = 2;

/// What is left of the medium.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    reserve: u64,
    looked: Option<Instant>,
    total: u64,
    free: u64,
    taken: u64,
    probe: SpaceProbe,
    /// Whether the last one who asked for room got none.
    pub(super) is_short: bool,
}

/// How the medium is asked: its bytes in all, and those that are free.
type SpaceProbe = fn(&Path) -> std::io::Result<(u64, u64)>;

impl Room {
    /// Of the medium that holds `path`; `reserve` bytes of it are left free.
    pub(super) fn new(path: &Path, reserve: u64) -> Self {
        Self {
            path: path.to_owned(),
            reserve,
            looked: None,
            total: 0,
            free: 0,
            taken: 0,
            probe: ask_system,
            is_short: false,
        }
    }

    /// Takes room for a change of so many bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(super) fn take(&mut self, needed: u64) -> Result<(), StoreError> {
        let cost = needed.saturating_mul(COPIES);
        let is_fresh = self.looked.is_some_and(|at| at.elapsed() < LOOK_AGE_MAX);
        if !is_fresh || self.taken + cost > LOOK_BYTES_MAX || !self.has(cost) {
            self.look();
        }
        self.is_short = !self.has(cost);
        if self.is_short {
            let limit = self.total.saturating_sub(self.reserve);
            let kept = self
                .total
                .saturating_sub(self.free.saturating_sub(self.taken))
                .min(limit);
            return Err(StoreError::Full {
                kept,
                limit,
                needed: cost,
            });
        }
        self.taken += cost;
        Ok(())
    }

    fn has(&self, cost: u64) -> bool {
        self.free.saturating_sub(self.taken) >= self.reserve.saturating_add(cost)
    }

    fn look(&mut self) {
        match (self.probe)(&self.path) {
            Ok((total, free)) => (self.total, self.free) = (total, free),
            // What can't be asked is not refused for that: the write will tell.
            Err(reason) => {
                tracing::warn!(
                    "the free space of {} can't be read: {reason}",
                    self.path.display()
                );
                (self.total, self.free) = (u64::MAX, u64::MAX);
            }
        }
        (self.looked, self.taken) = (Some(Instant::now()), 0);
    }
}

/// The bytes of the medium that holds `path`, in all and free.
pub(super) fn ask_system(path: &Path) -> std::io::Result<(u64, u64)> {
    let told = rustix::fs::statvfs(path)?;
    Ok((
        told.f_blocks.saturating_mul(told.f_frsize),
        told.f_bavail.saturating_mul(told.f_frsize),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(reserve: u64, probe: SpaceProbe) -> Room {
        Room {
            probe,
            ..Room::new(Path::new("/"), reserve)
        }
    }

    #[test]
    fn the_reserve_stays_free_and_refusals_state_the_numbers() {
        let mut room = room(400, |_| Ok((10_000, 1_000)));
        assert_eq!(room.take(250), Ok(()));
        assert_eq!(room.take(50), Ok(()), "600 of 600");
        room.probe = |_| Ok((10_000, 400));
        assert_eq!(
            room.take(1),
            Err(StoreError::Full {
                kept: 9_600,
                limit: 9_600,
                needed: 2
            })
        );
        room.probe = |_| Ok((10_000, 402));
        assert_eq!(room.take(1), Ok(()), "room that came free is used at once");
    }

    #[test]
    fn space_used_since_the_last_reading_counts() {
        let mut room = room(0, |_| Ok((10_000, 1_000)));
        assert_eq!(room.take(300), Ok(()));
        assert_eq!(room.free.saturating_sub(room.taken), 400);
        assert!(room.take(600).is_err(), "1,200 bytes where 1,000 are free");
    }

    #[test]
    fn without_a_free_space_reading_nothing_is_refused() {
        let mut room = room(400, |_| Err(std::io::Error::other("no answer")));
        assert_eq!(room.take(u64::MAX / 4), Ok(()));
    }

    #[test]
    fn the_system_reports_free_space_for_this_file_system() {
        let (total, free) = ask_system(Path::new("/")).unwrap();
        assert!(0 < free && free <= total, "{free} of {total}");
    }
}
