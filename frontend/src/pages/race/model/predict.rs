//! The prediction for each lane, computed from the conditions of the run, and how the measurement compares to it.

use tailwater_client::duration_ms;
use tailwater_lab::{
    Arrivals, Claim, Guards, Latencies, Measurement, Pacing, Prediction, Quantity, Verdict,
    Workload, judge, predict,
};
use tailwater_protocol::Technique;
use tailwater_protocol::lab::Pattern;

use super::clock::ClockMapping;
use super::settings::{RaceSettings, RaceSource};

/// Events of one burst, due at the same moment.
const BURST: f64 = 10.0;

/// Measured transit times between page and server, ms, including the delays of the settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransitTimes {
    /// To the server.
    pub up_ms: f64,
    /// From the server to the browser.
    pub down_ms: f64,
    /// The error bound of both: only their sum, the round trip, is measured.
    pub uncertainty_ms: f64,
}

impl TransitTimes {
    /// Half the shortest round trip of the clock probes, which use the same path without the delays, plus the added delays.
    pub fn new(settings: &RaceSettings, mapping: &ClockMapping) -> Self {
        let half_ms = mapping.round_trip_ms / 2.0;
        Self {
            up_ms: settings.up_ms + half_ms,
            down_ms: settings.down_ms + half_ms,
            uncertainty_ms: half_ms,
        }
    }
}

/// The input of a lane's prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictionInput {
    /// Events per second.
    pub rate_per_s: f64,
    /// Transit times to the server and back.
    pub transit: TransitTimes,
    /// Mean time from an event's due time to its append, ms.
    pub source_ms: f64,
    /// Time from the end of a response to the next request, ms.
    pub rearm_ms: f64,
    /// Time from the script's request until its first byte is sent, ms.
    pub client_up_ms: f64,
    /// Time from the arrival of data until the script receives it, ms.
    pub client_down_ms: f64,
    /// Bytes of one event.
    pub payload_bytes: f64,
}

/// The workload of the run.
pub fn workload(settings: &RaceSettings, known: &PredictionInput) -> Workload {
    let (arrivals, rate_per_s) = match (&settings.source, settings.pattern) {
        (RaceSource::Host | RaceSource::Generator, Pattern::Periodic) => {
            (Arrivals::Periodic, known.rate_per_s)
        }
        // The events of one burst arrive together: the bursts are independent, not the events.
        (RaceSource::Generator, Pattern::Burst) => (Arrivals::Poisson, known.rate_per_s / BURST),
        (RaceSource::Host, _)
        | (RaceSource::Generator, Pattern::Poisson)
        | (RaceSource::Named(_), _) => (Arrivals::Poisson, known.rate_per_s),
    };
    let up_ms = known.client_up_ms + known.transit.up_ms;
    let down_ms = known.transit.down_ms + known.client_down_ms;
    Workload {
        rate_per_s,
        arrivals,
        interval: duration_ms(settings.interval_ms),
        pacing: Pacing::FixedRate,
        transit_up: duration_ms(up_ms),
        transit_down: duration_ms(down_ms),
        server_time: duration_ms(known.source_ms),
        client_time: duration_ms(known.rearm_ms),
        // The re-arm gap does not depend on the source's own lateness.
        measured_gap: Some(duration_ms(down_ms + known.rearm_ms + up_ms)),
        hold: duration_ms(settings.hold_s * 1_000.0),
        payload_bytes: known.payload_bytes,
        ..Workload::default()
    }
}

/// The prediction for `technique`.
pub fn prediction(
    technique: Technique,
    settings: &RaceSettings,
    known: &PredictionInput,
) -> Prediction {
    predict(technique, &workload(settings, known))
}

/// How the measured mean compares to the predicted one; `None` with fewer than two samples.
///
/// - `responses`: those with data, as events in the same response are not independent.
/// - `source_late_ms`: 99th percentile of the source's own lateness.
pub fn verdict(
    prediction: &Prediction,
    measured: &Latencies,
    responses: u64,
    settings: &RaceSettings,
    known: &PredictionInput,
    guards: Guards,
) -> Option<Verdict> {
    let sample = measured.mean_ms_sample(responses)?;
    // The events of a response count once, also for the estimate of the remaining time.
    let independent = sample.n.min(responses);
    let per_s = known.rate_per_s * independent as f64 / sample.n.max(1) as f64;
    let sample = Measurement {
        n: independent,
        ..sample
    };
    let claim = Claim {
        quantity: Quantity::MeanLatency,
        predicted: prediction.latency.mean_s() * 1_000.0,
        // Polling is claimed to add half an interval, the others to add none.
        effect: settings.interval_ms / 2.0,
        spread: prediction.phase_spread_s * 1_000.0 + known.transit.uncertainty_ms,
    };
    let guards = Guards {
        smallest_latency_ms: measured.min_us().map(|least| least / 1_000.0),
        ..guards
    };
    Some(judge(claim, sample, guards, per_s))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn known() -> PredictionInput {
        let transit = TransitTimes::new(&delayed(), &ClockMapping::default());
        PredictionInput {
            rate_per_s: 1.0,
            transit,
            source_ms: 0.0,
            rearm_ms: 1.0,
            client_up_ms: 0.0,
            client_down_ms: 0.0,
            payload_bytes: 200.0,
        }
    }

    fn delayed() -> RaceSettings {
        RaceSettings {
            source: RaceSource::Generator,
            up_ms: 50.0,
            down_ms: 50.0,
            ..RaceSettings::default()
        }
    }

    #[test]
    fn delays_and_intervals_of_the_controls_reach_the_formulas() {
        let settings = delayed();
        let mean =
            |technique| prediction(technique, &settings, &known()).latency.mean_s() * 1_000.0;
        assert!((mean(Technique::Poll) - 550.0).abs() < 1e-6);
        assert!((mean(Technique::Ndjson) - 50.0).abs() < 1.0);
        // β = λG + e^(-λG) with G = 0.101: d + (λG²/2)/β.
        assert!(
            (mean(Technique::LongPoll) - 55.07).abs() < 0.1,
            "{}",
            mean(Technique::LongPoll)
        );
    }

    #[test]
    fn the_prediction_adds_the_time_of_the_browser_to_the_transit() {
        let probed = ClockMapping {
            round_trip_ms: 0.4,
            ..ClockMapping::default()
        };
        let known = PredictionInput {
            transit: TransitTimes::new(&delayed(), &probed),
            client_up_ms: 1.0,
            client_down_ms: 2.0,
            ..known()
        };
        let expected = TransitTimes {
            up_ms: 50.2,
            down_ms: 50.2,
            uncertainty_ms: 0.2,
        };
        assert_eq!(known.transit, expected);
        let work = workload(&delayed(), &known);
        assert_eq!(work.transit_up, Duration::from_micros(51_200));
        assert_eq!(work.transit_down, Duration::from_micros(52_200));
        assert_eq!(work.measured_gap, Some(Duration::from_micros(104_400)));
    }

    #[test]
    fn a_measured_mean_is_judged_with_the_interval_as_its_effect() {
        let settings = delayed();
        let mut measured = Latencies::new();
        (0..600)
            .for_each(|step| measured.record_us(50_000.0 + f64::from(step) * 1_000_000.0 / 600.0));
        let says = prediction(Technique::Poll, &settings, &known());
        let guards = Guards {
            clock_bound_ms: 0.1,
            ..Guards::default()
        };
        let verdict = verdict(&says, &measured, 400, &settings, &known(), guards).unwrap();
        assert_eq!(
            verdict.finding,
            tailwater_lab::Finding::Confirmed,
            "{verdict}"
        );
    }
}
