//! The race: five lanes on one stream, what they share, and their summary.

use std::cell::RefCell;

use tailwater_lab::{Guards, Latencies, Prediction, Verdict};
use tailwater_protocol::lab::HostRequest;
use tailwater_protocol::{StreamName, Technique, Token};

use super::clock::ClockMapping;
use super::headline::{self, Headline, LaneGroup};
use super::lane::{Conditions, LaneModel, LanePhase};
use super::lane_summary::{LaneSummary, Measure};
use super::order::FirstArrivals;
use super::predict::{self, PredictionInput, TransitTimes};
use super::settings::{RaceSettings, RaceSource};
use super::summary::{LanePath, Summary};
use super::trace::Trace;
use crate::lanes::message::ReaderReport;
use crate::lanes::{LaneReport, ReaderPlace};
use crate::widgets::connection::ServerConnection;

/// Time without a response after which a long-poll counts as held, ms, in addition to the added delays.
const HELD_MS: f64 = 250.0;
/// Delay before events count again after a time without measurements, ms.
const AFTER_HIDDEN_MS: f64 = 500.0;

/// Whether the stream exists.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum StreamState {
    /// Not requested yet.
    #[default]
    Unknown,
    /// It exists.
    Found,
    /// It does not exist.
    Missing,
    /// The server refused the request, with the reason.
    Refused(String),
}

/// Five lanes on one stream.
#[derive(Debug, Clone)]
pub struct RaceState {
    /// The settings.
    pub settings: RaceSettings,
    /// The stream's name; `None` before it is known, and while the requested name is invalid.
    pub stream: Option<StreamName>,
    /// Its media type; empty before it is known.
    pub content_type: String,
    /// Whether it exists.
    pub stream_state: StreamState,
    /// The lanes, in the order of [`Technique::ALL`].
    pub lanes: [LaneModel; Technique::COUNT],
    /// The data of the drawings, one trace per lane.
    pub traces: [Trace; Technique::COUNT],
    /// How the server's clock maps to the page's, once probed.
    pub clock: Option<ClockMapping>,
    /// The step of the page's clock, ms.
    pub resolution_ms: f64,
    /// How the lanes connect to the server.
    pub path: LanePath,
    /// The state of the connection to the server.
    pub connection: ServerConnection,
    /// Bytes before the start of the lanes, which are not read.
    pub skipped_bytes: u64,
    /// The threads on which the readers run.
    pub readers: ReaderPlace,
    /// The groups of lanes of the previous headline, for hysteresis.
    lane_groups: RefCell<Vec<LaneGroup>>,
    first_arrivals: FirstArrivals,
    source_late: Latencies,
    hidden: bool,
    measured_from_ms: f64,
    run_from_ms: f64,
}

impl RaceState {
    /// A race that has not begun.
    pub fn new(settings: RaceSettings, now_ms: f64) -> Self {
        Self {
            settings,
            stream: None,
            content_type: String::new(),
            stream_state: StreamState::Unknown,
            lanes: Technique::ALL.map(LaneModel::new),
            traces: std::array::from_fn(|_| Trace::new()),
            clock: None,
            resolution_ms: 0.1,
            path: LanePath::Unknown,
            connection: ServerConnection::Connecting,
            skipped_bytes: 0,
            readers: ReaderPlace::default(),
            lane_groups: RefCell::default(),
            first_arrivals: FirstArrivals::default(),
            source_late: Latencies::default(),
            hidden: false,
            measured_from_ms: now_ms,
            run_from_ms: now_ms,
        }
    }

    /// Marks lanes as live whose first long-poll is held: on an empty stream there is no response that shows it.
    pub fn settle(&mut self, now_ms: f64) {
        let wait_ms = HELD_MS + self.settings.up_ms + self.settings.down_ms;
        for lane in &mut self.lanes {
            lane.settle(now_ms - wait_ms);
        }
    }

    /// Lanes whose next messages the server has removed, each with the position at which to continue.
    pub fn left_behind(&self, start: &Token) -> Vec<(Technique, Token, u64)> {
        let (token, position) = self.beginning(start);
        let behind = self
            .lanes
            .iter()
            .filter(|lane| lane.is_left_behind() && lane.order.position < position);
        behind
            .map(|lane| (lane.technique, token.clone(), position))
            .collect()
    }

    /// Changes the stream: counts and drawings begin anew.
    ///
    /// - `stream`: `None` if the requested name is invalid.
    pub fn open(&mut self, stream: Option<&StreamName>, now_ms: f64) {
        self.stream = stream.cloned();
        self.content_type.clear();
        self.stream_state = StreamState::Unknown;
        self.skipped_bytes = 0;
        self.first_arrivals = FirstArrivals::default();
        self.lanes = Technique::ALL.map(LaneModel::new);
        self.traces.iter_mut().for_each(Trace::clear);
        self.begin_run(now_ms);
    }

    /// Changes the conditions: following continues, measuring begins anew.
    pub fn begin_run(&mut self, now_ms: f64) {
        self.lanes.iter_mut().for_each(LaneModel::begin_run);
        self.source_late = Latencies::default();
        self.run_from_ms = now_ms;
    }

    /// How long the run has lasted at `now_ms`, s.
    pub fn run_s(&self, now_ms: f64) -> f64 {
        (now_ms - self.run_from_ms) / 1_000.0
    }

    /// Where a lane that is switched on begins: at the position of the furthest lane, else at `start`.
    ///
    /// Returns the token and its position in messages after the common start.
    pub fn beginning(&self, start: &Token) -> (Token, u64) {
        let running = self.lanes.iter().filter(|lane| {
            !matches!(
                lane.phase,
                LanePhase::Off | LanePhase::Connecting | LanePhase::Failed
            )
        });
        let furthest = running.max_by_key(|lane| lane.order.position);
        furthest
            .and_then(|lane| Some((lane.token.clone()?, lane.order.position)))
            .unwrap_or_else(|| (start.clone(), 0))
    }

    /// Processes a report of the reader of `technique`.
    pub fn take(&mut self, technique: Technique, report: ReaderReport) {
        match report {
            ReaderReport::Lane(report) => self.report(technique, &report),
            ReaderReport::Client(time) => self.lanes[technique.index()].client.record_request(time),
            ReaderReport::TimerDelay(ms) => {
                self.lanes[technique.index()].client.record_timer_delay(ms);
            }
            ReaderReport::Null { at_ms, sent_us } => {
                if let Some(clock) = self.clock {
                    let transit_ms = clock.round_trip_ms / 2.0;
                    let client_ms = at_ms - clock.to_page_ms(sent_us) - transit_ms;
                    self.lanes[technique.index()].client.record_chunk(client_ms);
                }
            }
        }
    }

    /// Processes a report of the follower of `technique`.
    pub fn report(&mut self, technique: Technique, report: &LaneReport) {
        let index = technique.index();
        let given = Conditions {
            clock: self.clock,
            hidden: self.hidden,
            measured_from_ms: self.measured_from_ms,
            run_from_ms: self.run_from_ms,
        };
        let Self {
            lanes,
            traces,
            first_arrivals,
            source_late,
            ..
        } = self;
        let trace = &mut traces[index];
        trace.report(report);
        lanes[index].report(report, first_arrivals, given, |mark, stamps| {
            trace.event(mark);
            if let Some(sent_us) =
                stamps.and_then(|stamps| Some(stamps.sent_us? as f64 - stamps.due_us as f64))
            {
                source_late.record_us(sent_us);
            }
        });
    }

    /// Ends a lane whose follower was dropped.
    pub fn stop_lane(&mut self, technique: Technique, now_ms: f64) {
        let index = technique.index();
        self.lanes[index].stop();
        self.traces[index].cut(now_ms);
    }

    /// Notes that the tab was hidden or shown, or the machine slept: events that were due meanwhile are not measured.
    pub fn set_hidden(&mut self, hidden: bool, now_ms: f64) {
        if self.hidden || hidden {
            self.measured_from_ms = self.measured_from_ms.max(now_ms + AFTER_HIDDEN_MS);
        }
        self.hidden = hidden;
    }

    /// Notes that the page did not run for a time: events that were due meanwhile are not measured.
    pub fn stalled(&mut self, now_ms: f64) {
        self.measured_from_ms = self.measured_from_ms.max(now_ms);
    }

    /// From when lateness is counted: from the due time if most messages carry one.
    pub fn measure(&self) -> Measure {
        let (due, behind) = self.lanes.iter().fold((0, 0), |(due, behind), lane| {
            (due + lane.latency.count(), behind + lane.behind.count())
        });
        if behind > due {
            Measure::BehindFirst
        } else {
            Measure::FromDue
        }
    }

    /// The latencies of a lane that are shown.
    pub fn measured(&self, technique: Technique) -> &Latencies {
        let lane = &self.lanes[technique.index()];
        match self.measure() {
            Measure::FromDue => &lane.latency,
            Measure::BehindFirst => &lane.behind,
        }
    }

    /// Events per second of the stream: the rate of the source, else the rate measured in this run.
    ///
    /// A measured rate is never exactly that of a periodic source, which has a fixed phase to polls.
    pub fn rate_per_s(&self, now_ms: f64) -> Option<f64> {
        match self.settings.source {
            RaceSource::Generator => return Some(self.settings.rate),
            RaceSource::Host => return Some(HostRequest::RATE_PER_S),
            RaceSource::Named(_) => {}
        }
        let seconds = self.run_s(now_ms);
        let events = self
            .lanes
            .iter()
            .map(|lane| lane.tally.events - lane.before())
            .max()
            .unwrap_or(0);
        (seconds >= 1.0 && events >= 2).then(|| events as f64 / seconds)
    }

    /// The delays that the relay adds to and from the server, ms; zero without a relay.
    pub fn added_delays(&self) -> (f64, f64) {
        self.path.added_delays(&self.settings)
    }

    /// The measured transit in both directions; `None` before the clocks have been compared.
    pub fn transit(&self) -> Option<TransitTimes> {
        let mut transit = TransitTimes::new(&self.settings, &self.clock?);
        let (up_ms, down_ms) = self.added_delays();
        transit.up_ms += up_ms - self.settings.up_ms;
        transit.down_ms += down_ms - self.settings.down_ms;
        Some(transit)
    }

    /// The input of the predictions for a lane; `None` while the clock or the rate is unknown.
    pub(super) fn prediction_input(
        &self,
        technique: Technique,
        now_ms: f64,
    ) -> Option<PredictionInput> {
        let lane = &self.lanes[technique.index()];
        Some(PredictionInput {
            rate_per_s: self.rate_per_s(now_ms)?,
            transit: self.transit()?,
            source_ms: self.source_late.mean_us().unwrap_or(0.0) / 1_000.0,
            rearm_ms: lane.rearm_ms().unwrap_or(0.0),
            client_up_ms: lane.client.up_ms(),
            client_down_ms: lane.client.down_ms(),
            payload_bytes: lane.tally.payload_bytes as f64 / lane.tally.events.max(1) as f64,
        })
    }

    /// The prediction for a lane; `None` while the clock or the rate is unknown, and without due times.
    pub fn prediction(&self, technique: Technique, now_ms: f64) -> Option<Prediction> {
        if self.measure() == Measure::BehindFirst {
            return None;
        }
        Some(predict::prediction(
            technique,
            &self.settings,
            &self.prediction_input(technique, now_ms)?,
        ))
    }

    /// The race in figures, as of `now_ms`.
    pub fn summary(&self, now_ms: f64) -> Summary {
        let lanes: Vec<LaneSummary> = Technique::ALL
            .map(|technique| self.lane_summary(technique, now_ms))
            .to_vec();
        let headline = match (&self.stream_state, self.connection) {
            (_, ServerConnection::Lost) => Headline::Unreachable,
            (StreamState::Missing, _)
                if self.path == LanePath::LabOff && self.settings.source == RaceSource::Host =>
            {
                Headline::NoSource
            }
            (StreamState::Missing, _) => Headline::Missing(self.stream_text()),
            (StreamState::Refused(why), _) => Headline::Failed(why.clone()),
            (StreamState::Unknown, _) => Headline::Connecting,
            (StreamState::Found, _) => {
                let lane_groups = &mut self.lane_groups.borrow_mut();
                headline::headline(&lanes, self.settings.interval_ms, lane_groups)
            }
        };
        Summary {
            stream: self.stream_text(),
            content_type: self.content_type.clone(),
            connection: self.connection,
            headline,
            cost: headline::cost(&lanes),
            lanes,
            clock: self.clock,
            path: self.path,
            rate_per_s: self.rate_per_s(now_ms),
            run_s: self.run_s(now_ms),
            latest: self.latest().to_owned(),
            skipped_bytes: self.skipped_bytes,
            is_periodic: self.settings.is_periodic(),
            readers: self.readers,
        }
    }

    fn stream_text(&self) -> String {
        self.stream
            .as_ref()
            .map(StreamName::to_string)
            .unwrap_or_default()
    }

    /// The beginning of the newest message.
    fn latest(&self) -> &str {
        let furthest = self.lanes.iter().max_by_key(|lane| lane.order.position);
        furthest.map(LaneModel::preview).unwrap_or_default()
    }

    fn lane_summary(&self, technique: Technique, now_ms: f64) -> LaneSummary {
        let lane = &self.lanes[technique.index()];
        let measured = self.measured(technique);
        let ms = |value_us: Option<f64>| value_us.map(|value| value / 1_000.0);
        let judged = self.judged(technique, now_ms);
        // A lane that is on but has not started waits for the stream or the server.
        let phase = if lane.phase == LanePhase::Off && self.settings.lanes[technique.index()] {
            LanePhase::Connecting
        } else {
            lane.phase
        };
        LaneSummary {
            technique,
            following: lane.following,
            phase,
            fault: lane.fault.clone(),
            measure: self.measure(),
            samples: measured.count(),
            p50_ms: ms(measured.p50_us()),
            p50_error_ms: median_error_ms(measured) + lane.client.down_ms(),
            p90_ms: ms(measured.p90_us()),
            p99_ms: ms(measured.p99_us()),
            mean_ms: ms(measured.mean_us()),
            min_ms: ms(measured.min_us()),
            max_ms: ms(measured.max_us()),
            events: lane.tally.events,
            before: lane.before(),
            lost: lane.order.lost,
            repeated: lane.order.repeated,
            requests: lane.tally.requests,
            catch_up_requests: lane.tally.catch_up_requests,
            empty: lane.tally.empty,
            faults: lane.tally.faults,
            payload_bytes: lane.tally.payload_bytes,
            body_bytes: lane.tally.body_bytes,
            bytes_per_event: lane.meter().bytes_per_event(),
            cross_origin_per_event: lane.meter().cross_origin_per_event(),
            counted_events: lane.meter().events(),
            counts: lane.meter().counts(),
            rearm_ms: lane.rearm_ms(),
            client_up_ms: lane.client.up_ms(),
            client_down_ms: lane.client.down_ms(),
            client_p99_ms: lane.client.p99_ms(),
            fell_behind: lane.fell_behind,
            unfinished_bytes: lane.unfinished_bytes,
            discarded: lane.discarded,
            predicted_ms: judged.as_ref().map(|(mean, _)| *mean),
            verdict: judged.and_then(|(_, verdict)| verdict),
        }
    }

    /// The predicted mean of a lane, ms, and how its measurement compares; `None` while there is no prediction.
    fn judged(&self, technique: Technique, now_ms: f64) -> Option<(f64, Option<Verdict>)> {
        let lane = &self.lanes[technique.index()];
        if lane.phase == LanePhase::Off {
            return None;
        }
        let known = self.prediction_input(technique, now_ms)?;
        let prediction = self.prediction(technique, now_ms)?;
        let responses = if lane.following.repeats_requests() {
            lane.tally.requests.saturating_sub(lane.tally.empty)
        } else {
            u64::MAX
        };
        let verdict = predict::verdict(
            &prediction,
            self.measured(technique),
            responses,
            &self.settings,
            &known,
            self.guards(lane),
        );
        // The theory is about lanes that receive every event.
        let verdict = verdict.filter(|_| lane.order.lost == 0);
        Some((prediction.latency.mean_s() * 1_000.0, verdict))
    }

    /// What may have disturbed the run of `lane`.
    ///
    /// The lanes share browser and machine: if it was busy in one, none is judged more strictly.
    fn guards(&self, lane: &LaneModel) -> Guards {
        let client_ms = self.lanes.iter().map(|lane| lane.client.p99_ms());
        Guards {
            clock_bound_ms: self.clock.map_or(f64::INFINITY, |clock| clock.bound_ms),
            resolution_ms: self.resolution_ms,
            source_late_ms: self.source_late.p99_us().unwrap_or(0.0) / 1_000.0,
            client_ms: client_ms.fold(0.0, f64::max),
            client_mean_ms: lane.client.up_ms() + lane.client.down_ms(),
            ..Guards::default()
        }
    }
}

/// Half the 95 % confidence interval of a median, ms.
///
/// Source: McGill, Tukey and Larsen 1978, notched box plots.
fn median_error_ms(latencies: &Latencies) -> f64 {
    let quartiles = latencies
        .percentile_us(75.0)
        .zip(latencies.percentile_us(25.0));
    quartiles.map_or(0.0, |(upper, lower)| {
        1.57 * (upper - lower) / (latencies.count() as f64).sqrt() / 1_000.0
    })
}

#[cfg(test)]
mod tests;
