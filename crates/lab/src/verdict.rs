//! Whether a measurement confirms a prediction: confirmed, refuted or inconclusive, with the numbers.
//!
//! δ is 5 % of the prediction; for latencies it is at least the clock bound, twice the clock's resolution, and 1 % of the
//! claimed effect. Confirmed: the prediction lies within the 95 % interval of the measurement widened by δ. Refuted: it lies
//! outside by more than the 99th percentile of the client's own delay. Inconclusive: it lies between the two, the interval or
//! the spread of single runs is wider than half the claimed effect, the mean of the client's own delay exceeds the allowed
//! distance, or the clocks or the source are not accurate enough. The `Display` text of [`Verdict`] is in English.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

use crate::digits::fixed;

/// The quantity of a claim; determines the unit of all numbers of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Mean latency in milliseconds.
    MeanLatency,
    /// Share of responses without an event, 0 to 1, printed in per cent.
    EmptyShare,
    /// Requests per second.
    RequestRate,
    /// Application bytes per delivered event.
    BytesPerEvent,
}

impl Quantity {
    /// The name as printed.
    fn name(self) -> &'static str {
        match self {
            Self::MeanLatency => "mean",
            Self::EmptyShare => "empty responses",
            Self::RequestRate => "requests",
            Self::BytesPerEvent => "bytes per event",
        }
    }

    /// The unit as printed.
    pub fn unit(self) -> &'static str {
        match self {
            Self::MeanLatency => "ms",
            Self::EmptyShare => "%",
            Self::RequestRate => "/s",
            Self::BytesPerEvent => "B",
        }
    }

    /// `value` as printed, without the unit: per cent for shares; three significant digits, no decimals from 100 on.
    pub fn format(self, value: f64) -> String {
        let value = if self == Self::EmptyShare {
            value * 100.0
        } else {
            value
        };
        let digits = match value.abs() {
            large if large >= 99.95 => 0,
            middle if middle >= 9.995 => 1,
            _ => 2,
        };
        fixed(value, digits)
    }

    /// Whether it depends on the offset between the clocks.
    fn needs_clocks(self) -> bool {
        self == Self::MeanLatency
    }
}

/// A measured value with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The measured value, in the unit of its [`Quantity`].
    pub value: f64,
    /// Half the width of its 95 % confidence interval, same unit.
    #[serde(deserialize_with = "infinite_if_null")]
    pub ci95: f64,
    /// Number of observations.
    pub n: u64,
}

/// Reads the `null` that JSON has for an infinite number.
fn infinite_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// The normal quantile for 95 %.
const Z95: f64 = 1.96;

impl Measurement {
    /// With fewer independent observations every verdict is inconclusive.
    pub const INDEPENDENT_MIN: u64 = 30;

    /// A mean of `n` observations with standard deviation `deviation`, of which `independent` are independent.
    pub fn of_mean(value: f64, deviation: f64, n: u64, independent: u64) -> Self {
        let independent = independent.min(n).max(1);
        let enough = independent >= Self::INDEPENDENT_MIN;
        let ci95 = if enough {
            Z95 * deviation / (independent as f64).sqrt()
        } else {
            f64::INFINITY
        };
        Self { value, ci95, n }
    }

    /// `hits` of `n`. Source of the interval: Wilson 1927.
    pub fn of_share(hits: u64, n: u64) -> Self {
        if n < Self::INDEPENDENT_MIN {
            return Self {
                value: if n == 0 { 0.0 } else { hits as f64 / n as f64 },
                ci95: f64::INFINITY,
                n,
            };
        }
        let (count, share) = (n as f64, hits as f64 / n as f64);
        let scale = 1.0 + Z95 * Z95 / count;
        let ci95 = Z95 * (share * (1.0 - share) / count + Z95 * Z95 / (4.0 * count * count)).sqrt()
            / scale;
        let centre = (share + Z95 * Z95 / (2.0 * count)) / scale;
        // The interval is not centred on the share: use the more distant end.
        Self {
            value: share,
            ci95: ci95 + (centre - share).abs(),
            n,
        }
    }

    /// `count` independent events divided by `per` (seconds, events): a rate with its Poisson error.
    pub fn of_count(count: u64, per: f64) -> Self {
        let value = count as f64 / per;
        let enough = count >= Self::INDEPENDENT_MIN && per > 0.0;
        Self {
            value,
            ci95: if enough {
                Z95 * (count as f64).sqrt() / per
            } else {
                f64::INFINITY
            },
            n: count,
        }
    }

    /// A value counted without error, such as bytes.
    pub fn exact(value: f64, n: u64) -> Self {
        Self {
            value,
            ci95: if n == 0 { f64::INFINITY } else { 0.0 },
            n,
        }
    }
}

/// A prediction to be verified.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The predicted quantity.
    pub quantity: Quantity,
    /// The predicted value.
    pub predicted: f64,
    /// The claimed effect: the distance of the prediction from "no effect" (half an interval for polling).
    ///
    /// The confidence interval must be narrower than half of it.
    pub effect: f64,
    /// How far a single run may differ from a correct prediction (fixed phase), same unit.
    pub spread: f64,
}

/// Conditions that may have disturbed the run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Guards {
    /// Bound of the clocks' offset, milliseconds.
    #[serde(deserialize_with = "infinite_if_null")]
    pub clock_bound_ms: f64,
    /// Resolution of the client's clock, milliseconds.
    pub resolution_ms: f64,
    /// 99th percentile of the source's own lateness, milliseconds.
    pub source_late_ms: f64,
    /// 99th percentile of the delay that the client itself (browser and machine) adds to an event, milliseconds.
    pub client_ms: f64,
    /// Mean of that delay, as contained in the prediction, milliseconds.
    pub client_mean_ms: f64,
    /// The smallest latency, milliseconds; the clocks are wrong if it is below minus the bound. `None` without latencies.
    pub smallest_latency_ms: Option<f64>,
}

/// Why a verdict is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "doubt", rename_all = "kebab-case")]
pub enum Doubt {
    /// The confidence interval is too wide.
    TooFew {
        /// Seconds still needed at the current rate, if known.
        more_s: Option<f64>,
    },
    /// The bound of the clock offset is too large for this effect.
    ClockUnsure {
        /// Bound in milliseconds.
        bound_ms: f64,
    },
    /// An event arrived before it was sent, by more than the bound of the clock offset.
    BeforeItsTime {
        /// The smallest latency in milliseconds.
        latency_ms: f64,
    },
    /// The phase between events and requests is fixed, so that a single run can lie anywhere within the spread.
    FixedPhase {
        /// How far single runs may differ, milliseconds.
        spread_ms: f64,
    },
    /// The source itself was late by more than δ.
    SourceLate {
        /// 99th percentile in milliseconds.
        late_ms: f64,
    },
    /// The client's own delay exceeds the allowed distance between measurement and prediction, or can explain their difference.
    ClientBusy {
        /// 99th percentile of that delay in milliseconds.
        client_ms: f64,
    },
}

impl Doubt {
    /// The delay from which a client counts as busy, in milliseconds. Shorter delays are normal.
    pub const BUSY_MS: f64 = 5.0;
}

/// The conclusion of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// The prediction lies within the allowed error.
    Confirmed,
    /// The prediction lies outside of the allowed error.
    Refuted,
    /// The measurement does not decide.
    Inconclusive {
        /// The reason.
        why: Doubt,
    },
}

/// A finding with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The conclusion.
    pub finding: Finding,
    /// The prediction.
    pub claim: Claim,
    /// The measured value.
    pub sample: Measurement,
    /// The allowed distance between measurement and prediction: 95 % interval, δ and spread of a single run.
    pub allowed: f64,
    /// Conditions that may have disturbed the run.
    pub guards: Guards,
}

/// The least δ, as a share of the prediction.
const RELATIVE: f64 = 0.05;
/// The least δ of a latency, as a share of the claimed effect: a smaller difference does not contradict the claim.
const OF_EFFECT: f64 = 0.01;

/// Compares `sample` with `claim`.
///
/// - `samples_per_s`: observations per second, for the time still needed; 0 if unknown.
pub fn judge(claim: Claim, sample: Measurement, guards: Guards, samples_per_s: f64) -> Verdict {
    let timed = if claim.quantity.needs_clocks() {
        guards
            .clock_bound_ms
            .max(2.0 * guards.resolution_ms)
            .max(OF_EFFECT * claim.effect.abs())
    } else {
        0.0
    };
    let delta = timed.max(RELATIVE * claim.predicted.abs());
    let allowed = sample.ci95 + delta + claim.spread;
    let finding = match doubt(&claim, &sample, &guards, (delta, allowed), samples_per_s) {
        Some(why) => Finding::Inconclusive { why },
        None if (sample.value - claim.predicted).abs() <= allowed => Finding::Confirmed,
        None => Finding::Refuted,
    };
    Verdict {
        finding,
        claim,
        sample,
        allowed,
        guards,
    }
}

/// The most serious reason why the verdict is inconclusive, if any.
fn doubt(
    claim: &Claim,
    sample: &Measurement,
    guards: &Guards,
    (delta, allowed): (f64, f64),
    samples_per_s: f64,
) -> Option<Doubt> {
    let half_effect = claim.effect.abs() / 2.0;
    if claim.quantity.needs_clocks() {
        let early = guards
            .smallest_latency_ms
            .filter(|latency| *latency < -guards.clock_bound_ms);
        if let Some(latency_ms) = early {
            return Some(Doubt::BeforeItsTime { latency_ms });
        }
        if guards.clock_bound_ms > half_effect {
            return Some(Doubt::ClockUnsure {
                bound_ms: guards.clock_bound_ms,
            });
        }
        if guards.source_late_ms > delta.max(half_effect) {
            return Some(Doubt::SourceLate {
                late_ms: guards.source_late_ms,
            });
        }
    }
    // More observations of the same run do not help.
    if claim.spread > half_effect {
        return Some(Doubt::FixedPhase {
            spread_ms: claim.spread,
        });
    }
    if sample.n == 0 || sample.ci95 > half_effect {
        return Some(Doubt::TooFew {
            more_s: more_seconds(claim, sample, samples_per_s),
        });
    }
    // A share of the client's delay may be missing in the prediction, but hardly more than one event in a hundred waits for.
    let difference = (sample.value - claim.predicted).abs();
    let is_explained = difference > allowed && difference <= allowed + guards.client_ms;
    let is_busy = guards.client_mean_ms > allowed || is_explained;
    (claim.quantity.needs_clocks() && is_busy).then_some(Doubt::ClientBusy {
        client_ms: guards.client_ms,
    })
}

/// The time until the interval is half the effect, at a constant rate of observations.
fn more_seconds(claim: &Claim, sample: &Measurement, samples_per_s: f64) -> Option<f64> {
    if samples_per_s <= 0.0 {
        return None;
    }
    let (n, half_effect) = (sample.n as f64, claim.effect.abs() / 2.0);
    let needed = if sample.ci95.is_finite() && half_effect > 0.0 {
        n * (sample.ci95 / half_effect).powi(2)
    } else {
        Measurement::INDEPENDENT_MIN as f64
    };
    Some(((needed - n) / samples_per_s).max(1.0))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (quantity, unit) = (self.claim.quantity, self.claim.quantity.unit());
        let word = match self.finding {
            Finding::Confirmed => "CONFIRMED",
            Finding::Refuted => "REFUTED",
            Finding::Inconclusive { .. } => "INCONCLUSIVE",
        };
        let space = if unit == "ms" || unit == "B" { " " } else { "" };
        write!(
            f,
            "{word} {} {}{space}{unit}, predicted {}",
            quantity.name(),
            quantity.format(self.sample.value),
            quantity.format(self.claim.predicted)
        )?;
        if self.allowed.is_finite() {
            write!(f, " ± {}", quantity.format(self.allowed))?;
        }
        write!(f, " (n = {}", self.sample.n)?;
        if quantity.needs_clocks() {
            write!(
                f,
                ", clock ± {} ms",
                quantity.format(self.guards.clock_bound_ms)
            )?;
        }
        f.write_str(")")?;
        match self.finding {
            Finding::Inconclusive { why } => write!(f, ": {why}"),
            Finding::Confirmed | Finding::Refuted => Ok(()),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew {
                more_s: Some(more_s),
            } => write!(f, "needs about {} more seconds", fixed(*more_s, 0)),
            Self::TooFew { more_s: None } => f.write_str("needs more observations"),
            Self::ClockUnsure { bound_ms } => {
                write!(
                    f,
                    "the clock offset is only known to ± {} ms, more than half the effect",
                    fixed(*bound_ms, 2)
                )
            }
            Self::BeforeItsTime { latency_ms } => {
                write!(
                    f,
                    "an event arrived {} ms before it was sent: the clocks are wrong",
                    fixed(-latency_ms, 2)
                )
            }
            Self::FixedPhase { spread_ms } => {
                write!(
                    f,
                    "the phase is fixed: single runs differ by up to ± {} ms",
                    fixed(*spread_ms, 0)
                )
            }
            Self::SourceLate { late_ms } => {
                write!(f, "the source was late by {} ms (p99)", fixed(*late_ms, 1))
            }
            Self::ClientBusy { client_ms } if *client_ms < Self::BUSY_MS => write!(
                f,
                "too close to tell: the client's own delay is up to {} ms (p99)",
                fixed(*client_ms, 1)
            ),
            Self::ClientBusy { client_ms } => {
                write!(f, "the client was busy (p99 {} ms)", fixed(*client_ms, 1))
            }
        }
    }
}

#[cfg(test)]
mod tests;
