//! Tests of the trace: which marks it keeps, merges and drops.

use super::*;
use crate::lanes::CutBatch;
use tailwater_client::ReceivedBatch;
use tailwater_protocol::{Data, Token};

fn requested(id: u64, at_ms: f64, technique: Technique) -> LaneReport {
    FollowReport::Requested {
        id,
        at_ms,
        technique,
    }
}

fn ended(id: u64, at_ms: f64, fault: Option<&str>) -> LaneReport {
    FollowReport::Ended {
        id,
        at_ms,
        fault: fault.map(str::to_owned),
    }
}

fn event(seq: u64, due_ms: f64, at_ms: f64) -> EventMark {
    EventMark {
        seq,
        due_ms: Some(due_ms),
        at_ms,
        id: 0,
    }
}

fn batch(id: u64, at_ms: f64, messages: Vec<String>) -> LaneReport {
    let batch = CutBatch::from(ReceivedBatch {
        data: Data::Json(messages),
        next: Token::now(),
        up_to_date: true,
        closed: false,
    });
    FollowReport::Batch { id, at_ms, batch }
}

#[test]
fn a_request_collects_its_head_chunks_and_end() {
    let mut trace = Trace::new();
    trace.report(&requested(7, 100.0, Technique::LongPoll));
    trace.report(&FollowReport::Responded {
        id: 7,
        at_ms: 250.0,
        status: 200,
    });
    trace.report(&FollowReport::Chunk {
        id: 7,
        at_ms: 251.0,
        bytes: 40,
    });
    trace.report(&FollowReport::Chunk {
        id: 7,
        at_ms: 260.0,
        bytes: 2,
    });
    trace.report(&batch(7, 260.0, vec!["1".to_owned()]));
    trace.report(&ended(7, 261.0, None));
    let request = trace.requests(0.0, 300.0).next().unwrap();
    assert_eq!(
        (request.head_ms, request.end_ms, request.last_chunk_ms),
        (Some(250.0), Some(261.0), Some(260.0))
    );
    assert_eq!(
        (
            request.bytes,
            request.status,
            request.filled,
            request.failed
        ),
        (42, 200, true, false)
    );
    assert_eq!(
        trace
            .chunks(0.0, 300.0)
            .map(|run| run.bytes)
            .collect::<Vec<_>>(),
        [40, 2]
    );
}

#[test]
fn a_response_without_data_is_not_filled() {
    let mut trace = Trace::new();
    trace.report(&requested(0, 0.0, Technique::Poll));
    trace.report(&batch(0, 1.0, vec![]));
    trace.report(&ended(0, 2.0, None));
    assert!(
        trace
            .requests(0.0, 9.0)
            .all(|request| !request.filled && !request.failed)
    );
}

#[test]
fn a_window_holds_what_overlaps_it_and_nothing_else() {
    let mut trace = Trace::new();
    for id in 0..10 {
        trace.report(&requested(
            id,
            f64::from(u32::try_from(id).unwrap()) * 100.0,
            Technique::Poll,
        ));
        trace.report(&ended(
            id,
            f64::from(u32::try_from(id).unwrap()) * 100.0 + 50.0,
            None,
        ));
    }
    trace.report(&requested(10, 1_000.0, Technique::Sse));
    let ids = |from, to| {
        trace
            .requests(from, to)
            .map(|request| request.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(320.0, 520.0), [3, 4, 5]);
    assert!(ids(360.0, 390.0).is_empty());
    assert_eq!(ids(90_000.0, 90_001.0), [10], "an open request lasts");
}

#[test]
fn an_event_is_in_every_window_from_due_time_to_arrival() {
    let mut trace = Trace::new();
    trace.event(event(0, 100.0, 900.0));
    for (from, to, seen) in [
        (0.0, 99.0, 0),
        (0.0, 100.0, 1),
        (400.0, 500.0, 1),
        (900.0, 999.0, 1),
        (901.0, 999.0, 0),
    ] {
        assert_eq!(trace.events(from, to).count(), seen, "{from}..{to}");
    }
}

#[test]
fn a_high_rate_stays_within_limits_and_keeps_the_time_span() {
    let mut trace = Trace::new();
    trace.report(&requested(0, 0.0, Technique::Sse));
    for seq in 0..300_000_u32 {
        let due = f64::from(seq);
        trace.report(&FollowReport::Chunk {
            id: 0,
            at_ms: due + 50.0,
            bytes: 100,
        });
        trace.event(event(u64::from(seq), due, due + 50.0));
        assert!(trace.len() <= 2 * RUNS_MAX + 1);
    }
    let oldest = trace.events(0.0, f64::MAX).next().unwrap().at_ms;
    assert!(
        (oldest - 180_049.0).abs() < 20.0,
        "the oldest mark is at {oldest} ms"
    );
    let count: u32 = trace.events(0.0, f64::MAX).map(|run| run.count).sum();
    assert!(
        (119_980..=120_020).contains(&count),
        "{count} events in 120 s"
    );
    let bytes: u64 = trace.chunks(0.0, f64::MAX).map(|run| run.bytes).sum();
    assert!(
        (11_998_000..=12_002_000).contains(&bytes),
        "{bytes} bytes in 120 s"
    );
}

#[test]
fn a_batch_keeps_the_due_times_of_its_events_apart() {
    let mut trace = Trace::new();
    for seq in 0..1_000_u32 {
        trace.event(event(u64::from(seq), f64::from(seq), 1_050.0));
    }
    let dues = trace
        .events(0.0, 2_000.0)
        .filter_map(|run| run.due_ms)
        .collect::<Vec<_>>();
    assert_eq!(dues.len(), 1_000);
    assert!(dues.is_sorted());
}

#[test]
fn ten_events_due_at_once_are_one_run_of_ten() {
    let mut trace = Trace::new();
    for seq in 0..10 {
        trace.event(event(seq, 5.0, 55.0));
    }
    let runs = trace.events(0.0, 100.0).collect::<Vec<_>>();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (runs[0].count, runs[0].first_seq, runs[0].last_seq),
        (10, 0, 9)
    );
}

#[test]
fn an_event_reported_after_its_response_keeps_its_arrival() {
    let mut trace = Trace::new();
    trace.report(&requested(0, 0.0, Technique::Poll));
    trace.report(&ended(0, 80.0, None));
    trace.report(&FollowReport::Waiting {
        at_ms: 81.0,
        for_ms: 1_000.0,
        after_fault: false,
    });
    trace.event(event(0, 5.0, 79.0));
    assert_eq!(
        trace
            .events(0.0, 100.0)
            .map(|run| run.at_ms)
            .collect::<Vec<_>>(),
        [79.0]
    );
}

#[test]
fn the_next_request_ends_a_wait_early() {
    let mut trace = Trace::new();
    trace.report(&FollowReport::Waiting {
        at_ms: 10.0,
        for_ms: 1_000.0,
        after_fault: false,
    });
    assert_eq!(trace.waits(500.0, 600.0).count(), 1);
    trace.report(&requested(0, 400.0, Technique::Poll));
    assert_eq!(trace.waits(500.0, 600.0).count(), 0);
}

#[test]
fn a_dropped_follower_leaves_nothing_open() {
    let mut trace = Trace::new();
    trace.report(&requested(0, 0.0, Technique::Sse));
    trace.report(&FollowReport::Waiting {
        at_ms: 5.0,
        for_ms: 1_000.0,
        after_fault: true,
    });
    trace.cut(10.0);
    assert!(
        trace
            .requests(0.0, 20.0)
            .all(|request| request.end_ms == Some(10.0) && !request.failed)
    );
    assert_eq!(trace.waits(11.0, 20.0).count(), 0);
}

#[test]
fn restarted_numbering_belongs_to_the_newest_request() {
    let mut trace = Trace::new();
    trace.report(&requested(0, 0.0, Technique::Sse));
    trace.cut(10.0);
    trace.report(&requested(0, 20.0, Technique::Sse));
    trace.report(&FollowReport::Responded {
        id: 0,
        at_ms: 30.0,
        status: 200,
    });
    assert_eq!(
        trace
            .requests(0.0, 50.0)
            .map(|request| request.head_ms)
            .collect::<Vec<_>>(),
        [None, Some(30.0)]
    );
}

#[test]
fn faults_and_changes_are_bounded_and_keep_their_text() {
    let mut trace = Trace::new();
    for id in 0..1_000_u32 {
        let at_ms = f64::from(id);
        trace.report(&requested(u64::from(id), at_ms, Technique::Sse));
        trace.report(&ended(
            u64::from(id),
            at_ms,
            Some("expected an event, got the end"),
        ));
        let (from, to) = (Technique::Sse, Technique::LongPoll);
        trace.report(&FollowReport::Changed {
            at_ms,
            from,
            to,
            fault: None,
        });
    }
    assert_eq!(trace.faults(0.0, 1e9).count(), RARE_MAX);
    assert_eq!(trace.changes(0.0, 1e9).count(), RARE_MAX);
    assert!(
        trace
            .faults(0.0, 1e9)
            .all(|fault| fault.what == "expected an event, got the end")
    );
}

#[test]
fn stepping_visits_every_mark_once_and_goes_back() {
    let (mut poll, mut stream) = (Trace::new(), Trace::new());
    poll.report(&requested(0, 100.0, Technique::Poll));
    poll.report(&ended(0, 200.0, None));
    stream.event(event(0, 120.0, 170.0));
    let lanes = [&poll, &stream];
    let mut now = 0.0;
    let mut seen = Vec::new();
    while let Some(next) = step_forward(lanes, now) {
        now = next;
        seen.push(next);
    }
    assert_eq!(seen, [100.0, 120.0, 170.0, 200.0]);
    assert_eq!(step_back(lanes, 170.0), Some(120.0));
    assert_eq!(step_back(lanes, 100.0), None);
}

#[test]
fn a_clone_does_not_change_with_the_live_trace() {
    let mut live = Trace::new();
    live.event(event(0, 0.0, 50.0));
    let frozen = live.clone();
    for seq in 1..200_u32 {
        live.event(event(
            u64::from(seq),
            f64::from(seq) * 1_000.0,
            f64::from(seq) * 1_000.0 + 50.0,
        ));
    }
    assert_eq!(frozen.events(0.0, 1e9).count(), 1);
    assert!(
        live.events(0.0, 1e9).all(|run| run.first_seq > 70),
        "the live trace continued and dropped old marks"
    );
}
