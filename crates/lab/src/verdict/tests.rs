//! Verdicts for samples, claims and guards.

use tailwater_protocol::document;

use super::*;

const POLLING: Claim = Claim {
    quantity: Quantity::MeanLatency,
    predicted: 520.0,
    effect: 500.0,
    spread: 0.0,
};
const QUIET: Guards = Guards {
    clock_bound_ms: 0.1,
    resolution_ms: 0.1,
    source_late_ms: 1.0,
    client_ms: 1.0,
    client_mean_ms: 0.3,
    smallest_latency_ms: Some(20.0),
};

fn polling(mean_ms: f64, n: u64) -> Measurement {
    Measurement::of_mean(mean_ms, 1_000.0 / 12f64.sqrt(), n, n)
}

#[test]
fn a_mean_inside_the_interval_confirms_with_its_numbers() {
    let verdict = judge(POLLING, polling(512.0, 600), QUIET, 1.0);
    assert_eq!(verdict.finding, Finding::Confirmed);
    // 1.96 × 288.7 / √600 = 23.1, and 5 % of 520.
    assert_eq!(
        verdict.to_string(),
        "CONFIRMED mean 512 ms, predicted 520 ± 49.1 (n = 600, clock ± 0.10 ms)"
    );
}

#[test]
fn a_mean_outside_the_interval_refutes() {
    let verdict = judge(POLLING, polling(600.0, 600), QUIET, 1.0);
    assert_eq!(verdict.finding, Finding::Refuted);
    assert!(verdict.to_string().starts_with("REFUTED mean 600 ms"));
}

#[test]
fn too_few_observations_state_the_time_still_needed() {
    let verdict = judge(POLLING, polling(512.0, 10), QUIET, 2.0);
    assert_eq!(
        verdict.finding,
        Finding::Inconclusive {
            why: Doubt::TooFew { more_s: Some(10.0) }
        }
    );
    assert_eq!(
        verdict.to_string(),
        "INCONCLUSIVE mean 512 ms, predicted 520 (n = 10, clock ± 0.10 ms): needs about 10 more seconds"
    );
    let fine = Claim {
        effect: 20.0,
        ..POLLING
    };
    let Finding::Inconclusive {
        why: Doubt::TooFew {
            more_s: Some(more_s),
        },
    } = judge(fine, polling(512.0, 600), QUIET, 1.0).finding
    else {
        panic!("an effect of 20 ms cannot be seen at ± 23 ms");
    };
    // (1.96 × 288.7 / 10)² = 3,201 observations in all.
    assert!((more_s - 2_601.0).abs() < 5.0, "{more_s}");
}

#[test]
fn dependent_observations_count_once() {
    let burst = Measurement::of_mean(512.0, 288.7, 600, 60);
    assert!((burst.ci95 / polling(512.0, 600).ci95 - 10f64.sqrt()).abs() < 1e-3);
}

#[test]
fn a_disturbed_run_is_inconclusive() {
    let cases = [
        (
            Guards {
                clock_bound_ms: 300.0,
                ..QUIET
            },
            Doubt::ClockUnsure { bound_ms: 300.0 },
        ),
        (
            Guards {
                source_late_ms: 400.0,
                ..QUIET
            },
            Doubt::SourceLate { late_ms: 400.0 },
        ),
        (
            Guards {
                smallest_latency_ms: Some(-5.0),
                ..QUIET
            },
            Doubt::BeforeItsTime { latency_ms: -5.0 },
        ),
    ];
    for (guards, why) in cases {
        assert_eq!(
            judge(POLLING, polling(512.0, 600), guards, 1.0).finding,
            Finding::Inconclusive { why }
        );
        assert_eq!(
            judge(POLLING, polling(900.0, 600), guards, 1.0).finding,
            Finding::Inconclusive { why }
        );
    }
}

#[test]
fn clock_errors_do_not_affect_counts() {
    let claim = Claim {
        quantity: Quantity::EmptyShare,
        predicted: 0.3679,
        effect: 0.3679,
        spread: 0.0,
    };
    let guards = Guards {
        clock_bound_ms: 300.0,
        ..QUIET
    };
    let verdict = judge(claim, Measurement::of_share(885, 2_401), guards, 1.0);
    assert_eq!(verdict.finding, Finding::Confirmed);
    assert!(
        verdict
            .to_string()
            .starts_with("CONFIRMED empty responses 36.9%, predicted 36.8 ± 3.7"),
        "{verdict}"
    );
}

#[test]
fn the_interval_of_a_share_of_2401_polls_is_two_points() {
    assert!((Measurement::of_share(1_200, 2_401).ci95 - 0.02).abs() < 1e-3);
    assert!(Measurement::of_share(0, 100).ci95 > 0.01);
    assert!(Measurement::of_share(3, 10).ci95.is_infinite());
}

#[test]
fn counted_bytes_have_no_sampling_error() {
    let claim = Claim {
        quantity: Quantity::BytesPerEvent,
        predicted: 705.0,
        effect: 705.0,
        spread: 0.0,
    };
    let verdict = judge(claim, Measurement::exact(709.0, 600), QUIET, 1.0);
    assert_eq!(verdict.finding, Finding::Confirmed);
    assert_eq!(
        verdict.to_string(),
        "CONFIRMED bytes per event 709 B, predicted 705 ± 35.2 (n = 600)"
    );
    let nothing = judge(claim, Measurement::exact(0.0, 0), QUIET, 0.0).finding;
    assert_eq!(
        nothing,
        Finding::Inconclusive {
            why: Doubt::TooFew { more_s: None }
        }
    );
}

#[test]
fn a_fixed_phase_widens_the_tolerance() {
    let with_spread = |spread, mean_ms| {
        let claim = Claim { spread, ..POLLING };
        judge(claim, polling(mean_ms, 600), QUIET, 1.0).finding
    };
    assert_eq!(with_spread(125.0, 400.0), Finding::Confirmed);
    assert_eq!(with_spread(0.0, 400.0), Finding::Refuted);
    // With one phase any latency within the interval is possible, so none says anything.
    let why = Doubt::FixedPhase { spread_ms: 500.0 };
    assert_eq!(with_spread(500.0, 60.0), Finding::Inconclusive { why });
}

#[test]
fn a_coarse_clock_widens_the_tolerance() {
    let stream = Claim {
        quantity: Quantity::MeanLatency,
        predicted: 50.0,
        effect: 500.0,
        spread: 0.0,
    };
    let coarse = Guards {
        resolution_ms: 8.0,
        ..QUIET
    };
    assert!(
        (judge(stream, Measurement::exact(60.0, 600), coarse, 1.0).allowed - 16.0).abs() < 1e-9
    );
}

#[test]
fn a_rate_has_a_poisson_error() {
    let sample = Measurement::of_count(400, 100.0);
    assert!((sample.value - 4.0).abs() < 1e-9);
    assert!((sample.ci95 - 0.392).abs() < 1e-9);
}

#[test]
fn unknown_bounds_are_null_in_json() {
    let unknown = Guards {
        clock_bound_ms: f64::INFINITY,
        ..QUIET
    };
    let sample = serde_json::to_vec(&Measurement::of_share(3, 10)).unwrap();
    let guards = serde_json::to_vec(&unknown).unwrap();
    assert!(String::from_utf8_lossy(&sample).contains(r#""ci95":null"#));
    let sample: Measurement = document::read(&sample).unwrap();
    let guards: Guards = document::read(&guards).unwrap();
    assert!(sample.ci95.is_infinite());
    assert_eq!(guards, unknown);
}

/// The verdict on a lane that streams, whose predicted mean is 51 ± 5 ms.
fn streaming(mean_ms: f64, client_ms: f64, client_mean_ms: f64) -> Verdict {
    let claim = Claim {
        predicted: 51.0,
        ..POLLING
    };
    let guards = Guards {
        client_ms,
        client_mean_ms,
        ..QUIET
    };
    judge(claim, Measurement::exact(mean_ms, 600), guards, 1.0)
}

#[test]
fn a_busy_client_neither_refutes_nor_confirms() {
    for mean_ms in [51.0, 62.0, 200.0] {
        let verdict = streaming(mean_ms, 40.0, 12.0);
        let why = Doubt::ClientBusy { client_ms: 40.0 };
        assert_eq!(verdict.finding, Finding::Inconclusive { why });
        assert!(
            verdict
                .to_string()
                .ends_with("the client was busy (p99 40.0 ms)")
        );
    }
    // Half an interval is much longer than the client's own delay.
    let busy = Guards {
        client_ms: 40.0,
        client_mean_ms: 12.0,
        ..QUIET
    };
    let verdict = judge(POLLING, polling(512.0, 600), busy, 1.0);
    assert_eq!(verdict.finding, Finding::Confirmed);
    assert_eq!(streaming(550.0, 1.0, 0.3).finding, Finding::Refuted);
}

#[test]
fn rare_delays_of_the_client_leave_a_measurement_that_agrees_conclusive() {
    assert_eq!(streaming(54.0, 12.0, 1.5).finding, Finding::Confirmed);
    // What they can explain is not refuted, what they cannot is.
    let why = Doubt::ClientBusy { client_ms: 12.0 };
    assert_eq!(
        streaming(62.0, 12.0, 1.5).finding,
        Finding::Inconclusive { why }
    );
    assert_eq!(
        streaming(40.0, 12.0, 1.5).finding,
        Finding::Inconclusive { why }
    );
    assert_eq!(streaming(69.0, 12.0, 1.5).finding, Finding::Refuted);
}

#[test]
fn differences_below_one_percent_of_the_effect_do_not_refute() {
    let streaming = Claim {
        predicted: 1.1,
        ..POLLING
    };
    let late = |mean_ms| judge(streaming, Measurement::exact(mean_ms, 600), QUIET, 1.0).finding;
    assert_eq!(late(5.9), Finding::Confirmed);
    assert_eq!(late(7.3), Finding::Refuted);
    let fine = Claim {
        effect: 10.0,
        ..streaming
    };
    let close = Guards {
        client_ms: 3.0,
        ..QUIET
    };
    let verdict = judge(fine, Measurement::exact(2.9, 600), close, 1.0);
    assert!(
        verdict.to_string().contains("too close to tell"),
        "{verdict}"
    );
}
