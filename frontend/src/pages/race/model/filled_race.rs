//! A race for tests: five lanes with events, samples, predictions and counts of the relay.

use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::lab::LaneCounts;
use tailwater_protocol::{Data, StreamName, Technique, Token};

use super::clock::ClockMapping;
use super::race::{RaceState, StreamState};
use super::settings::RaceSettings;
use super::summary::LanePath;
use crate::lanes::CutBatch;
use crate::widgets::connection::ServerConnection;

/// Events of each lane, all of which are samples.
pub(super) const EVENTS: u64 = 300;
/// When the last of them has arrived, ms.
pub(super) const AT_MS: f64 = 80_000.0;

/// A race on `lab/host` with [`EVENTS`] events in each lane.
pub(super) fn filled_race() -> RaceState {
    let mut race = RaceState::new(RaceSettings::default(), 0.0);
    race.open(StreamName::parse("lab/host").ok().as_ref(), 0.0);
    race.stream_state = StreamState::Found;
    race.connection = ServerConnection::Live;
    race.path = LanePath::Relay;
    race.clock = Some(ClockMapping {
        ahead_ms: 0.0,
        bound_ms: 0.06,
        round_trip_ms: 0.4,
        probes: 43,
    });
    for technique in Technique::ALL {
        let lane = technique.index() as u64;
        race.lanes[technique.index()].start(Token::now(), 0);
        arrive(&mut race, technique, 0.0, Vec::new());
        race.lanes[technique.index()].counted(LaneCounts::default());
        for seq in 0..EVENTS {
            let due_ms = 2_000 + seq * 250;
            let late_us = match technique {
                Technique::Poll => 20_000 + seq * 7_919 % 1_000 * 1_000,
                _ => 20_000 + lane * 300 + seq * 7_919 % 1_500,
            };
            let at_ms = due_ms as f64 + late_us as f64 / 1_000.0;
            let due_us = due_ms * 1_000;
            let event = format!(r#"{{"seq":{seq},"due_us":{due_us},"sent_us":{due_us}}}"#);
            arrive(&mut race, technique, at_ms, vec![event]);
        }
        race.lanes[technique.index()].counted(LaneCounts {
            connections: 1,
            connections_open: 1,
            requests: 12 + lane,
            responses: 12,
            request_head_bytes: 54_321 + lane,
            response_head_bytes: 65_432,
            response_body_bytes: 76_543,
            response_framing_bytes: 1_234,
            cross_origin_bytes: 4_321,
            ..LaneCounts::default()
        });
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
    let report = FollowReport::Batch {
        id: 0,
        at_ms,
        batch,
    };
    race.report(technique, &report);
}
