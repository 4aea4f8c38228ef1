//! Tests of the sequence diagram: the positions of its parts, and how it becomes denser.

use super::*;
use crate::lanes::CutBatch;
use crate::numbers::Unit;
use crate::pages::race::model::trace::{EventMark, Trace};
use crate::widgets::canvas::scene::Series;
use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::{Data, Technique, Token};

const DOWN: f64 = 50.0;
const VIEW: View = View {
    width: 1_040.0,
    span_ms: 10_000.0,
    now_ms: 10_000.0,
    language: Language::English,
};

fn lane(technique: Technique, trace: &Trace) -> LaneView<'_> {
    LaneView {
        technique,
        trace,
        up_ms: 50.0,
        down_ms: DOWN,
    }
}

fn event(trace: &mut Trace, seq: u64, due_ms: f64, at_ms: f64) {
    trace.event(EventMark {
        seq,
        due_ms: Some(due_ms),
        at_ms,
        id: 0,
    });
}

fn items(scene: &Scene, wanted: impl Fn(&Series) -> bool) -> Vec<[f64; 4]> {
    scene
        .series()
        .filter(|series| wanted(series))
        .flat_map(|series| series.items.clone())
        .collect()
}

fn shapes(scene: &Scene, kind: SeriesKind) -> Vec<[f64; 4]> {
    items(scene, |series| series.style.kind == kind)
        .into_iter()
        .filter(|item| item[2] < 9.0)
        .collect()
}

fn poll_answer(trace: &mut Trace, id: u64, sent: f64, data: Vec<String>) {
    let end = sent + 100.0;
    let batch = CutBatch::from(ReceivedBatch {
        data: Data::Json(data),
        next: Token::now(),
        up_to_date: true,
        closed: false,
    });
    trace.report(&FollowReport::Requested {
        id,
        at_ms: sent,
        technique: Technique::Poll,
    });
    trace.report(&FollowReport::Responded {
        id,
        at_ms: end,
        status: 200,
    });
    trace.report(&FollowReport::Batch {
        id,
        at_ms: end,
        batch,
    });
    trace.report(&FollowReport::Ended {
        id,
        at_ms: end,
        fault: None,
    });
}

#[test]
fn an_event_has_the_same_x_in_every_lane() {
    let (mut poll, mut sse) = (Trace::new(), Trace::new());
    event(&mut poll, 3, 4_000.0, 4_800.0);
    event(&mut sse, 3, 4_000.0, 4_050.0);
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(
        &[lane(Technique::Poll, &poll), lane(Technique::Sse, &sse)],
        &VIEW,
    );
    let (one, other) = (
        shapes(scene, SeriesKind::Hollow(Technique::Poll)),
        shapes(scene, SeriesKind::Hollow(Technique::Sse)),
    );
    assert_eq!((one.len(), other.len()), (1, 1));
    assert!((one[0][0] - VIEW.axis().x(4_000.0)).abs() < 1e-9);
    assert!((one[0][0] - other[0][0]).abs() < 1e-9);
    let landed = (
        shapes(scene, SeriesKind::Filled(Technique::Poll)),
        shapes(scene, SeriesKind::Filled(Technique::Sse)),
    );
    assert!(
        (landed.0[0][0] - landed.1[0][0] - 75.0).abs() < 1e-9,
        "750 ms later, 75 px further"
    );
}

#[test]
fn an_event_not_yet_received_is_drawn_waiting_at_its_server() {
    let (mut poll, mut sse) = (Trace::new(), Trace::new());
    event(&mut poll, 0, 1_000.0, 1_500.0);
    event(&mut sse, 0, 1_000.0, 1_050.0);
    event(&mut sse, 1, 9_000.0, 9_050.0);
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(
        &[lane(Technique::Poll, &poll), lane(Technique::Sse, &sse)],
        &VIEW,
    );
    let is_trail = |series: &Series| {
        series.style.kind == SeriesKind::Lines && series.style.ink == Ink::Hue(Technique::Poll)
    };
    let axis = VIEW.axis();
    let waits_until_now = |item: &[f64; 4]| {
        (item[0] - axis.x(9_000.0)).abs() < 1e-9 && (item[2] - axis.right).abs() < 1e-9
    };
    assert!(items(scene, is_trail).iter().any(waits_until_now));
}

#[test]
fn an_empty_response_ends_hollow_and_one_with_data_filled() {
    let mut trace = Trace::new();
    poll_answer(&mut trace, 0, 1_000.0, vec![]);
    poll_answer(&mut trace, 1, 2_000.0, vec!["1".to_owned()]);
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(&[lane(Technique::Poll, &trace)], &VIEW);
    let hollow = shapes(scene, SeriesKind::Hollow(Technique::Poll));
    assert_eq!(hollow.len(), 1);
    assert!((hollow[0][0] - VIEW.axis().x(1_100.0)).abs() < 1e-9);
}

#[test]
fn a_held_request_is_a_band_from_its_arrival_to_its_response() {
    let mut trace = Trace::new();
    trace.report(&FollowReport::Requested {
        id: 0,
        at_ms: 1_000.0,
        technique: Technique::LongPoll,
    });
    trace.report(&FollowReport::Responded {
        id: 0,
        at_ms: 5_000.0,
        status: 200,
    });
    trace.report(&FollowReport::Ended {
        id: 0,
        at_ms: 5_000.0,
        fault: None,
    });
    trace.report(&FollowReport::Requested {
        id: 1,
        at_ms: 6_000.0,
        technique: Technique::LongPoll,
    });
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(&[lane(Technique::LongPoll, &trace)], &VIEW);
    let held = items(scene, |series| {
        series.style.kind == SeriesKind::Boxes && series.style.ink != Ink::Rule
    });
    let axis = VIEW.axis();
    let ends = held
        .iter()
        .map(|item| (item[0], item[0] + item[2]))
        .collect::<Vec<_>>();
    let expected = [
        (axis.x(1_050.0), axis.x(4_950.0)),
        (axis.x(6_050.0), axis.right),
    ];
    assert_eq!(ends.len(), 2);
    for ((from, to), (expected_from, expected_to)) in ends.into_iter().zip(expected) {
        assert!(
            (from - expected_from).abs() < 1e-6 && (to - expected_to).abs() < 1e-6,
            "{from}..{to}"
        );
    }
}

#[test]
fn a_very_fast_response_is_not_drawn_backwards() {
    let mut trace = Trace::new();
    trace.report(&FollowReport::Requested {
        id: 0,
        at_ms: 1_000.0,
        technique: Technique::Poll,
    });
    trace.report(&FollowReport::Responded {
        id: 0,
        at_ms: 1_030.0,
        status: 200,
    });
    trace.report(&FollowReport::Ended {
        id: 0,
        at_ms: 1_030.0,
        fault: None,
    });
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(&[lane(Technique::Poll, &trace)], &VIEW);
    for [.., width, _] in items(scene, |series| series.style.kind == SeriesKind::Boxes) {
        assert!(width >= 0.0);
    }
    let wires = items(scene, |series| {
        series.style.kind == SeriesKind::Lines && series.style.ink == Ink::Soft
    });
    let whole = wires
        .iter()
        .filter(|wire| (wire[3] - wire[1]).abs() > 40.0)
        .collect::<Vec<_>>();
    assert_eq!(whole.len(), 2);
    assert!(
        whole
            .iter()
            .all(|wire| (wire[2] - wire[0] - 1.5).abs() < 1e-6),
        "half of 30 ms up, half down: {whole:?}"
    );
}

#[test]
fn nothing_is_drawn_beyond_now_and_left_of_the_gutter() {
    let mut trace = Trace::new();
    for n in 0..40_u32 {
        let at = f64::from(n) * 500.0;
        poll_answer(&mut trace, u64::from(n), at, vec!["1".to_owned()]);
        trace.report(&FollowReport::Chunk {
            id: u64::from(n),
            at_ms: at + 100.0,
            bytes: 10,
        });
        event(&mut trace, u64::from(n), at, at + 100.0);
        trace.report(&FollowReport::Waiting {
            at_ms: at + 100.0,
            for_ms: 400.0,
            after_fault: n % 7 == 0,
        });
    }
    let axis = VIEW.axis();
    for now_ms in [3_000.0, 10_020.0, 10_060.0, 10_400.0] {
        let mut sequence = SequenceDiagram::default();
        let scene = sequence.layout(&[lane(Technique::Poll, &trace)], &View { now_ms, ..VIEW });
        for [x, _, third, _] in items(scene, |series| {
            matches!(series.style.kind, SeriesKind::Lines)
        }) {
            let (low, high) = (x.min(third), x.max(third));
            assert!(
                low >= axis.left - 3.0 && high <= axis.right + 3.0,
                "{low}..{high} at now = {now_ms}"
            );
        }
        let landed = shapes(scene, SeriesKind::Filled(Technique::Poll));
        assert!(
            landed
                .iter()
                .all(|item| (axis.left..=axis.right).contains(&item[0]))
        );
    }
}

#[test]
fn an_event_in_transit_is_drawn_on_its_line_at_the_right_edge() {
    let mut trace = Trace::new();
    event(&mut trace, 0, 9_975.0, 10_025.0);
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(&[lane(Technique::Sse, &trace)], &VIEW);
    let band = SequenceGeometry::new(VIEW.width, 1).lanes[0];
    let riding = shapes(scene, SeriesKind::Filled(Technique::Sse));
    assert_eq!(riding.len(), 1);
    assert!((riding[0][1] - f64::midpoint(band.server_y, band.client_y)).abs() < 1e-9);
}

#[test]
fn several_events_in_a_response_share_a_numbered_shape() {
    let mut trace = Trace::new();
    for seq in 0..3_u32 {
        event(
            &mut trace,
            u64::from(seq),
            1_000.0 + f64::from(seq) * 200.0,
            2_000.0,
        );
    }
    let mut sequence = SequenceDiagram::default();
    let scene = sequence.layout(&[lane(Technique::Poll, &trace)], &VIEW);
    assert_eq!(shapes(scene, SeriesKind::Filled(Technique::Poll)).len(), 1);
    assert_eq!(
        shapes(scene, SeriesKind::Hollow(Technique::Poll)).len(),
        3,
        "each event is drawn at its own due time"
    );
    assert!(scene.labels().iter().any(|label| label.text == "\u{d7}3"));
}

#[test]
fn a_high_rate_in_five_lanes_takes_fewer_items_than_pixels() {
    let mut traces = vec![Trace::new(); 5];
    for seq in 0..10_000_u32 {
        for trace in &mut traces {
            let at_ms = f64::from(seq) + DOWN;
            trace.report(&FollowReport::Chunk {
                id: 0,
                at_ms,
                bytes: 100,
            });
            event(trace, u64::from(seq), f64::from(seq), at_ms);
        }
    }
    let lanes = Technique::ALL
        .iter()
        .zip(&traces)
        .map(|(technique, trace)| lane(*technique, trace));
    let mut sequence = SequenceDiagram::default();
    sequence.layout(&lanes.collect::<Vec<_>>(), &VIEW);
    assert_eq!(sequence.detail(), Detail::Columns);
    let items: usize = sequence
        .scene
        .series()
        .map(|series| series.items.len())
        .sum();
    assert!(items < 12_000, "{items} items");
}

#[test]
fn detail_does_not_flicker_around_its_thresholds() {
    for start in [Detail::Shapes, Detail::Wires, Detail::Columns] {
        for room in (1..400).map(|tenth| f64::from(tenth) / 10.0) {
            let mut detail = start.next(room);
            let mut changes = 0;
            for shake in [0.9, 1.1].into_iter().cycle().take(20) {
                let next = detail.next(room * shake);
                changes += u32::from(next != detail);
                detail = next;
            }
            assert!(
                changes <= 1,
                "{start:?} changed {changes} times around {room} px"
            );
        }
    }
}

#[test]
fn lanes_do_not_overlap_and_a_narrow_page_is_lower() {
    let (wide, narrow) = (
        SequenceGeometry::new(1_440.0, 5),
        SequenceGeometry::new(320.0, 5),
    );
    assert!(narrow.height < wide.height);
    for pair in wide.lanes.windows(2) {
        assert!(
            pair[0].client_y < pair[0].bottom
                && pair[0].bottom <= pair[1].top
                && pair[1].top < pair[1].server_y
        );
    }
    assert_eq!(SequenceGeometry::new(320.0, 0).lanes, []);
}

#[test]
fn no_two_ticks_overlap_at_any_width_and_span() {
    for width in [320.0, 700.0, 1_440.0] {
        for span_ms in [500.0, 2_000.0, 4_000.0, 10_000.0, 30_000.0, 120_000.0] {
            for language in Language::ALL {
                let view = View {
                    width,
                    span_ms,
                    now_ms: 1e6,
                    language,
                };
                let mut sequence = SequenceDiagram::default();
                let scene = sequence.layout(&[], &view);
                assert!(scene.labels().is_empty(), "an axis without lanes");
                let trace = Trace::new();
                let scene = sequence.layout(&[lane(Technique::Poll, &trace)], &view);
                let unit = if span_ms < 1_000.0 {
                    Unit::Millisecond
                } else {
                    Unit::Second
                };
                let ticks = scene
                    .labels()
                    .iter()
                    .filter(|label| label.text.ends_with(unit.suffix(language)))
                    .collect::<Vec<_>>();
                assert!(
                    ticks.len() >= 2,
                    "{} ticks of {span_ms} ms on {width} px",
                    ticks.len()
                );
                assert!(
                    ticks
                        .windows(2)
                        .all(|pair| (pair[0].x - pair[1].x).abs() > 50.0),
                    "{ticks:?}"
                );
            }
        }
    }
}
