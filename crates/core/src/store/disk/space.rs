//! The free space of the file system: appends are refused before it is exhausted, so that deletions and merges are possible.

use super::super::StoreError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The maximum age of a query of the free space, and the maximum number of bytes written since.
const QUERY_AGE_MAX: Duration = Duration::from_millis(200);
const QUERY_BYTES_MAX: u64 = 4 << 20;
/// The number of copies of a change: one in the journal, and one in a table while the journal still exists.
const COPIES: u64 = 2;

/// The free space of the file system.
#[derive(Debug)]
pub(super) struct FreeSpace {
    path: PathBuf,
    reserve: u64,
    queried: Option<Instant>,
    total: u64,
    free: u64,
    taken: u64,
    probe: SpaceProbe,
    /// Whether the last reservation failed.
    pub(super) is_short: bool,
}

/// Queries a file system: total bytes and free bytes.
type SpaceProbe = fn(&Path) -> std::io::Result<(u64, u64)>;

impl FreeSpace {
    /// Creates the state for the file system of `path`, of which `reserve` bytes are left free.
    pub(super) fn new(path: &Path, reserve: u64) -> Self {
        Self {
            path: path.to_owned(),
            reserve,
            queried: None,
            total: 0,
            free: 0,
            taken: 0,
            probe: file_system_space,
            is_short: false,
        }
    }

    /// Reserves space for a change of `needed` bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub(super) fn take(&mut self, needed: u64) -> Result<(), StoreError> {
        let cost = needed.saturating_mul(COPIES);
        let is_fresh = self.queried.is_some_and(|at| at.elapsed() < QUERY_AGE_MAX);
        if !is_fresh || self.taken + cost > QUERY_BYTES_MAX || !self.has(cost) {
            self.query();
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

    fn query(&mut self) {
        match (self.probe)(&self.path) {
            Ok((total, free)) => (self.total, self.free) = (total, free),
            // Without this information nothing is refused; the write itself fails if the disk is full.
            Err(reason) => {
                tracing::warn!(
                    "cannot query the free space of {}: {reason}",
                    self.path.display()
                );
                (self.total, self.free) = (u64::MAX, u64::MAX);
            }
        }
        (self.queried, self.taken) = (Some(Instant::now()), 0);
    }
}

/// The total and the free bytes of the file system of `path`.
pub(super) fn file_system_space(path: &Path) -> std::io::Result<(u64, u64)> {
    let stat = rustix::fs::statvfs(path)?;
    Ok((
        stat.f_blocks.saturating_mul(stat.f_frsize),
        stat.f_bavail.saturating_mul(stat.f_frsize),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(reserve: u64, probe: SpaceProbe) -> FreeSpace {
        FreeSpace {
            probe,
            ..FreeSpace::new(Path::new("/"), reserve)
        }
    }

    #[test]
    fn the_reserve_stays_free_and_refusals_state_the_numbers() {
        let mut space = space(400, |_| Ok((10_000, 1_000)));
        assert_eq!(space.take(250), Ok(()));
        assert_eq!(space.take(50), Ok(()), "600 of 600");
        space.probe = |_| Ok((10_000, 400));
        assert_eq!(
            space.take(1),
            Err(StoreError::Full {
                kept: 9_600,
                limit: 9_600,
                needed: 2
            })
        );
        space.probe = |_| Ok((10_000, 402));
        assert_eq!(
            space.take(1),
            Ok(()),
            "freed space is available immediately"
        );
    }

    #[test]
    fn space_used_since_the_last_query_counts() {
        let mut space = space(0, |_| Ok((10_000, 1_000)));
        assert_eq!(space.take(300), Ok(()));
        assert_eq!(space.free.saturating_sub(space.taken), 400);
        assert!(space.take(600).is_err(), "1,200 bytes where 1,000 are free");
    }

    #[test]
    fn nothing_is_refused_if_the_free_space_is_unknown() {
        let mut space = space(400, |_| Err(std::io::Error::other("no answer")));
        assert_eq!(space.take(u64::MAX / 4), Ok(()));
    }

    #[test]
    fn the_system_reports_free_space_for_this_file_system() {
        let (total, free) = file_system_space(Path::new("/")).unwrap();
        assert!(0 < free && free <= total, "{free} of {total}");
    }
}
