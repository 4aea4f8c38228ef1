//! Fault injection for tests: at a named point of a commit, the process aborts, an error is returned, or a panic occurs.
//!
//! `TAILWATER_FAULT=point:k:kind` triggers when the point is reached for the k-th time, counted from 1.
//! `kind` is `abort` (of the process), `error` (as if the disk had failed) or `panic` (as if there were
//! a bug). Compiled only with the feature `faults` and in this crate's own tests.

/// A point at which a fault can be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultPoint {
    /// Before the commit is written.
    BeforeWrite,
    /// After the commit was written to the operating system.
    AfterWrite,
    /// Before the commit is synced.
    BeforeSync,
    /// After the commit was synced.
    AfterSync,
    /// Before the commit is published and acknowledged.
    BeforeDone,
    /// Between two batches of a sweep.
    InSweep,
}

#[cfg(not(any(test, feature = "faults")))]
mod planned {
    /// No faults.
    #[derive(Debug, Default)]
    pub(in super::super) struct Faults;

    impl Faults {
        pub(in super::super) fn from_environment() -> Self {
            Self
        }

        #[expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "the same signature as with the feature `faults`"
        )]
        pub(in super::super) fn pass(
            &self,
            _: super::FaultPoint,
        ) -> Result<(), super::super::engine::EngineError> {
            Ok(())
        }
    }
}

#[cfg(any(test, feature = "faults"))]
mod planned {
    use super::super::engine::EngineError;
    use super::FaultPoint;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A planned fault, which triggers once.
    #[derive(Debug, Default)]
    pub(in super::super) struct Faults {
        plan: Option<Plan>,
    }

    #[derive(Debug)]
    struct Plan {
        point: FaultPoint,
        /// The number of times that the point is reached before the fault triggers.
        left: AtomicU64,
        kind: FaultKind,
    }

    #[derive(Debug, Clone, Copy)]
    enum FaultKind {
        Abort,
        Error,
        Panic,
    }

    impl Faults {
        /// The fault that `TAILWATER_FAULT` describes.
        pub(in super::super) fn from_environment() -> Self {
            let Ok(text) = std::env::var("TAILWATER_FAULT") else {
                return Self::default();
            };
            let faults = Self::parse(&text);
            if faults.plan.is_none() {
                tracing::error!(
                    "TAILWATER_FAULT=`{text}` is not point:k:abort, point:k:error or point:k:panic: no fault is injected"
                );
            }
            faults
        }

        /// The fault that `text` describes, or none.
        pub(in super::super) fn parse(text: &str) -> Self {
            let mut parts = text.split(':');
            let point = parts.next().and_then(FaultPoint::named);
            let left = parts
                .next()
                .and_then(|count| count.parse().ok())
                .filter(|count| *count > 0);
            let kind = match parts.next() {
                Some("abort") => Some(FaultKind::Abort),
                Some("error") => Some(FaultKind::Error),
                Some("panic") => Some(FaultKind::Panic),
                _ => None,
            };
            let plan = point.zip(left).zip(kind);
            Self {
                plan: plan.map(|((point, left), kind)| Plan {
                    point,
                    left: AtomicU64::new(left),
                    kind,
                }),
            }
        }

        /// Triggers the planned fault if it is due.
        ///
        /// # Errors
        /// The planned error.
        ///
        /// # Panics
        /// Panics if a panic is planned.
        #[expect(clippy::panic, reason = "an injected panic")]
        pub(in super::super) fn pass(&self, point: FaultPoint) -> Result<(), EngineError> {
            let Some(plan) = self.plan.as_ref().filter(|plan| plan.point == point) else {
                return Ok(());
            };
            let before = plan
                .left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                });
            match (before, plan.kind) {
                (Ok(1), FaultKind::Abort) => std::process::abort(),
                (Ok(1), FaultKind::Panic) => panic!("planned fault at {point:?}"),
                (Ok(1), FaultKind::Error) => Err(point.error()),
                _ => Ok(()),
            }
        }
    }

    impl FaultPoint {
        /// The error of a disk that fails at this point. After a write has started, its result is
        /// unknown, so the error is permanent.
        fn error(self) -> EngineError {
            let what = format!("planned fault at {self:?}");
            if self == Self::BeforeWrite {
                EngineError::Transient(what)
            } else {
                EngineError::Permanent(what)
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
