//! Tests of the look-ups at a line, and of their texts.

use tailwater_client::FollowReport;

use super::*;
use crate::app::text::rules::korean_faults;
use crate::pages::race::model::settings::RaceSettings;
use crate::pages::race::model::trace::EventMark;
use crate::pages::race::parts::draw::distribution::Scale;

/// Requests of 100 ms, one every 200 ms from 0 on, each with an event that was due 50 ms before the end.
fn trace(requests: u32) -> Trace {
    let mut trace = Trace::new();
    for number in 0..requests {
        let (id, sent_ms) = (u64::from(number), f64::from(number) * 200.0);
        let end_ms = sent_ms + 100.0;
        trace.report(&FollowReport::Requested {
            id,
            at_ms: sent_ms,
            technique: Technique::Poll,
        });
        trace.report(&FollowReport::Responded {
            id,
            at_ms: end_ms,
            status: 200,
        });
        trace.report(&FollowReport::Chunk {
            id,
            at_ms: end_ms,
            bytes: 64,
        });
        trace.event(EventMark {
            seq: id + 40,
            due_ms: Some(end_ms - 50.0),
            at_ms: end_ms,
            id,
        });
        trace.report(&FollowReport::Ended {
            id,
            at_ms: end_ms,
            fault: None,
        });
    }
    trace
}

fn race() -> RaceState {
    let settings = RaceSettings {
        window_s: 2.0,
        ..RaceSettings::default()
    };
    let mut race = RaceState::new(settings, 0.0);
    let poll = Technique::Poll.index();
    race.traces[poll] = trace(10);
    race.lanes[poll].phase = LanePhase::Live;
    race
}

#[test]
fn keys_move_the_line_by_steps_and_never_off_the_axis() {
    for (place, key, shift, expected) in [
        (None, "ArrowRight", false, Some(0.505)),
        (Some(0.5), "ArrowLeft", true, Some(0.45)),
        (Some(0.001), "ArrowLeft", false, Some(0.0)),
        (Some(0.99), "ArrowRight", true, Some(1.0)),
        (Some(0.3), "Home", false, Some(0.0)),
        (None, "End", false, Some(1.0)),
        (Some(0.3), "s", false, None),
        (Some(0.3), "Escape", false, None),
    ] {
        let moved = moved(place, key, shift);
        let differs = moved.unwrap_or(-1.0) - expected.unwrap_or(-1.0);
        assert!(differs.abs() < 1e-9, "{key} at {place:?}: {moved:?}");
    }
}

#[test]
fn the_nearest_event_is_by_its_arrival_or_its_due_time() {
    let trace = trace(10);
    for (at_ms, seq) in [
        (0.0, 40),
        (100.0, 40),
        (249.0, 41),
        (301.0, 41),
        (1_900.0, 49),
    ] {
        let event = nearest_event(&trace, (0.0, 2_000.0), at_ms);
        assert_eq!(event.map(|run| run.first_seq), Some(seq), "{at_ms}");
    }
    let event = nearest_event(&trace, (0.0, 1_880.0), 1_880.0);
    assert_eq!(
        event.map(|run| run.first_seq),
        Some(48),
        "the last one has not arrived yet"
    );
    assert_eq!(nearest_event(&Trace::new(), (0.0, 1.0), 0.5), None);
}

#[test]
fn the_nearest_request_is_the_open_one() {
    let mut trace = trace(3);
    for (at_ms, id) in [(0.0, 0), (99.0, 0), (140.0, 0), (160.0, 1), (450.0, 2)] {
        let request = nearest_request(&trace, (0.0, 600.0), at_ms);
        assert_eq!(request.map(|it| it.id), Some(id), "{at_ms}");
    }
    for (id, at_ms) in [(7, 520.0), (8, 540.0)] {
        trace.report(&FollowReport::Requested {
            id,
            at_ms,
            technique: Technique::Poll,
        });
    }
    let request = nearest_request(&trace, (0.0, 600.0), 590.0);
    assert_eq!(request.map(|it| it.id), Some(8), "the latest of two");
}

#[test]
fn a_share_is_that_of_the_step_or_of_the_line() {
    let curve = [(10.0, 0.25), (20.0, 0.25), (20.0, 0.5), (30.0, 1.0)];
    for (ms, step, line) in [
        (9.9, 0.0, 0.0),
        (10.0, 0.25, 0.25),
        (19.9, 0.25, 0.25),
        (20.0, 0.5, 0.5),
        (25.0, 0.5, 0.75),
        (99.0, 1.0, 1.0),
    ] {
        assert_eq!(share_of_steps(&curve, ms), Some(step), "{ms}");
        assert_eq!(share_of_lines(&curve, ms), Some(line), "{ms}");
    }
    assert_eq!(share_of_steps(&[], 1.0), None);
    assert_eq!(share_of_lines(&[], 1.0), None);
}

/// A chart whose axis ends at 500 ms, with a curve of a race and one of a saved result.
fn chart() -> DistributionChart {
    let curve = |kind, measured, theory| Curve {
        technique: Technique::Poll,
        measured,
        kind,
        theory,
    };
    let steps = [(100.0, 0.25), (200.0, 0.5), (300.0, 0.75), (400.0, 1.0)];
    let mut chart = DistributionChart::default();
    chart.curves = vec![curve(
        PointKind::Samples,
        steps.to_vec(),
        vec![(0.0, 0.0), (480.0, 1.0)],
    )];
    chart.saved = vec![curve(
        PointKind::Quantiles,
        vec![(240.0, 0.0), (260.0, 1.0)],
        Vec::new(),
    )];
    chart.layout(Scale::Linear, (600.0, 200.0), Language::English);
    chart
}

#[test]
fn values_are_written_in_both_languages() {
    let (race, chart) = (race(), chart());
    let written = |language| {
        [
            events(&race, 2_000.0, 0.5, language),
            requests(&race, 2_000.0, 0.52, language),
            shares(&chart, 0.5, language),
        ]
    };
    assert_eq!(
        written(Language::English),
        [
            "−1.000 s;\nPolling #45: due −0.950 s, received −0.900 s, latency 50.0 ms",
            "−0.960 s;\nPolling #5: sent −1.000 s, 200, 64 B, lasted 100 ms",
            "within 250 ms;\nPolling: measured 50.0 %, predicted 52.1 %, saved 50.0 %",
        ]
    );
    let korean = written(Language::Korean);
    assert_eq!(
        korean,
        [
            "−1.000초;\nPolling #45: 예정 −0.950초, 도착 −0.900초, 지연 50.0ms",
            "−0.960초;\nPolling #5: 요청 −1.000초, 200, 64B, 소요 시간 100ms",
            "250ms 이내;\nPolling: 측정 50.0%, 예측 52.1%, 저장된 결과 50.0%",
        ]
    );
    for text in korean {
        assert_eq!(korean_faults(&text), [""; 0], "{text}");
    }
}
