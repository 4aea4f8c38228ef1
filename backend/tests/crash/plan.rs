//! What a run is asked for, and how each round of it ends.

use rand::Rng;
use rand::rngs::SmallRng;
use std::time::{Duration, Instant};

/// The longest that anything is waited for: a killed server ends only when the sync that it waits for has, and other
/// programs may be using the disk.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// Rounds unless told otherwise: with faults compiled in, and without, where this is only a first look.
const ROUNDS: u64 = if cfg!(feature = "faults") { 200 } else { 20 };

/// Points that a commit passes; each gets its turn.
pub(crate) const POINTS: [&str; 6] = [
    "before_write",
    "after_write",
    "before_sync",
    "after_sync",
    "before_done",
    "in_sweep",
];

/// What a run is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CrashSettings {
    pub(crate) seed: u64,
    rounds: u64,
    until: Option<Instant>,
}

impl CrashSettings {
    /// `TAILWATER_CRASH_SEED`, `TAILWATER_CRASH_ROUNDS`, `TAILWATER_CRASH_FOR`.
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

    /// Whether there is to be another round after so many.
    pub(crate) fn goes_on(&self, rounds: u64) -> bool {
        match self.until {
            Some(until) => Instant::now() < until,
            None => rounds < self.rounds,
        }
    }
}

/// How a round ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Death {
    /// SIGKILL after so long.
    Kill(Duration),
    /// SIGKILL after so long, or as soon as a creation or deletion was answered.
    KillAtAnswer(Duration),
    /// The process aborts at a point, `k`-th pass; SIGKILL if it does not in time.
    Abort(&'static str, u32),
    /// A point fails once with an input or output error; then SIGKILL.
    Error(&'static str, u32),
    /// SIGTERM.
    Stop(Duration),
}

impl Death {
    /// The one of round `round`, so that each point gets its turn.
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
            _ if random.random_ratio(1, 4) => Self::KillAtAnswer(after),
            _ => Self::Kill(after),
        }
    }

    /// The point at which the process is to end by itself.
    pub(crate) fn point(&self) -> Option<&'static str> {
        match self {
            Self::Abort(point, _) => Some(point),
            Self::Kill(_) | Self::KillAtAnswer(_) | Self::Stop(_) | Self::Error(..) => None,
        }
    }

    /// `TAILWATER_FAULT`.
    pub(crate) fn fault(&self) -> Option<String> {
        match self {
            Self::Kill(_) | Self::KillAtAnswer(_) | Self::Stop(_) => None,
            Self::Abort(point, pass) => Some(format!("{point}:{pass}:abort")),
            Self::Error(point, pass) => Some(format!("{point}:{pass}:error")),
        }
    }
}
