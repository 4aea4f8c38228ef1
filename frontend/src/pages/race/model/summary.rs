//! What the page shows of a race in figures: taken at most ten times a second, cheap to compare and to keep while paused.

use tailwater_protocol::Technique;

use super::clock::ClockMapping;
use super::headline::{Cost, Headline};
use super::lane_summary::LaneSummary;
use crate::lanes::ReaderPlace;
use crate::widgets::connection::ServerConnection;

/// Why bytes are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LanePath {
    /// Not known yet.
    #[default]
    Unknown,
    /// Each lane has a port of its own with a counting relay.
    Relay,
    /// The server's lab is off: all lanes share the page's own origin.
    LabOff,
    /// The server has no more ports to give: all lanes share the page's own origin.
    NoneFree,
    /// The relay's ports can't be reached from here: all lanes share the page's own origin.
    PortsShut,
}

/// The race in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The stream that is shown; empty before it is known.
    pub stream: String,
    /// Its media type; empty before it is known.
    pub content_type: String,
    /// How the page stands to the server.
    pub connection: ServerConnection,
    /// The sentence on top.
    pub headline: Headline,
    /// What an event costs.
    pub cost: Option<Cost>,
    /// The lanes, in the order of [`Technique::ALL`].
    pub lanes: Vec<LaneSummary>,
    /// How the clocks map.
    pub clock: Option<ClockMapping>,
    /// How the lanes reach the server.
    pub path: LanePath,
    /// Events per second that were seen.
    pub rate_per_s: Option<f64>,
    /// Seconds since this run began.
    pub run_s: f64,
    /// The latest message, cut short.
    pub latest: String,
    /// Bytes that were there before and are not read; 0 when all is read.
    pub skipped_bytes: u64,
    /// Whether events and polls are both periodic, so that the phase between them matters.
    pub is_periodic: bool,
    /// Where the lanes' readers run.
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
    /// Samples left out because the tab was hidden, over all lanes.
    pub fn hidden_samples(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.discarded.hidden).sum()
    }
}
