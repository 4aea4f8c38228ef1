//! A result in a link: the figures that were shown at one moment, with place and time, as a compact text for the fragment
//! of an address.
//!
//! The text is base64url of a version byte, a checksum (FNV-1a, 32 bits, little-endian) and the fields, which
//! `result_fields.rs` lists. A link of another version is not read, because its fields may mean something else.

use tailwater_protocol::Technique;

use super::base64url;
use super::curve::time_of;
use super::export::Provenance;
use super::headline::{self, Headline, LaneGroup};
use super::race::RaceState;
use super::result_fields::ResultFields;
use super::settings::RaceSettings;
use super::summary::Summary;
use crate::app::query::Query;

/// The version of the document; it changes with every change of what the document holds.
const VERSION: u8 = 2;
/// What the fragment of such a link begins with.
pub const FRAGMENT: &str = "#result=";
/// Points of a measured curve, and of a predicted one.
const MEASURED_POINTS: u8 = 33;
const THEORY_POINTS: u8 = 17;
/// Characters that are kept of the user agent, and of a lane's fault.
const WORDS_MAX: usize = 100;
/// The longest latency that a histogram records, ms.
const LONGEST_MS: f32 = 3_600_000.0;

/// A result that was saved in a link.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SavedResult {
    /// When it was saved, milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// Host and port of the page's address.
    pub host: String,
    /// The server's version; empty if it was not known.
    pub server_version: String,
    /// What the browser called itself, shortened.
    pub browser: String,
    /// The seed of the generator.
    pub seed: u64,
    /// When the page's clock was 0, milliseconds since 1970 (UTC).
    pub time_origin_ms: u64,
    /// The settings, as the query of the page.
    pub query: String,
    /// The figures.
    pub summary: Summary,
    /// The distributions, in the order of [`Technique::ALL`].
    pub curves: [SavedCurves; Technique::COUNT],
    /// For each technique the group of the headline in which it stood, from 1; 0 for none.
    pub(super) group_of: [u64; Technique::COUNT],
}

/// The distribution of a lane: latencies in ms at equal steps of the share, from 0 to 1; empty without one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SavedCurves {
    pub(super) measured: Vec<f32>,
    pub(super) theory: Vec<f32>,
}

impl SavedResult {
    /// The result that `summary` shows.
    pub fn new(race: &RaceState, summary: &Summary, provenance: &Provenance) -> Self {
        // When the summary was made, on the page's clock.
        let now_ms = (summary.run_s - race.run_s(0.0)) * 1_000.0;
        let curves = Technique::ALL.map(|technique| SavedCurves {
            measured: quantiles(
                &race.measured_curve(technique),
                u8::try_from(race.measured(technique).count())
                    .map_or(MEASURED_POINTS, |samples| samples.clamp(2, MEASURED_POINTS)),
            ),
            theory: quantiles(&race.predicted_curve(technique, now_ms), THEORY_POINTS),
        });
        let mut summary = summary.clone();
        for lane in &mut summary.lanes {
            lane.fault = lane.fault.as_deref().map(shortened);
        }
        // The text after the last parenthesis names the browser.
        let browser = provenance.user_agent.split(") ").last();
        Self {
            at_ms: provenance.at_ms,
            host: provenance
                .url
                .split('/')
                .nth(2)
                .unwrap_or_default()
                .to_owned(),
            server_version: provenance.server_version.clone(),
            browser: shortened(browser.unwrap_or_default()),
            seed: provenance.seed,
            time_origin_ms: provenance.time_origin_ms,
            query: race.settings.to_query().to_string(),
            group_of: group_of(&summary.headline),
            curves,
            summary,
        }
    }

    /// A link to this result.
    ///
    /// - `url`: the page's address; its fragment is replaced.
    pub fn link(self, url: &str) -> String {
        let page = url.split('#').next().unwrap_or_default();
        format!("{page}{FRAGMENT}{}", self.encode())
    }

    /// The text for the fragment of an address.
    pub fn encode(mut self) -> String {
        let document = ResultFields::write(&mut self);
        let mut bytes = vec![VERSION];
        bytes.extend(checksum(&document));
        bytes.extend(document);
        base64url::encode(&bytes)
    }

    /// Reads the text that [`SavedResult::encode`] made; `None` for any other, and for one of another version.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = base64url::decode(text)?;
        let (version, bytes) = bytes.split_first()?;
        let (sum, document) = bytes.split_at_checked(4)?;
        if *version != VERSION || sum != checksum(document) {
            return None;
        }
        let mut result = ResultFields::read(document)?;
        result.restore_headline();
        result.can_be_drawn().then_some(result)
    }

    /// The settings.
    pub fn settings(&self) -> RaceSettings {
        RaceSettings::from_query(&Query::parse(&self.query))
    }

    /// Whether all latencies of the curves are possible ones.
    fn can_be_drawn(&self) -> bool {
        let mut points = self
            .curves
            .iter()
            .flat_map(|curves| curves.measured.iter().chain(&curves.theory));
        points.all(|ms| (0.0..=LONGEST_MS).contains(ms))
    }

    /// Restores the headline, which follows from the figures and from the groups of the techniques.
    fn restore_headline(&mut self) {
        let members = |group: u64| {
            let is_in = |technique: &Technique| self.group_of[technique.index()] == group;
            Technique::ALL.into_iter().filter(is_in).collect()
        };
        let groups = (1..=Technique::COUNT as u64).map(|group| LaneGroup {
            techniques: members(group),
            from_ms: 0.0,
            to_ms: 0.0,
        });
        let mut groups: Vec<LaneGroup> = groups.collect();
        let interval_ms = self.settings().interval_ms;
        let lanes = &self.summary.lanes;
        self.summary.headline = headline::headline(lanes, interval_ms, &mut groups);
        self.summary.cost = headline::cost(lanes);
    }
}

impl SavedCurves {
    /// Points `(latency in ms, share)` of the measured curve.
    pub fn measured(&self) -> Vec<(f64, f64)> {
        points(&self.measured)
    }

    /// Points `(latency in ms, share)` of the predicted curve.
    pub fn theory(&self) -> Vec<(f64, f64)> {
        points(&self.theory)
    }
}

/// The times at which a curve reaches `count` shares from 0 to 1; empty for an empty curve.
fn quantiles(curve: &[(f64, f64)], count: u8) -> Vec<f32> {
    let last = f64::from(count - 1);
    let times = (0..count).filter_map(|index| time_of(curve, f64::from(index) / last));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits are more than a histogram has"
    )]
    let times = times.map(|time| (time as f32).clamp(0.0, LONGEST_MS));
    times.collect()
}

fn points(times: &[f32]) -> Vec<(f64, f64)> {
    let last = times.len().saturating_sub(1).max(1) as f64;
    let share = |index: usize| index as f64 / last;
    let times = times.iter().enumerate();
    times
        .map(|(index, ms)| (f64::from(*ms), share(index)))
        .collect()
}

fn group_of(headline: &Headline) -> [u64; Technique::COUNT] {
    let groups = match headline {
        Headline::Ranking(ranking) => &ranking.lane_groups[..],
        _ => &[],
    };
    Technique::ALL.map(|technique| {
        let is_in = |group: &LaneGroup| group.techniques.contains(&technique);
        let place = groups.iter().position(is_in);
        place.map_or(0, |place| place as u64 + 1)
    })
}

fn shortened(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

/// Source: FNV-1a, 32 bits (draft-eastlake-fnv, section 2).
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let sum = bytes.iter().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    sum.to_le_bytes()
}

#[cfg(test)]
mod tests;
