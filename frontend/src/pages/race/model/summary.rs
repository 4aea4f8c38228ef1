//! The figures of a race that the page shows.

use std::mem::discriminant;

use tailwater_protocol::Technique;

use super::clock::ClockMapping;
use super::headline::{Cost, Headline};
use super::lane_summary::LaneSummary;
use super::settings::RaceSettings;
use crate::lanes::ReaderPlace;
use crate::widgets::connection::ServerConnection;

/// Time after the start of a run in which figures are updated more often, seconds.
pub const FRESH_S: f64 = 2.0;

/// How the lanes connect to the server, and so whether bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LanePath {
    /// Not known yet.
    #[default]
    Unknown,
    /// Each lane has a port of its own with a counting relay.
    Relay,
    /// The server's lab is off: all lanes share the page's own origin.
    LabOff,
    /// The server has no free ports: all lanes share the page's own origin.
    NoneFree,
    /// The relay's ports can't be reached from the browser: all lanes share the page's own origin.
    PortsShut,
}

impl LanePath {
    /// The delays of the settings to and from the server, ms; zero without a relay, which adds them.
    pub fn added_delays(self, settings: &RaceSettings) -> (f64, f64) {
        match self {
            Self::Relay | Self::Unknown => (settings.up_ms, settings.down_ms),
            Self::NoneFree | Self::LabOff | Self::PortsShut => (0.0, 0.0),
        }
    }
}

/// The race in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The stream that is shown; empty before it is known.
    pub stream: String,
    /// Its media type; empty before it is known.
    pub content_type: String,
    /// The state of the connection to the server.
    pub connection: ServerConnection,
    /// The headline.
    pub headline: Headline,
    /// The cost of an event.
    pub cost: Option<Cost>,
    /// The lanes, in the order of [`Technique::ALL`].
    pub lanes: Vec<LaneSummary>,
    /// How the server's clock maps to the page's.
    pub clock: Option<ClockMapping>,
    /// How the lanes connect to the server.
    pub path: LanePath,
    /// Events per second.
    pub rate_per_s: Option<f64>,
    /// Seconds since this run began.
    pub run_s: f64,
    /// The beginning of the latest message.
    pub latest: String,
    /// Bytes before the start of the lanes, which are not read; 0 if all is read.
    pub skipped_bytes: u64,
    /// Whether events and polls are both periodic, so that the latency of polling depends on their phase.
    pub is_periodic: bool,
    /// The threads on which the readers run.
    pub readers: ReaderPlace,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            stream: String::new(),
            content_type: String::new(),
            connection: ServerConnection::Connecting,
            headline: Headline::Connecting,
            cost: None,
            lanes: Technique::ALL.map(LaneSummary::off).to_vec(),
            clock: None,
            path: LanePath::Unknown,
            rate_per_s: None,
            run_s: 0.0,
            latest: String::new(),
            skipped_bytes: 0,
            is_periodic: false,
            readers: ReaderPlace::default(),
        }
    }
}

impl Summary {
    /// Whether these figures are to be shown instead of `shown`: once a second, so that they can be read, and the numbers of the
    /// headline are those of the cards; at once while a run is fresh, and if the state of a lane or of the race has changed.
    pub fn replaces(&self, shown: &Self) -> bool {
        let mut lanes = self.lanes.iter().zip(&shown.lanes);
        self.run_s < FRESH_S
            || self.run_s.floor() > shown.run_s.floor()
            || self.run_s < shown.run_s
            || self.connection != shown.connection
            || discriminant(&self.headline) != discriminant(&shown.headline)
            || lanes.any(|(lane, shown)| lane.phase != shown.phase)
    }

    /// Whether the headline follows from the figures of the lanes, so that a link to them restores it.
    pub fn is_result(&self) -> bool {
        matches!(
            self.headline,
            Headline::Ranking(_)
                | Headline::Starved { .. }
                | Headline::Broken(_)
                | Headline::First { .. }
                | Headline::Closed { .. }
        )
    }

    /// Samples that were discarded because the tab was hidden, over all lanes.
    pub fn hidden_samples(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.discarded.hidden).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::LanePhase;
    use super::*;

    #[test]
    fn figures_are_replaced_once_a_second_and_states_at_once() {
        let at = |run_s| Summary {
            run_s,
            ..Summary::default()
        };
        let shown = at(8.3);
        assert!(!at(8.9).replaces(&shown));
        assert!(at(9.0).replaces(&shown));
        assert!(at(1.0).replaces(&shown), "a new run");
        assert!(at(0.4).replaces(&at(0.3)), "a fresh run");
        let mut live = at(8.9);
        live.lanes[2].phase = LanePhase::Live;
        assert!(live.replaces(&shown));
        let lost = Summary {
            connection: ServerConnection::Lost,
            ..at(8.9)
        };
        assert!(lost.replaces(&shown));
        let no_lanes = Summary {
            headline: Headline::NoLanes,
            ..at(8.9)
        };
        assert!(no_lanes.replaces(&shown));
    }
}
