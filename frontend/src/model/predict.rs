//! What theory says about each lane, from what is known of the run, and how the measurement stands to it.

use std::time::Duration;

use tailwater_lab::{
    Arrivals, Claim, Guards, Latencies, Pacing, Prediction, Quantity, Verdict, Workload, judge, predict,
};
use tailwater_protocol::Technique;
use tailwater_protocol::rig::Pattern;

use super::clock::Mapping;
use super::settings::{Settings, Source};

/// Events of one burst, due at the same moment.
const BURST: f64 = 10.0;

/// What a lane's prediction is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Events per second.
    pub rate_per_s: f64,
    /// How the clocks map; its round trip is the path's own.
    pub mapping: Mapping,
    /// From an answer's end to the next request, ms.
    pub rearm_ms: f64,
    /// Bytes of one event.
    pub payload_bytes: f64,
}

fn ms(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0) / 1_000.0).unwrap_or(Duration::ZERO)
}

/// The run as theory sees it.
pub fn workload(settings: &Settings, known: &Known) -> Workload {
    let way_ms = known.mapping.round_trip_ms / 2.0;
    let (arrivals, rate_per_s) = match (&settings.source, settings.pattern) {
        (Source::Host, _) | (Source::Generator, Pattern::Periodic) => (Arrivals::Periodic, known.rate_per_s),
        // Events of one burst share their fate: what comes independently is the bursts.
        (Source::Generator, Pattern::Burst) => (Arrivals::Poisson, known.rate_per_s / BURST),
        (Source::Generator, Pattern::Poisson) | (Source::Named(_), _) => (Arrivals::Poisson, known.rate_per_s),
    };
    Workload {
        rate_per_s,
        arrivals,
        interval: ms(settings.interval_ms),
        pacing: Pacing::FixedRate,
        transit_up: ms(settings.up_ms + way_ms),
        transit_down: ms(settings.down_ms + way_ms + known.mapping.script_ms),
        client_time: ms(known.rearm_ms),
        hold: ms(settings.hold_s * 1_000.0),
        payload_bytes: known.payload_bytes,
        ..Workload::default()
    }
}

/// What theory says about `technique`.
pub fn prediction(technique: Technique, settings: &Settings, known: &Known) -> Prediction {
    predict(technique, &workload(settings, known))
}

/// How the measured mean stands to the predicted one; `None` under two samples.
///
/// - `answers`: answers with news, as events that waited for the same answer are not independent.
/// - `source_late_ms`: 99th percentile of the source's own lateness.
pub fn verdict(
    prediction: &Prediction,
    measured: &Latencies,
    answers: u64,
    settings: &Settings,
    known: &Known,
    guards: Guards,
) -> Option<Verdict> {
    let sample = measured.mean_ms_sample(answers)?;
    let claim = Claim {
        quantity: Quantity::MeanLatency,
        predicted: prediction.latency.mean_s() * 1_000.0,
        // Polling's claim is half an interval; the others' is that they do without it.
        effect: settings.interval_ms / 2.0,
        spread: prediction.phase_spread_s * 1_000.0,
    };
    let guards = Guards { smallest_latency_ms: measured.min_us().map(|least| least / 1_000.0), ..guards };
    Some(judge(claim, sample, guards, known.rate_per_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known { rate_per_s: 1.0, mapping: Mapping::default(), rearm_ms: 1.0, payload_bytes: 200.0 }
    }

    #[test]
    fn delays_and_intervals_of_the_controls_reach_the_formulas() {
        let settings = Settings { source: Source::Generator, up_ms: 50.0, down_ms: 50.0, ..Settings::default() };
        let mean = |technique| prediction(technique, &settings, &known()).latency.mean_s() * 1_000.0;
        assert!((mean(Technique::Poll) - 550.0).abs() < 1e-6);
        assert!((mean(Technique::Ndjson) - 50.0).abs() < 1.0);
        // β = λG + e^(-λG) with G = 0.101: d + (λG²/2)/β.
        assert!((mean(Technique::LongPoll) - 55.07).abs() < 0.1, "{}", mean(Technique::LongPoll));
    }

    #[test]
    fn a_measured_mean_is_judged_with_the_interval_as_its_effect() {
        let settings = Settings { source: Source::Generator, ..Settings::default() };
        let mut measured = Latencies::new();
        (0..600).for_each(|step| measured.record_us(f64::from(step) * 1_000_000.0 / 600.0));
        let says = prediction(Technique::Poll, &settings, &known());
        let guards = Guards { clock_bound_ms: 0.1, ..Guards::default() };
        let verdict = verdict(&says, &measured, 400, &settings, &known(), guards).unwrap();
        assert_eq!(verdict.finding, tailwater_lab::Finding::Confirmed, "{verdict}");
    }
}
