//! Tests of results in links: they come back as they were shown, and nothing else is taken for one.

use super::super::filled_race::{AT_MS, filled_race};
use super::super::headline::Headline;
use super::super::lane_summary::LaneSummary;
use super::super::meter::total_bytes;
use super::*;

fn provenance() -> Provenance {
    Provenance {
        url: "https://streams.example:8443/?up=50&lang=ko#stage".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36".to_owned(),
        server_version: "1.2.3".to_owned(),
        seed: 3_456_789_012,
        at_ms: 1_790_000_000_123,
        time_origin_ms: 1_790_000_000_000,
        ..Provenance::default()
    }
}

fn saved() -> SavedResult {
    let race = filled_race();
    SavedResult::new(&race, &race.summary(AT_MS), &provenance())
}

#[test]
fn a_result_comes_back_from_its_link_as_it_was_shown() {
    let race = filled_race();
    let shown = race.summary(AT_MS);
    let link = SavedResult::new(&race, &shown, &provenance()).link(&provenance().url);
    let (page, text) = link.split_once(FRAGMENT).unwrap();
    assert_eq!(page, "https://streams.example:8443/?up=50&lang=ko");
    let read = SavedResult::decode(text).unwrap();
    assert_eq!(read.host, "streams.example:8443");
    assert_eq!(read.browser, "Chrome/140.0.0.0 Safari/537.36");
    assert_eq!((&*read.server_version, read.seed), ("1.2.3", 3_456_789_012));
    assert_eq!(read.settings(), race.settings);
    assert!(matches!(shown.headline, Headline::Ranking(_)));
    assert_eq!(read.summary.headline, shown.headline);
    assert_eq!(read.summary.cost, shown.cost);
    assert_eq!(read.summary.clock, shown.clock);
    assert_eq!(read.summary.run_s, shown.run_s);
    for (read, shown) in read.summary.lanes.iter().zip(&shown.lanes) {
        assert!(shown.p99_ms.is_some() && shown.counts.is_some());
        let relay = |lane: &LaneSummary| {
            let counts = lane.counts.unwrap();
            (total_bytes(&counts), counts.cross_origin_bytes)
        };
        assert_eq!(relay(read), relay(shown));
        assert_eq!(
            (read.p50_ms, read.p90_ms, read.p99_ms, read.mean_ms),
            (shown.p50_ms, shown.p90_ms, shown.p99_ms, shown.mean_ms)
        );
        assert_eq!(
            (read.samples, read.events, read.bytes_per_event),
            (shown.samples, shown.events, shown.bytes_per_event)
        );
        let (read_verdict, verdict) = (read.verdict.unwrap(), shown.verdict.unwrap());
        assert_eq!(read_verdict.finding, verdict.finding);
        assert_eq!(read_verdict.allowed, verdict.allowed);
        assert_eq!(read_verdict.sample.value, verdict.sample.value);
        assert_eq!(read_verdict.claim.predicted, verdict.claim.predicted);
    }
    assert_eq!(SavedResult::decode(&read.clone().encode()), Some(read));
}

#[test]
fn a_link_has_less_than_4_kb() {
    let text = saved().encode();
    assert!(text.len() < 4_000, "{} characters", text.len());
}

#[test]
fn curves_pass_through_the_percentiles_that_were_measured() {
    let saved = saved();
    for (lane, curves) in saved.summary.lanes.iter().zip(&saved.curves) {
        let measured = curves.measured();
        assert_eq!(measured.len(), usize::from(MEASURED_POINTS));
        let p50_ms = time_of(&measured, 0.5).unwrap();
        assert!((p50_ms - lane.p50_ms.unwrap()).abs() < 5.0, "{p50_ms}");
        assert_eq!(curves.theory().len(), usize::from(THEORY_POINTS));
        assert!(measured.is_sorted_by(|one, next| one.0 <= next.0));
    }
}

#[test]
fn incomplete_and_changed_links_are_errors() {
    let text = saved().encode();
    for end in 0..text.len() {
        assert!(SavedResult::decode(&text[..end]).is_none(), "cut at {end}");
    }
    let bytes = base64url::decode(&text).unwrap();
    for index in 1..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 0x10;
        let read = SavedResult::decode(&base64url::encode(&changed));
        assert_eq!(read, None, "byte {index}");
    }
    for text in ["", "%", "a b", "=", "결과"] {
        assert_eq!(SavedResult::decode(text), None, "{text}");
    }
}

#[test]
fn a_link_of_another_version_is_not_read() {
    let mut bytes = base64url::decode(&saved().encode()).unwrap();
    bytes[0] += 1;
    let read = SavedResult::decode(&base64url::encode(&bytes));
    assert_eq!(read, None);
}

/// A text with a valid version and checksum around `document`.
fn sealed(document: &[u8]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(checksum(document));
    bytes.extend(document);
    base64url::encode(&bytes)
}

#[test]
fn random_documents_never_panic() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let valid = base64url::decode(&saved().encode()).unwrap();
    for round in 0..2_000_usize {
        let noise: Vec<u8> = (0..round % 200).map(|_| random()).collect();
        assert!(SavedResult::decode(&base64url::encode(&noise)).is_none());
        assert!(SavedResult::decode(&sealed(&noise)).is_none());
        // One byte of a valid document is another one, and its checksum is right: what can be read is shown.
        let mut changed = valid[5..].to_vec();
        let index = round * 7 % changed.len();
        changed[index] = random();
        if let Some(read) = SavedResult::decode(&sealed(&changed)) {
            assert_eq!(read.summary.lanes.len(), Technique::COUNT);
        }
    }
}

#[test]
fn curves_that_cannot_be_drawn_are_not_read() {
    for ms in [f32::NAN, f32::INFINITY, -1.0] {
        let mut saved = saved();
        saved.curves[0].measured[3] = ms;
        assert_eq!(SavedResult::decode(&saved.encode()), None);
    }
}

/// The fields of a filled race.
fn document() -> Vec<u8> {
    base64url::decode(&saved().encode()).unwrap()[5..].to_vec()
}

#[test]
fn documents_with_fields_too_few_or_too_many_are_not_read() {
    let mut document = document();
    for end in 0..document.len() {
        let read = SavedResult::decode(&sealed(&document[..end]));
        assert_eq!(read, None, "cut at {end}");
    }
    assert!(SavedResult::decode(&sealed(&document)).is_some());
    document.push(0);
    assert!(SavedResult::decode(&sealed(&document)).is_none());
}

#[test]
fn values_that_a_result_cannot_have_are_errors() {
    let read = |change: fn(&mut SavedResult)| {
        let mut changed = saved();
        change(&mut changed);
        SavedResult::decode(&changed.encode())
    };
    let poll = |saved: &mut SavedResult| saved.summary.lanes[0].verdict.unwrap();
    assert!(read(|_| ()).is_some());
    let broken: [fn(&mut SavedResult); 6] = [
        |saved| saved.summary.run_s = f64::NAN,
        |saved| saved.summary.rate_per_s = Some(f64::INFINITY),
        |saved| saved.summary.lanes[0].p50_error_ms = f64::NEG_INFINITY,
        |saved| saved.summary.lanes[0].p99_ms = Some(f64::INFINITY),
        |saved| saved.summary.lanes[0].lost = (1 << 53) + 1,
        |saved| saved.summary.clock.as_mut().unwrap().bound_ms = f64::NAN,
    ];
    for (index, change) in broken.into_iter().enumerate() {
        assert_eq!(read(change), None, "change {index}");
    }
    let undecided = read(|saved| {
        saved.summary.lanes[0].verdict.as_mut().unwrap().allowed = f64::INFINITY;
    });
    assert!(poll(&mut undecided.unwrap()).allowed.is_infinite());
}

/// Who changes the fields changes the version, so that older links are not misread.
#[test]
fn the_fields_are_those_of_the_version() {
    assert_eq!((VERSION, document().len()), (2, 1_920));
}
