//! Headlines for lanes in different states.

use super::super::lane::LanePhase;
use super::*;

fn lane(technique: Technique, p50_ms: Option<f64>) -> LaneSummary {
    LaneSummary {
        technique,
        phase: LanePhase::Live,
        p50_ms,
        events: 10,
        ..LaneSummary::off(technique)
    }
}

/// Lanes with these medians and an error of 0.5 ms each.
fn with_medians(medians: [f64; Technique::COUNT]) -> Vec<LaneSummary> {
    let lanes = Technique::ALL.into_iter().zip(medians);
    lanes
        .map(|(technique, p50_ms)| LaneSummary {
            p50_error_ms: 0.5,
            ..lane(technique, Some(p50_ms))
        })
        .collect()
}

fn lane_groups(lanes: &[LaneSummary], before: &mut Vec<LaneGroup>) -> Vec<LaneGroup> {
    match headline(lanes, 1_000.0, before) {
        Headline::Ranking(ranking) => ranking.lane_groups,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lanes_whose_errors_overlap_are_in_one_group() {
    let lanes = with_medians([507.0, 2.0, 1.4, 1.2, 1.1]);
    let lane_groups = lane_groups(&lanes, &mut Vec::new());
    assert_eq!(lane_groups.len(), 2);
    assert_eq!(lane_groups[0].techniques, &Technique::ALL[1..]);
    assert_eq!((lane_groups[0].from_ms, lane_groups[0].to_ms), (1.1, 2.0));
    assert_eq!(lane_groups[1].techniques, [Technique::Poll]);
    let delayed = with_medians([560.0, 74.0, 53.0, 53.1, 53.2]);
    assert_eq!(self::lane_groups(&delayed, &mut Vec::new()).len(), 3);
}

#[test]
fn lanes_that_measure_the_browser_are_not_ranked() {
    let mut lanes = with_medians([560.0, 74.0, 53.0, 53.1, 53.2]);
    lanes[3].client_down_ms = 26.0;
    assert!(matches!(
        headline(&lanes, 1_000.0, &mut Vec::new()),
        Headline::Ranking(_)
    ));
    lanes[3].client_down_ms = 27.0;
    lanes[4].client_down_ms = 30.0;
    let starved = |failed, technique, client_ms| Headline::Starved {
        failed,
        technique,
        client_ms,
    };
    let expected = starved(Vec::new(), Technique::Websocket, 30.0);
    assert_eq!(headline(&lanes, 1_000.0, &mut Vec::new()), expected);
    // A lane that failed is named, and does not count.
    lanes[4].phase = LanePhase::Failed;
    let expected = starved(vec![Technique::Websocket], Technique::Sse, 27.0);
    assert_eq!(headline(&lanes, 1_000.0, &mut Vec::new()), expected);
    // Without a delay, a few milliseconds are normal; such lanes are too close to tell apart.
    let mut close = with_medians([507.0, 2.0, 1.4, 1.2, 1.1]);
    close[4].client_down_ms = 1.0;
    assert!(matches!(
        headline(&close, 1_000.0, &mut Vec::new()),
        Headline::Ranking(_)
    ));
}

#[test]
fn every_lane_that_lost_events_is_named() {
    let mut lanes = with_medians([560.0, 74.0, 53.0, 53.1, 53.2]);
    (lanes[0].lost, lanes[2].lost, lanes[3].repeated) = (7, 9, 1);
    let Headline::Broken(losses) = headline(&lanes, 1_000.0, &mut Vec::new()) else {
        panic!("lanes lost events");
    };
    assert_eq!(losses.technique, Technique::Ndjson);
    assert_eq!(losses.others, [Technique::Poll, Technique::Sse]);
}

#[test]
fn groups_change_with_hysteresis() {
    let mut before = Vec::new();
    let at = |long_poll| with_medians([507.0, long_poll, 1.0, 1.0, 1.0]);
    for (long_poll, groups) in [(1.9, 2), (2.1, 2), (2.3, 3), (2.1, 3), (1.9, 3), (1.7, 2)] {
        let lane_groups = lane_groups(&at(long_poll), &mut before);
        assert_eq!(lane_groups.len(), groups, "{long_poll}");
    }
}

#[test]
fn the_ranking_contains_every_lane() {
    let mut lanes = with_medians([507.0, 1.0, 1.0, 1.0, 1.0]);
    lanes[0].phase = LanePhase::Failed;
    lanes[4].p50_ms = None;
    let headline = headline(&lanes, 1_000.0, &mut Vec::new());
    assert_eq!(headline.topic(), "ranking P:LNS");
    let Headline::Ranking(ranking) = headline else {
        panic!("{headline:?}")
    };
    assert_eq!(ranking.failed, [Technique::Poll]);
    assert_eq!(ranking.unmeasured, [Technique::Websocket]);
    assert_eq!(ranking.lane_groups[0].techniques, &Technique::ALL[1..4]);
}

#[test]
fn an_unfinished_line_is_reported() {
    let lanes = Technique::ALL.map(|technique| LaneSummary {
        events: 0,
        unfinished_bytes: 12,
        ..lane(technique, None)
    });
    let headline = headline(&lanes, 1.0, &mut Vec::new());
    assert_eq!(headline, Headline::Unfinished { bytes: 12 });
}

#[test]
fn a_loss_is_reported_before_everything_else() {
    let mut lanes = Technique::ALL.map(|technique| lane(technique, Some(1.0)));
    lanes[3].lost = 2;
    assert_eq!(
        headline(&lanes, 1.0, &mut Vec::new()),
        Headline::Broken(Losses {
            failed: Vec::new(),
            technique: Technique::Sse,
            lost: 2,
            repeated: 0,
            fell_behind: false,
            others: Vec::new(),
        })
    );
}

#[test]
fn there_is_a_headline_before_there_are_numbers() {
    let off = Technique::ALL.map(LaneSummary::off);
    assert_eq!(headline(&off, 1.0, &mut Vec::new()), Headline::NoLanes);
    let waiting = Technique::ALL.map(|technique| LaneSummary {
        events: 7,
        before: 7,
        ..lane(technique, None)
    });
    assert_eq!(
        headline(&waiting, 1.0, &mut Vec::new()),
        Headline::Waiting {
            lanes: 5,
            before: 7
        }
    );
    let first = Technique::ALL.map(|technique| LaneSummary {
        events: 9,
        before: 7,
        ..lane(technique, None)
    });
    assert_eq!(
        headline(&first, 1.0, &mut Vec::new()),
        Headline::First {
            lanes: 5,
            events: 2
        }
    );
}

#[test]
fn the_cost_contains_the_cheapest_and_the_most_expensive_lane() {
    let priced = |technique, bytes| LaneSummary {
        bytes_per_event: Some(bytes),
        requests: 10,
        empty: 4,
        ..lane(technique, None)
    };
    let lanes = [
        priced(Technique::Poll, 900.0),
        priced(Technique::Sse, 80.0),
        priced(Technique::Websocket, 70.0),
    ];
    let cost = cost(&lanes).unwrap();
    assert_eq!(
        (cost.least, cost.most),
        ((Technique::Websocket, 70.0), (Technique::Poll, 900.0))
    );
    assert_eq!(cost.empty_polls, Some(0.4));
}
