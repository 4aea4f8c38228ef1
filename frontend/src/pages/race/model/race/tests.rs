//! Tests of a race: the summary that it computes from the reports of its lanes.

use super::super::headline::Ranking;
use super::*;
use crate::lanes::CutBatch;
use crate::widgets::connection::ServerConnection;
use tailwater_client::FollowReport;
use tailwater_client::ReceivedBatch;
use tailwater_protocol::Data;

const MAPPING: ClockMapping = ClockMapping {
    ahead_ms: 0.0,
    bound_ms: 0.1,
    round_trip_ms: 0.2,
    probes: 40,
};

/// A race on `lab/host` without delay, whose lanes caught up at 0 ms.
fn started() -> RaceState {
    let settings = RaceSettings {
        up_ms: 0.0,
        down_ms: 0.0,
        ..RaceSettings::default()
    };
    let mut race = RaceState::new(settings, 0.0);
    race.open(StreamName::parse("lab/host").ok().as_ref(), 0.0);
    race.stream_state = StreamState::Found;
    race.connection = ServerConnection::Live;
    race.clock = Some(MAPPING);
    for technique in Technique::ALL {
        race.lanes[technique.index()].start(Token::now(), 0);
        arrive(&mut race, technique, 0.0, Vec::new());
    }
    race
}

fn arrive(race: &mut RaceState, technique: Technique, at_ms: f64, messages: Vec<String>) {
    let batch = CutBatch::from(ReceivedBatch {
        data: Data::Json(messages),
        next: Token::now(),
        up_to_date: true,
        closed: false,
    });
    race.report(
        technique,
        &FollowReport::Batch {
            id: 0,
            at_ms,
            batch,
        },
    );
}

fn event(seq: u64, due_ms: u64) -> String {
    format!(
        r#"{{"seq":{seq},"due_us":{due},"sent_us":{due}}}"#,
        due = due_ms * 1_000
    )
}

#[test]
fn the_headline_compares_five_lanes_with_numbers() {
    let mut race = started();
    for seq in 0..20 {
        let due_ms = 2_000 + seq * 250;
        for (technique, late_ms) in Technique::ALL.into_iter().zip([500.0, 2.0, 1.0, 1.0, 1.0]) {
            arrive(
                &mut race,
                technique,
                due_ms as f64 + late_ms,
                vec![event(seq, due_ms)],
            );
        }
    }
    let summary = race.summary(8_000.0);
    let Headline::Ranking(Ranking { lane_groups, .. }) = &summary.headline else {
        panic!("{:?}", summary.headline)
    };
    assert_eq!(lane_groups.last().unwrap().techniques, [Technique::Poll]);
    assert!(
        summary
            .lanes
            .iter()
            .all(|lane| (lane.events, lane.lost, lane.repeated) == (20, 0, 0))
    );
    assert!(
        summary.lanes[0]
            .predicted_ms
            .is_some_and(|mean| (mean - 500.0).abs() < 2.0),
        "{:?}",
        summary.lanes[0]
    );
}

#[test]
fn events_due_while_the_tab_was_hidden_are_not_measured() {
    let mut race = started();
    race.set_hidden(true, 2_000.0);
    arrive(&mut race, Technique::Sse, 2_501.0, vec![event(0, 2_500)]);
    race.set_hidden(false, 9_000.0);
    arrive(
        &mut race,
        Technique::Sse,
        9_100.0,
        vec![event(1, 5_000), event(2, 9_099)],
    );
    arrive(&mut race, Technique::Sse, 9_601.0, vec![event(3, 9_600)]);
    let lane = &race.summary(9_700.0).lanes[Technique::Sse.index()];
    assert_eq!(
        (lane.events, lane.samples, lane.discarded.hidden),
        (4, 1, 3)
    );
}

#[test]
fn a_lane_switched_on_again_starts_at_the_furthest_lane() {
    let mut race = started();
    race.stop_lane(Technique::Poll, 10.0);
    arrive(
        &mut race,
        Technique::Sse,
        11.0,
        vec![event(0, 1), event(1, 2)],
    );
    let furthest: Token = "0000000000000042".parse().unwrap();
    race.lanes[Technique::Sse.index()].token = Some(furthest.clone());
    let start = Token::beginning();
    assert_eq!(race.beginning(&start), (furthest, 2));
    Technique::ALL
        .into_iter()
        .for_each(|technique| race.stop_lane(technique, 20.0));
    assert_eq!(race.beginning(&start), (start, 0));
}

#[test]
fn changed_conditions_start_a_run_at_the_same_offset() {
    let mut race = started();
    arrive(&mut race, Technique::Ndjson, 3_001.0, vec![event(0, 3_000)]);
    race.begin_run(4_000.0);
    arrive(&mut race, Technique::Ndjson, 5_001.0, vec![event(1, 5_000)]);
    let lane = &race.summary(6_000.0).lanes[Technique::Ndjson.index()];
    assert_eq!(
        (lane.events, lane.samples, lane.lost, lane.repeated),
        (1, 1, 0, 0)
    );
}

#[test]
fn messages_without_stamps_are_measured_against_the_first_lane() {
    let mut race = started();
    for index in 0..8 {
        let at_ms = 2_000.0 + f64::from(index) * 100.0;
        arrive(
            &mut race,
            Technique::Websocket,
            at_ms,
            vec![format!("{index}")],
        );
        arrive(
            &mut race,
            Technique::Poll,
            at_ms + 40.0,
            vec![format!("{index}")],
        );
    }
    let summary = race.summary(4_000.0);
    assert_eq!(summary.lanes[0].measure, Measure::BehindFirst);
    assert!(
        summary.lanes[0]
            .p50_ms
            .is_some_and(|late| (late - 40.0).abs() < 0.1)
    );
    assert_eq!(summary.lanes[0].predicted_ms, None);
}

#[test]
fn an_unreachable_server_is_reported_before_any_number() {
    let mut race = started();
    race.connection = ServerConnection::Lost;
    assert_eq!(race.summary(1.0).headline, Headline::Unreachable);
    race.connection = ServerConnection::Live;
    race.stream_state = StreamState::Missing;
    assert_eq!(
        race.summary(1.0).headline,
        Headline::Missing("lab/host".to_owned())
    );
    race.path = LanePath::LabOff;
    assert_eq!(race.summary(1.0).headline, Headline::NoSource);
}

#[test]
fn transit_includes_delays_only_with_a_relay() {
    let mut race = started();
    let chosen = (50.0, 30.0);
    (race.settings.up_ms, race.settings.down_ms) = chosen;
    for (path, delays) in [
        (LanePath::Relay, chosen),
        (LanePath::LabOff, (0.0, 0.0)),
        (LanePath::PortsShut, (0.0, 0.0)),
    ] {
        race.path = path;
        let transit = race.transit().unwrap();
        let half_ms = MAPPING.round_trip_ms / 2.0;
        assert!((transit.up_ms - delays.0 - half_ms).abs() < 1e-9);
        assert!((transit.down_ms - delays.1 - half_ms).abs() < 1e-9);
    }
}

#[test]
fn a_browser_that_is_busy_in_one_lane_is_busy_for_all() {
    let mut race = RaceState::new(RaceSettings::default(), 0.0);
    race.lanes[Technique::Sse.index()].client.record_chunk(40.0);
    assert!((race.guards(&race.lanes[0]).client_ms - 40.0).abs() < 0.5);
}

#[test]
fn a_lane_that_lost_events_is_not_judged() {
    let mut race = started();
    let sse = Technique::Sse.index();
    (0..60).for_each(|_| race.lanes[sse].latency.record_us(900_000.0));
    let verdict = |race: &RaceState| race.summary(30_000.0).lanes[sse].verdict;
    assert!(verdict(&race).is_some());
    race.lanes[sse].order.lost = 1;
    assert_eq!(verdict(&race), None);
}
