//! The texts of the Race page, in English and in Korean: a missing text does not compile.

mod english;
mod korean;
pub mod saved;

use tailwater_lab::{Advice, Doubt, Verdict};
use tailwater_protocol::lab::Pattern;

use crate::lanes::ReaderPlace;
use crate::language::Language;
use crate::pages::race::model::headline::{Cost, Headline};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::parts::draw::sequence::Detail;
use crate::pages::race::parts::presets::PathPreset;

/// The texts of the page. Sentences with numbers are functions, so that each language has its own word order.
#[expect(
    missing_docs,
    reason = "the names of the fields describe the texts, which are in english.rs and korean.rs"
)]
#[derive(Debug)]
pub struct RaceText {
    pub title: &'static str,
    pub name: &'static str,
    pub stream_link: &'static str,
    pub skip: &'static str,
    // Tools of the head.
    pub pause: &'static str,
    pub resume: &'static str,
    pub step: &'static str,
    pub step_back: &'static str,
    pub export: &'static str,
    pub export_json: &'static str,
    pub export_csv: &'static str,
    pub export_samples: &'static str,
    pub not_in_link: &'static str,
    pub copy_link: &'static str,
    // A saved result.
    pub saved: &'static str,
    pub added_delay: &'static str,
    pub measure_here: &'static str,
    pub remove_saved: &'static str,
    pub broken_link: &'static str,
    // State.
    pub headline: fn(&Headline) -> String,
    pub cost: fn(&Cost) -> String,
    pub announced: fn(&str, &str) -> String,
    pub phase: fn(LanePhase) -> &'static str,
    // Notes under the headline.
    pub clock: fn(f64, usize) -> String,
    pub clock_unknown: &'static str,
    pub measured_for: fn(f64) -> String,
    pub readers: fn(ReaderPlace) -> &'static str,
    pub relay_counts: &'static str,
    pub lab_off: &'static str,
    pub none_free: &'static str,
    pub ports_shut: &'static str,
    pub hidden: fn(u64) -> String,
    pub behind_first: &'static str,
    pub periodic: &'static str,
    pub paused_note: &'static str,
    pub from_tail: fn(u64) -> String,
    // Cards.
    pub lanes: &'static str,
    pub lane_switch: fn(&str) -> String,
    pub median: &'static str,
    pub median_hint: &'static str,
    pub p99: &'static str,
    pub p99_hint: &'static str,
    pub events: &'static str,
    pub requests: &'static str,
    pub empty: &'static str,
    pub bytes: &'static str,
    pub body_bytes: &'static str,
    pub lost: &'static str,
    pub repeated: &'static str,
    pub request_every: fn(&str) -> String,
    pub against: fn(f64, f64, Option<f64>) -> String,
    pub predicts: fn(f64) -> String,
    pub predicted: &'static str,
    pub no_prediction: &'static str,
    pub judged: fn(Verdict) -> &'static str,
    pub needs: fn(Doubt) -> String,
    // Drawings.
    pub sequence: &'static str,
    pub sequence_hint: fn(Detail) -> &'static str,
    pub waterfall: &'static str,
    pub waterfall_hint: &'static str,
    pub distribution: &'static str,
    pub distribution_hint: &'static str,
    pub powers: &'static str,
    pub value_hint: &'static str,
    pub value_within: fn(&str) -> String,
    pub value_due: &'static str,
    pub value_received: &'static str,
    pub value_latency: &'static str,
    pub value_sent: &'static str,
    pub value_lasted: &'static str,
    pub value_measured: &'static str,
    pub value_predicted: &'static str,
    pub server: &'static str,
    pub client: &'static str,
    pub stepped: fn(f64) -> String,
    pub as_table: &'static str,
    pub table_late: &'static str,
    pub samples: &'static str,
    pub mean: &'static str,
    pub minimum: &'static str,
    pub maximum: &'static str,
    pub p90: &'static str,
    pub request_heads: &'static str,
    pub response_heads: &'static str,
    pub framing: &'static str,
    pub bodies: &'static str,
    pub own_port: &'static str,
    pub connections: &'static str,
    pub client_time: &'static str,
    pub client_p99: &'static str,
    pub to_catch_up: &'static str,
    pub since: &'static str,
    pub response: &'static str,
    pub open_requests: &'static str,
    pub body_column: &'static str,
    pub lasted: &'static str,
    pub still_open: &'static str,
    // Controls.
    pub controls: &'static str,
    pub stream: &'static str,
    pub source_host: &'static str,
    pub source_generator: &'static str,
    pub source_named: &'static str,
    pub stream_name: &'static str,
    pub stream_name_hint: &'static str,
    pub follow: &'static str,
    pub generator: &'static str,
    pub generator_hint: &'static str,
    pub rate: &'static str,
    pub pattern: &'static str,
    pub pattern_name: fn(Pattern) -> &'static str,
    pub size: &'static str,
    pub timing: &'static str,
    pub interval: &'static str,
    pub hold: &'static str,
    pub hold_hint: &'static str,
    pub path: &'static str,
    pub path_name: fn(PathPreset) -> &'static str,
    pub path_own: &'static str,
    pub delay_up: &'static str,
    pub delay_down: &'static str,
    pub delay_hint: &'static str,
    pub delay_none: &'static str,
    pub window: &'static str,
    pub reset: &'static str,
    // Publishing.
    pub publish: &'static str,
    pub publish_hint: &'static str,
    pub publish_placeholder: &'static str,
    pub send: &'static str,
    pub sent: &'static str,
    pub refused: fn(&str) -> String,
    pub latest: &'static str,
    pub nothing_yet: &'static str,
    // Empty and missing streams.
    pub waiting_title: &'static str,
    pub waiting: fn(&str) -> String,
    pub missing_title: &'static str,
    pub missing: fn(&str) -> String,
    pub create: &'static str,
    pub or_append: &'static str,
    pub no_source_title: &'static str,
    pub no_source: &'static str,
    pub gone: &'static str,
    pub failed_title: &'static str,
    // Help.
    pub help_title: &'static str,
    pub help_intro: &'static str,
    pub key_lanes: &'static str,
    pub key_pause: &'static str,
    pub key_publish: &'static str,
    pub key_step: &'static str,
    pub key_filter: &'static str,
    pub measured_title: &'static str,
    pub measured: &'static [&'static str],
    pub foot: &'static str,
    pub advice: AdviceText,
}

/// The texts of the recommendation.
#[expect(
    missing_docs,
    reason = "the names of the fields describe the texts, which are in english.rs and korean.rs"
)]
#[derive(Debug)]
pub struct AdviceText {
    pub title: &'static str,
    pub within: &'static str,
    pub clients: &'static str,
    pub clients_send: &'static str,
    pub sentence: fn(&Advice) -> String,
    pub unknown: &'static str,
    pub table: &'static str,
    pub latency: &'static str,
    pub requests: &'static str,
    pub bytes: &'static str,
    pub connections: &'static str,
    pub source: &'static str,
    pub measured: &'static str,
    pub computed: &'static str,
}

impl RaceText {
    /// The texts in `language`.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXT,
            Language::Korean => &korean::TEXT,
        }
    }
}

/// Seconds rounded up.
fn whole_s(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below zero, saturating"
    )]
    let whole = seconds.max(0.0).ceil() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::text::rules::korean_faults;
    use crate::pages::race::model::headline::{LaneGroup, Losses, Ranking};
    use crate::pages::race::model::lane_summary::Measure;
    use tailwater_protocol::Technique;

    #[test]
    fn both_languages_differ_and_have_lists_of_equal_length() {
        let [english, korean] = Language::ALL.map(RaceText::of);
        assert_ne!(english.help_intro, korean.help_intro);
        assert_eq!(english.measured.len(), korean.measured.len());
    }

    /// All texts of the page with numbers, with examples of numbers.
    fn with_numbers(text: &RaceText) -> Vec<String> {
        let ranking = |measure, count| {
            let lane_groups = Technique::ALL
                .iter()
                .take(count)
                .map(|technique| LaneGroup {
                    techniques: vec![*technique],
                    from_ms: 506.4,
                    to_ms: 1_506.4,
                });
            (text.headline)(&Headline::Ranking(Ranking {
                measure,
                failed: vec![Technique::Poll],
                lane_groups: lane_groups.collect(),
                unmeasured: vec![Technique::Websocket],
                interval_ms: 1_000.0,
            }))
        };
        let cost = Cost {
            least: (Technique::Websocket, 70.0),
            most: (Technique::Poll, 1_234.0),
            empty_polls: Some(0.75),
        };
        let doubts = [
            Doubt::TooFew { more_s: Some(20.0) },
            Doubt::TooFew { more_s: None },
            Doubt::ClockUnsure { bound_ms: 2.5 },
            Doubt::BeforeItsTime { latency_ms: -1.0 },
            Doubt::FixedPhase { spread_ms: 125.0 },
            Doubt::SourceLate { late_ms: 30.0 },
            Doubt::ClientBusy { client_ms: 3.0 },
            Doubt::ClientBusy { client_ms: 12.0 },
        ];
        let mut texts = vec![
            ranking(Measure::FromDue, 5),
            ranking(Measure::BehindFirst, 5),
            ranking(Measure::BehindFirst, 1),
            (text.cost)(&cost),
            (text.clock)(0.06, 43),
            (text.measured_for)(125.4),
            (text.hidden)(34),
            (text.from_tail)(1_200_000),
            (text.against)(506.0, 502.0, Some(149.0)),
            (text.against)(506.0, 502.0, None),
            (text.predicts)(502.0),
            (text.stepped)(-1_234.0),
        ];
        texts.extend(doubts.map(text.needs));
        texts.extend([true, false].map(|fell_behind| {
            (text.headline)(&Headline::Broken(Losses {
                failed: vec![Technique::Websocket],
                technique: Technique::Poll,
                lost: 7,
                repeated: 1,
                fell_behind,
                others: vec![Technique::Sse],
            }))
        }));
        texts.push((text.headline)(&Headline::Starved {
            failed: vec![Technique::Ndjson],
            technique: Technique::Websocket,
            client_ms: 30.4,
        }));
        texts
    }

    #[test]
    fn a_count_of_one_has_the_singular() {
        let text = RaceText::of(Language::English);
        let of_one = [
            (text.headline)(&Headline::Closed { events: 1 }),
            (text.headline)(&Headline::Waiting {
                lanes: 5,
                before: 1,
            }),
            (text.headline)(&Headline::First {
                lanes: 1,
                events: 1,
            }),
            (text.hidden)(1),
            (text.clock)(0.06, 1),
        ];
        for words in of_one {
            let many = ["1 messages", "1 events", "1 lanes", "1 samples", "1 probes"];
            assert!(many.iter().all(|many| !words.contains(many)), "{words}");
        }
    }

    #[test]
    fn korean_texts_keep_to_the_rules_with_numbers_in_them() {
        for korean in with_numbers(RaceText::of(Language::Korean)) {
            assert_eq!(korean_faults(&korean), [""; 0], "{korean}");
        }
        let english = with_numbers(RaceText::of(Language::English));
        assert!(english.iter().any(|text| !korean_faults(text).is_empty()));
    }

    #[test]
    fn a_prediction_has_its_unit_in_each_language() {
        let [english, korean] = Language::ALL
            .map(RaceText::of)
            .map(|text| (text.against)(506.0, 502.0, Some(149.0)));
        assert_eq!(english, "mean 506, predicted 502 ± 149 ms");
        assert_eq!(korean, "평균 506ms, 예측 502±149ms");
    }
}
