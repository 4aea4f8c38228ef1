//! The figures of a race that the page shows: computed at most ten times a second, cheap to compare and to copy.

use tailwater_protocol::Technique;

use super::clock::ClockMapping;
use super::headline::{Cost, Headline};
use super::lane_summary::LaneSummary;
use crate::lanes::ReaderPlace;
use crate::widgets::connection::ServerConnection;

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
    /// Samples that were discarded because the tab was hidden, over all lanes.
    pub fn hidden_samples(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.discarded.hidden).sum()
    }
}
