//! A bounded ring of runs in time order. When it is full, it merges neighbours before it drops the oldest.

use std::collections::VecDeque;

/// Marks that can be joined with the one before when both fall within `grain_ms`.
pub(super) trait JoinedRun {
    /// The time of its last part; not before that of the previous run.
    fn last_ms(&self) -> f64;

    /// Merges `next`, the run after it, into this one; returns `false` without a change if they are too far apart.
    fn absorb(&mut self, next: &Self, grain_ms: f64) -> bool;
}

/// The finest and the coarsest grain: half a pixel of a one-second and of a ten-second picture.
const GRAIN_MS: (f64, f64) = (0.5, 8.0);

/// At most `most` runs, in memory that is allocated once.
///
/// Neighbours within one grain are merged when they are added. When the ring is full, its grain doubles and the runs are
/// merged again: detail is lost, but not the span of time. Only at the coarsest grain the oldest eighth is dropped.
/// When most of the ring is free again, the grain becomes finer again.
#[derive(Debug, Clone)]
pub(super) struct RunRing<T> {
    runs: VecDeque<T>,
    most: usize,
    grain_ms: f64,
}

impl<T: JoinedRun> RunRing<T> {
    /// An empty ring with room for `most` runs, at least 8.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(8);
        Self {
            runs: VecDeque::with_capacity(most),
            most,
            grain_ms: GRAIN_MS.0,
        }
    }

    /// Appends `run`, which is not older than the last one, and drops runs that ended before `keep_from_ms`.
    pub(super) fn push(&mut self, run: T, keep_from_ms: f64) {
        while self
            .runs
            .front()
            .is_some_and(|oldest| oldest.last_ms() < keep_from_ms)
        {
            self.runs.pop_front();
        }
        if self.runs.len() < self.most / 8 {
            self.grain_ms = GRAIN_MS.0;
        }
        if self
            .runs
            .back_mut()
            .is_some_and(|newest| newest.absorb(&run, self.grain_ms))
        {
            return;
        }
        if self.runs.len() == self.most {
            self.make_room();
        }
        self.runs.push_back(run);
    }

    fn make_room(&mut self) {
        let enough = self.most - self.most / 8;
        while self.runs.len() > enough && self.grain_ms < GRAIN_MS.1 {
            self.grain_ms *= 2.0;
            self.join();
        }
        while self.runs.len() > enough {
            self.runs.pop_front();
        }
    }

    fn join(&mut self) {
        let runs = self.runs.make_contiguous();
        let mut kept = 0;
        for next in 1..runs.len() {
            let (before, after) = runs.split_at_mut(next);
            if before[kept].absorb(&after[0], self.grain_ms) {
                continue;
            }
            kept += 1;
            runs.swap(kept, next);
        }
        self.runs.truncate(kept + 1);
    }

    pub(super) fn runs(&self) -> &VecDeque<T> {
        &self.runs
    }

    /// The runs that ended at or after `from_ms`, in order.
    pub(super) fn since(&self, from_ms: f64) -> impl Iterator<Item = &T> {
        self.runs
            .range(self.runs.partition_point(|run| run.last_ms() < from_ms)..)
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.grain_ms = GRAIN_MS.0;
    }
}
