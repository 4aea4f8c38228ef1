//! Which technique to use for what is raced, from the cost model and from what was measured here.

use std::time::Duration;

use tailwater_lab::{Advice, Needs, advise};
use tailwater_protocol::Technique;

use super::predict;
use super::race::RaceState;

/// Events of a lane from which its bytes are taken as measured.
const MEASURED_EVENTS: u64 = 30;

/// What a person needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// 95 % of the events shall arrive within this time, ms.
    pub within_ms: f64,
    /// How many clients there are.
    pub clients: f64,
    /// Whether clients send as well.
    pub clients_send: bool,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            within_ms: 500.0,
            clients: 1_000.0,
            clients_send: false,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What to take, and what each technique costs one client.
    pub advice: Advice,
    /// Bytes per second of one client as measured here, in the order of [`Technique::ALL`].
    pub measured_bytes_per_s: [Option<f64>; Technique::COUNT],
}

impl RaceState {
    /// What suits `question` at the rate, size, way and interval of this race; `None` before rate and way are known.
    pub fn answer(&self, question: &Question, now_ms: f64) -> Option<Answer> {
        let known = self.known(Technique::Sse, now_ms)?;
        let needs = Needs {
            workload: predict::workload(&self.settings, &known),
            within: Duration::try_from_secs_f64(question.within_ms / 1_000.0).ok()?,
            clients_send: question.clients_send,
        };
        let measured = Technique::ALL.map(|technique| {
            let meter = self.lanes[technique.index()].meter();
            let enough = meter
                .events()
                .is_some_and(|events| events >= MEASURED_EVENTS);
            let bytes = meter.bytes_per_event().filter(|_| enough)?;
            Some(bytes * known.rate_per_s)
        });
        Some(Answer {
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
    fn the_advice_is_about_the_race_that_is_shown() {
        let settings = RaceSettings {
            source: RaceSource::Generator,
            rate: 50.0,
            ..RaceSettings::default()
        };
        let mut race = RaceState::new(settings, 0.0);
        let question = Question::default();
        assert_eq!(
            race.answer(&question, 1_000.0),
            None,
            "the way is not known"
        );
        race.clock = Some(ClockMapping::default());
        let tally = &mut race.lanes[Technique::Sse.index()].tally;
        (tally.events, tally.payload_bytes) = (1, 200);
        let answer = race.answer(&question, 1_000.0).unwrap();
        assert_eq!(answer.advice.technique, Technique::Sse);
        assert_eq!(answer.measured_bytes_per_s, [None; Technique::COUNT]);
        let patient = Question {
            within_ms: 1_000.0,
            ..question
        };
        let answer = race.answer(&patient, 1_000.0).unwrap();
        assert_eq!(answer.advice.technique, Technique::Poll);
        let wrong = Question {
            within_ms: -1.0,
            ..question
        };
        assert_eq!(race.answer(&wrong, 1_000.0), None);
    }
}
