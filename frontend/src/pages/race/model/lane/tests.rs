//! Tests of a lane with reports in the order of a follower's.

use super::*;
use tailwater_client::ReceivedBatch;
use tailwater_protocol::Data;

const CLOCK: Conditions = Conditions {
    clock: Some(ClockMapping {
        ahead_ms: 1_000.0,
        bound_ms: 0.1,
        round_trip_ms: 0.2,
        probes: 40,
    }),
    hidden: false,
    measured_from_ms: 0.0,
    run_from_ms: 0.0,
};

struct LaneFixture {
    lane: LaneModel,
    first_arrivals: FirstArrivals,
    given: Conditions,
    marks: Vec<EventMark>,
}

impl LaneFixture {
    fn new(technique: Technique) -> Self {
        let mut lane = LaneModel::new(technique);
        lane.start(Token::now(), 0);
        Self {
            lane,
            first_arrivals: FirstArrivals::default(),
            given: CLOCK,
            marks: Vec::new(),
        }
    }

    fn take(&mut self, report: &LaneReport) {
        self.lane
            .report(report, &mut self.first_arrivals, self.given, |mark, _| {
                self.marks.push(mark);
            });
    }

    /// A response at `at_ms` with lab events that were due at these times of the page's clock.
    fn answer(&mut self, id: u64, at_ms: f64, events: &[(u64, f64)]) {
        let messages = events.iter().map(|(seq, due_ms)| {
            let due_us = CLOCK.clock.unwrap().to_server_us(*due_ms);
            format!(r#"{{"seq":{seq},"due_us":{due_us},"sent_us":{due_us}}}"#)
        });
        let data = Data::Json(messages.collect());
        self.take(&FollowReport::Requested {
            id,
            at_ms: at_ms - 2.0,
            technique: self.lane.technique,
        });
        self.take(&FollowReport::Responded {
            id,
            at_ms: at_ms - 1.0,
            status: 200,
        });
        let batch = CutBatch::from(ReceivedBatch {
            data,
            next: Token::now(),
            up_to_date: true,
            closed: false,
        });
        self.take(&FollowReport::Batch { id, at_ms, batch });
        self.take(&FollowReport::Ended {
            id,
            at_ms,
            fault: None,
        });
    }
}

#[test]
fn latency_counts_from_the_due_time_on_the_pages_clock() {
    let mut fixture = LaneFixture::new(Technique::Poll);
    fixture.answer(0, 100.0, &[]);
    fixture.answer(1, 2_000.0, &[(0, 1_500.0), (1, 1_750.0)]);
    assert_eq!(
        fixture
            .marks
            .iter()
            .map(|mark| mark.due_ms)
            .collect::<Vec<_>>(),
        [Some(1_500.0), Some(1_750.0)]
    );
    assert_eq!(
        fixture
            .lane
            .samples
            .iter()
            .map(|sample| sample.late_ms)
            .collect::<Vec<_>>(),
        [500.0, 250.0]
    );
    assert_eq!(fixture.lane.latency.max_us(), Some(500_000.0));
    assert_eq!(
        (
            fixture.lane.tally.events,
            fixture.lane.tally.requests,
            fixture.lane.tally.empty
        ),
        (2, 2, 1)
    );
}

#[test]
fn warm_up_catch_up_and_hidden_times_are_not_measured() {
    let mut fixture = LaneFixture::new(Technique::Poll);
    fixture.answer(0, 100.0, &[(0, 50.0)]);
    fixture.answer(1, 600.0, &[(1, 500.0)]);
    fixture.given.measured_from_ms = 3_000.0;
    fixture.answer(2, 3_100.0, &[(2, 2_900.0), (3, 3_050.0)]);
    let expected = Discarded {
        hidden: 1,
        warm_up: 1,
        catch_up: 1,
        before_run: 0,
    };
    assert_eq!(fixture.lane.discarded, expected);
    assert_eq!(
        (
            fixture.lane.latency.count(),
            fixture.lane.tally.events,
            fixture.lane.before()
        ),
        (1, 4, 1)
    );
}

#[test]
fn a_response_parsed_after_its_end_is_not_counted_as_empty() {
    let mut fixture = LaneFixture::new(Technique::LongPoll);
    fixture.take(&FollowReport::Requested {
        id: 0,
        at_ms: 1.0,
        technique: Technique::LongPoll,
    });
    fixture.take(&FollowReport::Ended {
        id: 0,
        at_ms: 5.0,
        fault: None,
    });
    assert_eq!(fixture.lane.tally.empty, 1);
    let batch = CutBatch::from(ReceivedBatch {
        data: Data::Json(vec!["1".to_owned()]),
        next: Token::now(),
        up_to_date: true,
        closed: false,
    });
    fixture.take(&FollowReport::Batch {
        id: 0,
        at_ms: 5.0,
        batch,
    });
    assert_eq!(fixture.lane.tally.empty, 0);
}

#[test]
fn the_gap_is_from_a_responses_end_to_the_next_request() {
    let mut fixture = LaneFixture::new(Technique::LongPoll);
    for (id, at_ms) in [(0, 100.0), (1, 105.0), (2, 110.0)] {
        fixture.answer(id, at_ms, &[]);
    }
    assert_eq!(fixture.lane.rearm_ms(), Some(3.0));
}

#[test]
fn a_pause_after_a_fault_is_no_rearm_gap() {
    let mut fixture = LaneFixture::new(Technique::LongPoll);
    fixture.answer(0, 100.0, &[]);
    fixture.take(&FollowReport::Requested {
        id: 1,
        at_ms: 101.0,
        technique: Technique::LongPoll,
    });
    fixture.take(&FollowReport::Ended {
        id: 1,
        at_ms: 102.0,
        fault: Some("cut".to_owned()),
    });
    fixture.answer(2, 5_000.0, &[]);
    assert_eq!(fixture.lane.rearm_ms(), Some(1.0));
}

#[test]
fn bytes_per_event_count_from_the_beginning_of_the_run() {
    let mut fixture = LaneFixture::new(Technique::Poll);
    let counts = |bytes| LaneCounts {
        request_head_bytes: bytes,
        ..LaneCounts::default()
    };
    fixture.lane.counted(counts(5_000));
    assert_eq!(fixture.lane.meter().bytes_per_event(), None);
    fixture.answer(0, 100.0, &[(0, 1.0), (1, 2.0)]);
    fixture.lane.counted(counts(6_000));
    assert_eq!(fixture.lane.meter().bytes_per_event(), Some(500.0));
    fixture.lane.begin_run();
    assert_eq!(fixture.lane.meter().counts(), None);
}

#[test]
fn a_fault_is_shown_until_data_arrives_again() {
    let mut fixture = LaneFixture::new(Technique::Sse);
    fixture.answer(0, 100.0, &[]);
    fixture.take(&FollowReport::Requested {
        id: 1,
        at_ms: 101.0,
        technique: Technique::Sse,
    });
    fixture.take(&FollowReport::Ended {
        id: 1,
        at_ms: 102.0,
        fault: Some("cut".to_owned()),
    });
    assert_eq!(
        (fixture.lane.phase, fixture.lane.fault.as_deref()),
        (LanePhase::Retrying, Some("cut"))
    );
    fixture.answer(2, 200.0, &[]);
    assert_eq!(
        (fixture.lane.phase, fixture.lane.fault.as_deref()),
        (LanePhase::Live, None)
    );
}
