//! The recommended technique for the workload of a race, with costs from the model and from measurements.

use std::time::Duration;

use tailwater_lab::{Advice, Needs, advise};
use tailwater_protocol::Technique;

use super::predict;
use super::race::RaceState;

/// The fewest events of a lane for which its measured bytes are used.
const MEASURED_EVENTS: u64 = 30;

/// The requirements for the recommendation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Requirements {
    /// The limit of the 95th percentile of the latency, ms.
    pub within_ms: f64,
    /// The number of clients.
    pub clients: f64,
    /// Whether clients also send messages.
    pub clients_send: bool,
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            within_ms: 500.0,
            clients: 1_000.0,
            clients_send: false,
        }
    }
}

/// The recommendation for a race.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The recommended technique, and the costs of each technique for one client.
    pub advice: Advice,
    /// Measured bytes per second of one client, in the order of [`Technique::ALL`].
    pub measured_bytes_per_s: [Option<f64>; Technique::COUNT],
}

impl RaceState {
    /// The recommendation at the rate, message size, transit times and poll interval of this race; `None` before they are
    /// known, and for an invalid time limit.
    pub fn recommendation(
        &self,
        requirements: &Requirements,
        now_ms: f64,
    ) -> Option<Recommendation> {
        let known = self.prediction_input(Technique::Sse, now_ms)?;
        let needs = Needs {
            workload: predict::workload(&self.settings, &known),
            within: Duration::try_from_secs_f64(requirements.within_ms / 1_000.0).ok()?,
            clients_send: requirements.clients_send,
        };
        let measured = Technique::ALL.map(|technique| {
            let meter = self.lanes[technique.index()].meter();
            let enough = meter
                .events()
                .is_some_and(|events| events >= MEASURED_EVENTS);
            let bytes = meter.bytes_per_event().filter(|_| enough)?;
            Some(bytes * known.rate_per_s)
        });
        Some(Recommendation {
            advice: advise(&needs),
            measured_bytes_per_s: measured,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::ClockMapping;
    use super::super::settings::{RaceSettings, RaceSource};
    use super::*;

    #[test]
    fn the_recommendation_depends_on_race_and_requirements() {
        let settings = RaceSettings {
            source: RaceSource::Generator,
            rate: 50.0,
            ..RaceSettings::default()
        };
        let mut race = RaceState::new(settings, 0.0);
        let requirements = Requirements::default();
        assert_eq!(
            race.recommendation(&requirements, 1_000.0),
            None,
            "the transit times are not known"
        );
        race.clock = Some(ClockMapping::default());
        let tally = &mut race.lanes[Technique::Sse.index()].tally;
        (tally.events, tally.payload_bytes) = (1, 200);
        let recommendation = race.recommendation(&requirements, 1_000.0).unwrap();
        assert_eq!(recommendation.advice.technique, Technique::Sse);
        assert_eq!(
            recommendation.measured_bytes_per_s,
            [None; Technique::COUNT]
        );
        let relaxed = Requirements {
            within_ms: 1_000.0,
            ..requirements
        };
        let recommendation = race.recommendation(&relaxed, 1_000.0).unwrap();
        assert_eq!(recommendation.advice.technique, Technique::Poll);
        let invalid = Requirements {
            within_ms: -1.0,
            ..requirements
        };
        assert_eq!(race.recommendation(&invalid, 1_000.0), None);
    }
}
