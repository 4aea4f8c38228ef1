//! Faults on request, for tests: at a named point of a commit the process aborts or an error comes back.
//!
//! `TAILWATER_FAULT=point:k:what` strikes when that point is passed for the k-th time, counted from 1. `what` is `abort`
//! (of the process), `error` (as if the medium had failed) or `panic` (as if there were a bug).
//! Compiled with the feature `faults` and into this crate's own tests only; otherwise nothing is left of it.

/// A point that a commit passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Nothing was written yet.
    BeforeWrite,
    /// Everything was given to the system.
    AfterWrite,
    /// Before it is told to make it durable.
    BeforeSync,
    /// It is durable; nobody was told.
    AfterSync,
    /// It can be read; the writers are told next.
    BeforeDone,
    /// Between two pieces of a sweep.
    InSweep,
}

#[cfg(not(any(test, feature = "faults")))]
mod planned {
    /// Never a fault.
    #[derive(Debug, Default)]
    pub(in super::super) struct Faults;

    impl Faults {
        pub(in super::super) fn from_environment() -> Self {
            Self
        }

        #[expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "what tests are built with can fail"
        )]
        pub(in super::super) fn pass(
            &self,
            _: super::Point,
        ) -> Result<(), super::super::engine::EngineError> {
            Ok(())
        }
    }
}

#[cfg(any(test, feature = "faults"))]
mod planned {
    use super::super::engine::EngineError;
    use super::Point;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A fault that strikes once, if one is planned.
    #[derive(Debug, Default)]
    pub(in super::super) struct Faults {
        plan: Option<Plan>,
    }

    #[derive(Debug)]
    struct Plan {
        point: Point,
        /// Passes until it strikes.
        left: AtomicU64,
        strike: Strike,
    }

    #[derive(Debug, Clone, Copy)]
    enum Strike {
        Abort,
        Error,
        Panic,
    }

    impl Faults {
        /// What `TAILWATER_FAULT` asks for.
        pub(in super::super) fn from_environment() -> Self {
            let Ok(text) = std::env::var("TAILWATER_FAULT") else {
                return Self::default();
            };
            let faults = Self::parse(&text);
            if faults.plan.is_none() {
                tracing::error!(
                    "TAILWATER_FAULT=`{text}` is not point:k:abort, point:k:error or point:k:panic: no fault will strike"
                );
            }
            faults
        }

        /// The fault that `text` describes, or none.
        pub(in super::super) fn parse(text: &str) -> Self {
            let mut parts = text.split(':');
            let point = parts.next().and_then(Point::named);
            let left = parts
                .next()
                .and_then(|count| count.parse().ok())
                .filter(|count| *count > 0);
            let strike = match parts.next() {
                Some("abort") => Some(Strike::Abort),
                Some("error") => Some(Strike::Error),
                Some("panic") => Some(Strike::Panic),
                _ => None,
            };
            let plan = point.zip(left).zip(strike);
            Self {
                plan: plan.map(|((point, left), strike)| Plan {
                    point,
                    left: AtomicU64::new(left),
                    strike,
                }),
            }
        }

        /// Strikes if it is time.
        ///
        /// # Errors
        /// The planned one.
        ///
        /// # Panics
        /// When that is planned.
        #[expect(clippy::panic, reason = "what is to be tested is a panic")]
        pub(in super::super) fn pass(&self, point: Point) -> Result<(), EngineError> {
            let Some(plan) = self.plan.as_ref().filter(|plan| plan.point == point) else {
                return Ok(());
            };
            let before = plan
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                });
            match (before, plan.strike) {
                (Ok(1), Strike::Abort) => std::process::abort(),
                (Ok(1), Strike::Panic) => panic!("planned fault at {point:?}"),
                (Ok(1), Strike::Error) => Err(point.error()),
                _ => Ok(()),
            }
        }
    }

    impl Point {
        /// As if the medium had failed here. Once something was written, nobody knows how far that came.
        fn error(self) -> EngineError {
            let what = format!("planned fault at {self:?}");
            if self == Self::BeforeWrite {
                EngineError::Passing(what)
            } else {
                EngineError::Lasting(what)
            }
        }

        fn named(name: &str) -> Option<Self> {
            match name {
                "before_write" => Some(Self::BeforeWrite),
                "after_write" => Some(Self::AfterWrite),
                "before_sync" => Some(Self::BeforeSync),
                "after_sync" => Some(Self::AfterSync),
                "before_done" => Some(Self::BeforeDone),
                "in_sweep" => Some(Self::InSweep),
                _ => None,
            }
        }
    }
}

pub(super) use planned::Faults;
