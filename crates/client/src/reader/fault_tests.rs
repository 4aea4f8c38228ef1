//! The reader with scripted servers that fail, refuse, stop sending or answer immediately.

use super::script::{ScriptedInput, ScriptedReader};
use super::scripted_tests::CONTROL_7;
use super::*;

/// Repeats a successful plain read and a failing live request `times` times; returns the time and the
/// last actions.
fn fail_live(script: &mut ScriptedReader, mut at_ms: u64, times: u32) -> (u64, String) {
    let mut actions = String::new();
    for _ in 0..times {
        at_ms += 40_000;
        let sent = script.step(at_ms, ScriptedInput::Nothing);
        if sent.starts_with("send poll") {
            script.step(at_ms, ScriptedInput::Page("200 json next=5 up", "[]"));
        }
        actions = script.step(at_ms + 1, ScriptedInput::Fault);
    }
    (at_ms, actions)
}

#[test]
fn a_permanent_refusal_ends_the_reader_with_its_reason() {
    let problem = r##"{"type":"#no-stream","title":"No such stream","status":404,"detail":"`a` does not exist"}"##;
    for status in [400, 401, 403, 404, 410, 414] {
        let mut script = ScriptedReader::new(Technique::Sse, "5");
        script.step(0, ScriptedInput::Nothing);
        let actions = script.step(1, ScriptedInput::Page(&status.to_string(), problem));
        let text = "No such stream (404): `a` does not exist";
        assert_eq!(actions, format!("ended: {text}; finished: {text}; done"));
    }
    let mut script = ScriptedReader::new(Technique::Poll, "5");
    script.step(0, ScriptedInput::Nothing);
    let actions = script.step(1, ScriptedInput::Page("404", " plain words "));
    assert!(
        actions.contains("finished: the server answered with status 404: plain words"),
        "{actions}"
    );
}

#[test]
fn temporary_refusals_are_retried_after_retry_after() {
    for status in [408, 425, 429, 500, 502, 503, 504, 507] {
        let mut script = ScriptedReader::new(Technique::Poll, "5");
        script.step(0, ScriptedInput::Nothing);
        let actions = script.step(0, ScriptedInput::Page(&format!("{status} retry=20"), ""));
        assert_eq!(
            actions,
            format!("ended: the server answered with status {status}; backs off")
        );
        let until = script.waits_until(0).unwrap();
        assert!((20_000..=23_000).contains(&until), "{until}");
        assert_eq!(
            script.step(until, ScriptedInput::Nothing),
            "send poll offset=5"
        );
    }
}

#[test]
fn the_backoff_grows_while_all_requests_fail() {
    let mut script = ScriptedReader::new(Technique::LongPoll, "5");
    let (mut now, mut longest) = (0, 0);
    for _ in 0..30 {
        script.step(now, ScriptedInput::Nothing);
        script.step(now, ScriptedInput::Fault);
        let until = script.waits_until(now).unwrap();
        longest = longest.max(until - now);
        now = until;
    }
    assert!((3_000..=30_000).contains(&longest), "{longest}");
}

#[test]
fn a_failing_technique_is_replaced_and_tried_again_later() {
    let mut script = ScriptedReader::new(Technique::Websocket, "5");
    let (now, actions) = fail_live(&mut script, 0, 3);
    assert_eq!(actions, "ended: cut; websocket -> sse: cut; backs off");
    script.step(now + 2_000, ScriptedInput::Nothing);
    script.step(now + 2_001, ScriptedInput::Page("200 json next=5 up", "[]"));
    script.step(now + 2_002, ScriptedInput::Head("200 sse"));
    assert_eq!(
        script.step(now + 2_003, ScriptedInput::Piece(CONTROL_7)),
        "batch [7] 7 up"
    );
    assert_eq!(
        script.waits_until(now + 30_000),
        Some(now + 39_503),
        "the timeout comes first"
    );
    script.step(now + 39_000, ScriptedInput::Piece(":\n\n"));
    let again = now + 1 + 60_000;
    assert_eq!(script.waits_until(now + 39_001), Some(again));
    assert_eq!(
        script.step(again, ScriptedInput::Nothing),
        "abort; send websocket cursor=c&live=websocket&offset=7; ended; sse -> websocket: trying websocket again"
    );
    assert_eq!(
        script.step(again + 1, ScriptedInput::Fault),
        "ended: cut; websocket -> sse: cut; backs off",
        "one fault is enough"
    );
    let later = script.step(again + 2_000, ScriptedInput::Nothing);
    assert_eq!(later, "send poll offset=7");
}

#[test]
fn a_lost_network_does_not_change_the_technique() {
    let mut script = ScriptedReader::new(Technique::Websocket, "5");
    let mut now = 0;
    for _ in 0..20 {
        assert_eq!(
            script.step(now, ScriptedInput::Nothing),
            "send poll offset=5"
        );
        assert_eq!(
            script.step(now, ScriptedInput::Fault),
            "ended: cut; backs off"
        );
        now += 31_000;
    }
    script.step(now, ScriptedInput::Nothing);
    let actions = script.step(now, ScriptedInput::Page("200 json next=5 up", "[]"));
    assert_eq!(
        actions,
        "send websocket live=websocket&offset=5; batch [] 5 up; ended"
    );
}

#[test]
fn a_silent_live_response_times_out_but_a_slow_caller_does_not() {
    let mut script = ScriptedReader::new(Technique::Sse, "5");
    script.step(0, ScriptedInput::Nothing);
    script.step(0, ScriptedInput::Page("200 json next=5 up", "[]"));
    script.step(0, ScriptedInput::Head("200 sse"));
    script.step(15_000, ScriptedInput::Piece(":\n\n"));
    assert_eq!(script.waits_until(15_000), Some(52_500));
    // The caller took two minutes to process its reports; the heartbeats are still to be read.
    assert_eq!(script.step(135_000, ScriptedInput::Nothing), "");
    assert_eq!(script.step(135_000, ScriptedInput::Piece(":\n\n")), "");
    assert_eq!(script.step(172_499, ScriptedInput::Elapsed), "");
    let actions = script.step(172_500, ScriptedInput::Elapsed);
    assert_eq!(
        actions,
        "abort; ended: the response stalled: nothing was received for 37.5 s; backs off"
    );
}

#[test]
fn a_response_that_never_begins_times_out() {
    for (technique, deadline) in [(Technique::Poll, 30_000), (Technique::LongPoll, 90_000)] {
        let mut script = ScriptedReader::new(technique, "5");
        script.step(0, ScriptedInput::Nothing);
        assert_eq!(script.waits_until(0), Some(deadline));
        let actions = script.step(deadline, ScriptedInput::Elapsed);
        assert!(
            actions.starts_with("abort; ended: no response: nothing was received for"),
            "{actions}"
        );
    }
}
