//! The settings of a run, and how each of its rounds ends.

use rand::Rng;
use rand::rngs::SmallRng;
use std::time::{Duration, Instant};

/// The longest wait. A killed server ends only after a sync in progress, and other programs may use
/// the disk.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// The default number of rounds: with faults compiled in, and without, where the run is only a
/// first check.
const ROUNDS: u64 = if cfg!(feature = "faults") { 200 } else { 20 };

/// Points that every commit passes; the rounds take turns through them.
pub(crate) const POINTS: [&str; 6] = [
    "before_write",
    "after_write",
    "before_sync",
    "after_sync",
    "before_done",
    "in_sweep",
];

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashSettings {
    pub(crate) seed: u64,
    rounds: u64,
    until: Option<Instant>,
}

impl CrashSettings {
    /// Reads `TAILWATER_CRASH_SEED`, `TAILWATER_CRASH_ROUNDS` and `TAILWATER_CRASH_FOR`.
    pub(crate) fn from_environment() -> Self {
        let number = |name| {
            std::env::var(name)
                .ok()
                .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
        };
        let time = std::env::var("TAILWATER_CRASH_FOR").ok();
        let time = time.map(|text| {
            tailwater::config::values::duration_value(&text)
                .unwrap_or_else(|why| panic!("{text}: {why}"))
        });
        Self {
            seed: number("TAILWATER_CRASH_SEED")
                .unwrap_or_else(|| u64::from(rand::random::<u32>())),
            rounds: number("TAILWATER_CRASH_ROUNDS").unwrap_or(ROUNDS),
            until: time.map(|time| Instant::now() + time),
        }
    }

    /// Whether another round follows after `rounds`.
    pub(crate) fn goes_on(&self, rounds: u64) -> bool {
        match self.until {
            Some(until) => Instant::now() < until,
            None => rounds < self.rounds,
        }
    }
}

/// How a round ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoundEnd {
    /// SIGKILL after a time.
    Kill(Duration),
    /// SIGKILL after a time, or as soon as a creation or deletion has been answered.
    KillAtResponse(Duration),
    /// The process aborts when it passes a point for the `k`-th time; SIGKILL if it does not in
    /// time.
    Abort(&'static str, u32),
    /// A point fails once with an I/O error; then SIGKILL.
    Error(&'static str, u32),
    /// SIGTERM.
    Stop(Duration),
}

impl RoundEnd {
    /// The end of round `round`; each point gets its turn.
    pub(crate) fn of(round: u64, random: &mut SmallRng) -> Self {
        let after = Duration::from_millis(random.random_range(50..300));
        let place = usize::try_from(round / 2).unwrap_or_default();
        let point = POINTS[place % POINTS.len()];
        let most = [4, 15, 40][random.random_range(0..3)];
        let pass = if point == "in_sweep" {
            1
        } else {
            random.random_range(1..=most)
        };
        match round % 2 {
            0 if random.random_ratio(1, 12) => Self::Stop(after),
            1 if cfg!(feature = "faults") && place / POINTS.len() % 4 == 3 => {
                Self::Error(point, pass)
            }
            1 if cfg!(feature = "faults") => Self::Abort(point, pass),
            _ if random.random_ratio(1, 4) => Self::KillAtResponse(after),
            _ => Self::Kill(after),
        }
    }

    /// The point at which the process aborts.
    pub(crate) fn point(&self) -> Option<&'static str> {
        match self {
            Self::Abort(point, _) => Some(point),
            Self::Kill(_) | Self::KillAtResponse(_) | Self::Stop(_) | Self::Error(..) => None,
        }
    }

    /// The value of `TAILWATER_FAULT`.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Kill(_) | Self::KillAtResponse(_) | Self::Stop(_) => None,
            Self::Abort(point, pass) => Some(format!("{point}:{pass}:abort")),
            Self::Error(point, pass) => Some(format!("{point}:{pass}:error")),
        }
    }
}
