//! Tests that the figures of an exported result follow from its own samples and counts.

use serde_json::Value;

use super::super::filled_race::{AT_MS, EVENTS, filled_race};
use super::*;

#[test]
fn figures_follow_from_the_samples_and_counts_of_the_file() {
    let race = filled_race();
    let provenance = Provenance {
        server_version: "1.2.3".to_owned(),
        seed: 7,
        time_origin: "2026-11-30T12:00:00.000Z".to_owned(),
        ..Provenance::default()
    };
    let text = json(&race, &race.summary(AT_MS), &provenance);
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["serverVersion"], "1.2.3");
    assert_eq!(file["seed"], 7);
    assert_eq!(file["timeOrigin"], "2026-11-30T12:00:00.000Z");
    for lane in file["lanes"].as_array().unwrap() {
        let number = |value: &Value| value.as_f64().unwrap();
        let samples = lane["samples"].as_array().unwrap();
        let late = |sample: &Value| number(&sample[3]);
        let mut late_ms: Vec<f64> = samples.iter().map(late).collect();
        late_ms.sort_unstable_by(f64::total_cmp);
        assert_eq!(late_ms.len() as u64, EVENTS);
        assert_eq!(lane["latencyMs"]["n"], EVENTS);
        for sample in samples {
            let waited_ms = number(&sample[2]) - number(&sample[1]);
            assert!((waited_ms - late(sample)).abs() < 0.002, "{sample}");
        }
        // The nearest rank; a histogram is accurate to a thousandth.
        let nearest = |percent: usize| late_ms[(late_ms.len() * percent).div_ceil(100) - 1];
        let mean = late_ms.iter().sum::<f64>() / late_ms.len() as f64;
        for (name, expected, share) in [
            ("p50", nearest(50), 1e-3),
            ("p90", nearest(90), 1e-3),
            ("p99", nearest(99), 1e-3),
            ("mean", mean, 0.0),
            ("min", late_ms[0], 0.0),
            ("max", late_ms[late_ms.len() - 1], 0.0),
        ] {
            let shown = number(&lane["latencyMs"][name]);
            let allowed = expected * share + 0.001;
            assert!(
                (shown - expected).abs() <= allowed,
                "{name} of {}: {shown}, expected {expected}",
                lane["technique"]
            );
        }
        let relay = |name: &str| lane["relay"][name].as_u64().unwrap();
        let parts = ["head", "body", "framing"];
        let all = parts.map(|part| {
            relay(&format!("request_{part}_bytes")) + relay(&format!("response_{part}_bytes"))
        });
        let own = all.iter().sum::<u64>() - relay("cross_origin_bytes");
        let per_event = own as f64 / number(&lane["countedEvents"]);
        let shown = number(&lane["bytesPerEvent"]);
        assert!(
            (shown - per_event).abs() < 0.001,
            "{shown}, expected {per_event}"
        );
    }
}
