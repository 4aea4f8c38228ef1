//! Theoretical predictions for each technique, and verdicts about measurements. No I/O, no clock.
//!
//! The dashboard runs this crate in the browser; the tests run it natively.

pub mod advice;
mod ascending;
pub mod clock;
pub mod digits;
pub mod distribution;
pub mod histogram;
pub mod theory;
pub mod verdict;

pub use advice::{Advice, AdviceReason, Needs, TechniqueCost, advise};
pub use ascending::ascending;
pub use clock::{ClockEstimate, ClockEstimator, ClockProbe, ProbeOutcome};
pub use distribution::LatencyDistribution;
pub use histogram::Latencies;
pub use theory::{
    Arrivals, BodyFraming, BytesPerEvent, Pacing, Prediction, WireSizes, Workload, predict,
};
pub use verdict::{Claim, Doubt, Finding, Guards, Measurement, Quantity, Verdict, judge};
