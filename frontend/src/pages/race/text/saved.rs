//! Where a saved result is from, in English and in Korean.

use super::RaceText;
use crate::language::Language;
use crate::numbers::{span_ms, span_s, whole_seconds};
use crate::pages::race::model::saved_result::SavedResult;

/// What was measured, for how long, with which delays, when, where and with what; `at` is the moment as a text.
pub fn origin(saved: &SavedResult, at: &str, language: Language) -> String {
    let text = RaceText::of(language);
    let settings = saved.settings();
    let run = span_s(whole_seconds(saved.summary.run_s), language);
    let (up_ms, down_ms) = saved.summary.path.added_delays(&settings);
    let (up, down) = (span_ms(up_ms, language), span_ms(down_ms, language));
    [
        &format!("{}: {}", text.saved, saved.summary.stream),
        &run,
        &format!("{} {up} + {down}", text.added_delay),
        at,
        &saved.host,
        format!("Tailwater {}", saved.server_version).trim_end(),
        &saved.browser,
    ]
    .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::text::rules::korean_faults;
    use crate::pages::race::model::export::Provenance;
    use crate::pages::race::model::race::RaceState;
    use crate::pages::race::model::settings::RaceSettings;
    use crate::pages::race::model::summary::LanePath;

    #[test]
    fn the_origin_of_a_result_names_its_conditions() {
        let race = RaceState::new(RaceSettings::default(), 0.0);
        let mut summary = race.summary(62_000.0);
        summary.stream = "lab/host".to_owned();
        let provenance = Provenance {
            url: "http://127.0.0.1:4437/".to_owned(),
            user_agent: "Firefox/140.0".to_owned(),
            server_version: "1.2.3".to_owned(),
            ..Provenance::default()
        };
        let mut saved = SavedResult::new(&race, &summary, &provenance);
        assert_eq!(
            origin(&saved, "1 May", Language::English),
            "saved: lab/host, 1 min 2 s, added delay 20 ms + 20 ms, 1 May, 127.0.0.1:4437, Tailwater 1.2.3, Firefox/140.0"
        );
        saved.summary.path = LanePath::LabOff;
        let without = origin(&saved, "1 May", Language::English);
        assert!(without.contains("added delay 0 ms + 0 ms"), "{without}");
        let korean = origin(&saved, "5월 1일", Language::Korean);
        assert_eq!(korean_faults(&korean), [""; 0], "{korean}");
    }
}
