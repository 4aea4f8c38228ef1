//! Latencies of one lane, recorded in microseconds; returns percentiles, points of the curve, and a measurement.

use crate::verdict::Measurement;
use hdrhistogram::Histogram;

/// One hour; longer latencies are recorded as this.
const LONGEST_US: u64 = 3_600_000_000;

/// Latencies in microseconds with three significant digits; memory grows with the range, not with the count.
///
/// Mean and deviation are exact. A latency below zero (an error of the clock offset) is recorded as zero in the buckets,
/// but unchanged in the mean and the minimum.
#[derive(Debug, Clone)]
pub struct Latencies {
    buckets: Histogram<u64>,
    mean_us: f64,
    squares_us2: f64,
    min_us: f64,
    max_us: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// An empty histogram.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "three digits from one to an hour is a constant range that the crate accepts"
    )]
    pub fn new() -> Self {
        let mut buckets =
            Histogram::new_with_bounds(1, 1_000_000, 3).expect("a valid constant range");
        buckets.auto(true);
        Self {
            buckets,
            mean_us: 0.0,
            squares_us2: 0.0,
            min_us: f64::INFINITY,
            max_us: f64::NEG_INFINITY,
        }
    }

    /// Records one latency in microseconds; ignores a value that is not finite.
    pub fn record_us(&mut self, latency_us: f64) {
        if !latency_us.is_finite() {
            return;
        }
        // Cannot fail: the histogram resizes itself, and one hour is within its range.
        if self.buckets.record(clamp_us(latency_us)).is_err() {
            return;
        }
        let n = self.count() as f64;
        let step = latency_us - self.mean_us;
        self.mean_us += step / n;
        self.squares_us2 += step * (latency_us - self.mean_us);
        self.min_us = self.min_us.min(latency_us);
        self.max_us = self.max_us.max(latency_us);
    }

    /// Number of recorded latencies.
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// Mean in microseconds; `None` if empty.
    pub fn mean_us(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.mean_us)
    }

    /// Standard deviation of the sample in microseconds; `None` with fewer than two.
    pub fn deviation_us(&self) -> Option<f64> {
        let n = self.count();
        (n > 1).then(|| (self.squares_us2.max(0.0) / (n - 1) as f64).sqrt())
    }

    /// The smallest latency in microseconds, which may be negative; `None` if empty.
    pub fn min_us(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.min_us)
    }

    /// The largest latency in microseconds; `None` if empty.
    pub fn max_us(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.max_us)
    }

    /// Median in microseconds; `None` under 4 samples.
    pub fn p50_us(&self) -> Option<f64> {
        self.percentile_us(50.0)
    }

    /// 90th percentile in microseconds; `None` under 20 samples.
    pub fn p90_us(&self) -> Option<f64> {
        self.percentile_us(90.0)
    }

    /// 99th percentile in microseconds; `None` under 200 samples.
    pub fn p99_us(&self) -> Option<f64> {
        self.percentile_us(99.0)
    }

    /// The latency that `percent` (0 to 100) of the samples do not exceed, in microseconds.
    ///
    /// `None` with fewer than two samples beyond it, see [`samples_needed`].
    pub fn percentile_us(&self, percent: f64) -> Option<f64> {
        (self.count() >= samples_needed(percent)).then(|| {
            let value = self.buckets.value_at_quantile(percent / 100.0) as f64;
            value.max(self.min_us).min(self.max_us).max(0.0)
        })
    }

    /// Adds all latencies of `other`.
    pub fn merge(&mut self, other: &Self) {
        let (before, added) = (self.count() as f64, other.count() as f64);
        if added == 0.0 {
            return;
        }
        // Cannot fail: both resize themselves and have the same precision.
        if self.buckets.add(&other.buckets).is_err() {
            return;
        }
        let step = other.mean_us - self.mean_us;
        self.mean_us += step * added / (before + added);
        self.squares_us2 += other.squares_us2 + step * step * before * added / (before + added);
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Points `(latency in microseconds, share up to it)` of the measured cumulative curve, in ascending order.
    pub fn cdf_points(&self) -> Vec<(f64, f64)> {
        let total = self.count() as f64;
        let mut reached = 0;
        self.buckets
            .iter_recorded()
            .map(|bucket| {
                reached += bucket.count_since_last_iteration();
                (bucket.value_iterated_to() as f64, reached as f64 / total)
            })
            .collect()
    }

    /// Counts in bins of `width_us` microseconds: `(lower edge of the bin in microseconds, count)`, without empty bins.
    pub fn bins(&self, width_us: u64) -> Vec<(u64, u64)> {
        let width_us = width_us.max(1);
        let mut bins: Vec<(u64, u64)> = Vec::new();
        for bucket in self.buckets.iter_recorded() {
            let lower = bucket.value_iterated_to() / width_us * width_us;
            let count = bucket.count_since_last_iteration();
            match bins.last_mut() {
                Some((edge, so_far)) if *edge == lower => *so_far += count,
                _ => bins.push((lower, count)),
            }
        }
        bins
    }

    /// Largest distance (0 to 1) between the measured curve and `predicted`, which maps microseconds to a share.
    ///
    /// Source: Kolmogorov-Smirnov. Latencies are accurate to one part in a thousand, the width of the buckets.
    pub fn distance_to(&self, predicted: impl Fn(f64) -> f64) -> f64 {
        let mut before = 0.0;
        let mut largest: f64 = 0.0;
        for (at_us, reached) in self.cdf_points() {
            let expected = predicted(at_us);
            let just_below = predicted((at_us * 0.998 - 1.0).max(0.0));
            largest = largest.max(just_below - before).max(reached - expected);
            before = reached;
        }
        largest.clamp(0.0, 1.0)
    }

    /// The mean in milliseconds as a measurement; `None` with fewer than two latencies.
    ///
    /// - `independent`: number of independent latencies (a burst delivered together counts once).
    pub fn mean_ms_sample(&self, independent: u64) -> Option<Measurement> {
        let (mean_us, deviation_us) = (self.mean_us()?, self.deviation_us()?);
        Some(Measurement::of_mean(
            mean_us / 1e3,
            deviation_us / 1e3,
            self.count(),
            independent,
        ))
    }
}

/// The number of samples for which two lie beyond a percentile: 4 for p50, 20 for p90, 200 for p99.
pub fn samples_needed(percent: f64) -> u64 {
    let beyond = ((100.0 - percent) / 100.0).max(1e-6);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 2 and 2,000,000"
    )]
    let needed = (2.0 / beyond - 1e-6).ceil() as u64;
    needed
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to one hour first"
)]
fn clamp_us(latency_us: f64) -> u64 {
    latency_us.clamp(0.0, LONGEST_US as f64).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(latencies_us: impl IntoIterator<Item = u32>) -> Latencies {
        let mut all = Latencies::new();
        latencies_us
            .into_iter()
            .for_each(|latency| all.record_us(f64::from(latency)));
        all
    }

    #[test]
    fn percentiles_need_two_samples_beyond_them() {
        assert_eq!(
            (
                samples_needed(50.0),
                samples_needed(90.0),
                samples_needed(99.0)
            ),
            (4, 20, 200)
        );
        assert_eq!(of(1..200).p99_us(), None);
        assert!(of(1..201).p99_us().is_some());
        assert_eq!(of(1..20).p90_us(), None);
        assert_eq!(Latencies::new().p50_us(), None);
        assert_eq!(Latencies::new().max_us(), None);
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        // Up to a second, and up to half an hour.
        for longest in [1_000_000_u32, 1_800_000_000] {
            let all = of((1..=100_000).map(|step| step * (longest / 100_000)));
            for (percent, share) in [(50.0, 0.5), (90.0, 0.9), (99.0, 0.99)] {
                let (value, exact) = (
                    all.percentile_us(percent).unwrap(),
                    share * f64::from(longest),
                );
                assert!(
                    (value / exact - 1.0).abs() < 1e-3,
                    "p{percent} of {longest}: {value}"
                );
            }
            assert_eq!(all.max_us(), Some(f64::from(longest)));
            assert!((all.mean_us().unwrap() / (f64::from(longest) * 0.500_005) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn merging_equals_recording_in_one() {
        let (low, high) = (
            of((0..5_000).map(|step| step * 3)),
            of((0..700).map(|step| 900_000 + step * 7_000)),
        );
        let mut merged = low;
        merged.merge(&high);
        merged.merge(&Latencies::new());
        let together = of((0..5_000)
            .map(|step| step * 3)
            .chain((0..700).map(|step| 900_000 + step * 7_000)));
        assert_eq!(merged.count(), together.count());
        assert_eq!(merged.p99_us(), together.p99_us());
        assert!((merged.mean_us().unwrap() - together.mean_us().unwrap()).abs() < 1e-6);
        assert!(
            (merged.deviation_us().unwrap() / together.deviation_us().unwrap() - 1.0).abs() < 1e-9
        );
        let mut from_nothing = Latencies::new();
        from_nothing.merge(&high);
        assert_eq!(from_nothing.mean_us(), high.mean_us());
    }

    #[test]
    fn a_negative_latency_counts_as_zero_except_in_the_minimum() {
        let mut all = of([100, 200]);
        all.record_us(-40.0);
        all.record_us(f64::NAN);
        assert_eq!((all.count(), all.min_us()), (3, Some(-40.0)));
        assert_eq!(all.cdf_points()[0].0, 0.0);
    }

    #[test]
    fn samples_over_an_hour_are_recorded() {
        let mut all = of([1]);
        all.record_us(1e18);
        assert_eq!(all.count(), 2);
        assert!(all.cdf_points()[1].0 <= LONGEST_US as f64 * 1.001);
    }

    #[test]
    fn bins_keep_every_sample() {
        let all = of(0..1_000);
        let bins = all.bins(100);
        assert_eq!(bins.len(), 10);
        assert_eq!(bins.iter().map(|(_, count)| count).sum::<u64>(), 1_000);
        assert_eq!(bins[3], (300, 100));
    }

    #[test]
    fn the_distance_is_small_only_for_the_right_curve() {
        let all = of((0..10_000).map(|step| step * 100));
        let line = |at_us: f64| (at_us / 1e6).clamp(0.0, 1.0);
        assert!(all.distance_to(line) < 0.005, "{}", all.distance_to(line));
        assert!((all.distance_to(|at_us| line(at_us - 300_000.0)) - 0.3).abs() < 0.005);
        assert!(all.distance_to(|_| 1.0) > 0.99);
    }
}
