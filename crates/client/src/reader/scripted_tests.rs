//! The reader with scripted servers: for each time an input, and a text of what the reader must do
//! then.

use super::script::{ScriptedInput, ScriptedReader};
use super::*;

pub(super) const CONTROL_7: &str = "event: data\ndata: [7]\n\nevent: control\ndata: {\"streamNextOffset\":\"7\",\"streamCursor\":\"c\",\"upToDate\":true}\n\n";

#[test]
fn pages_are_read_in_order_then_live_with_the_cursor() {
    ScriptedReader::new(Technique::Sse, "-1").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=-1"),
        (
            9,
            ScriptedInput::Page("200 json next=2", "[1,2]"),
            "send poll offset=2; batch [1 2] 2; ended",
        ),
        (
            19,
            ScriptedInput::Page("200 json next=3 cursor=b up", "[3]"),
            "send sse cursor=b&live=sse&offset=3; batch [3] 3 up; ended",
        ),
        (29, ScriptedInput::Head("200 sse"), ""),
        (30, ScriptedInput::Piece(":\n\n"), ""),
        (40, ScriptedInput::Piece(&CONTROL_7[..30]), ""),
        (50, ScriptedInput::Piece(&CONTROL_7[30..]), "batch [7] 7 up"),
        (
            60_000,
            ScriptedInput::End,
            "send sse cursor=c&live=sse&offset=7; ended",
        ),
    ]);
}

#[test]
fn polls_are_sent_at_a_fixed_rate_despite_slow_responses() {
    ScriptedReader::new(Technique::Poll, "5").check(&[
        (100, ScriptedInput::Nothing, "send poll offset=5"),
        (
            200,
            ScriptedInput::Page("200 json next=6 up", "[5]"),
            "batch [5] 6 up; ended; waits 900",
        ),
        (1_099, ScriptedInput::Nothing, ""),
        (1_100, ScriptedInput::Nothing, "send poll offset=6"),
        // Two polls are due before the response arrives: the next one is sent right after it, later
        // ones on schedule.
        (
            3_400,
            ScriptedInput::Page("200 json next=6 up", "[]"),
            "send poll offset=6; batch [] 6 up; ended",
        ),
        (
            3_500,
            ScriptedInput::Page("200 json next=6 up", "[]"),
            "batch [] 6 up; ended; waits 600",
        ),
        (4_100, ScriptedInput::Nothing, "send poll offset=6"),
    ]);
}

#[test]
fn long_poll_sends_the_next_request_before_it_reads_a_page() {
    ScriptedReader::new(Technique::LongPoll, "5").check(&[
        (
            0,
            ScriptedInput::Nothing,
            "send long-poll live=long-poll&offset=5",
        ),
        (
            7_000,
            ScriptedInput::Page("200 text next=6 cursor=1 up", "a"),
            "send long-poll cursor=1&live=long-poll&offset=6; batch [\"a\"] 6 up; ended",
        ),
        (
            32_000,
            ScriptedInput::Page("204 next=6 cursor=2 up", ""),
            "send long-poll cursor=2&live=long-poll&offset=6; batch [\"\"] 6 up; ended",
        ),
        (
            57_000,
            ScriptedInput::Page("304", ""),
            "send long-poll cursor=2&live=long-poll&offset=6; batch [\"\"] 6 up; ended",
        ),
        (
            58_000,
            ScriptedInput::Page("204 next=6 closed", ""),
            "batch [\"\"] 6 up closed; ended; finished; done",
        ),
    ]);
}

#[test]
fn offset_now_is_resolved_by_a_plain_read_first() {
    ScriptedReader::new(Technique::LongPoll, "now").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=now"),
        (
            9,
            ScriptedInput::Page("200 json next=42 up", "[]"),
            "send long-poll live=long-poll&offset=42; batch [] 42 up; ended",
        ),
    ]);
}

#[test]
fn the_hold_is_requested_and_added_to_the_timeout() {
    let options = FollowOptions {
        hold: Some(Duration::from_secs(50)),
        technique: Technique::LongPoll,
        ..FollowOptions::default()
    };
    let mut script = ScriptedReader::with(options);
    assert_eq!(
        script.step(0, ScriptedInput::Nothing),
        "send long-poll hold=50&live=long-poll&offset=-1"
    );
    assert_eq!(script.waits_until(0), Some(80_000));
}

#[test]
fn an_unreadable_page_aborts_the_request_sent_after_it() {
    let mut script = ScriptedReader::new(Technique::LongPoll, "5");
    script.step(0, ScriptedInput::Nothing);
    let actions = script.step(9_000, ScriptedInput::Page("200 json next=6 up", "[1,"));
    assert!(
        actions.starts_with(
            "send long-poll live=long-poll&offset=6; abort; ended: the page can't be read"
        ),
        "{actions}"
    );
    assert!(actions.ends_with("ended; backs off"), "{actions}");
    assert_eq!(
        script.step(20_000, ScriptedInput::Nothing),
        "send long-poll live=long-poll&offset=5"
    );
}

#[test]
fn an_incomplete_line_is_discarded_when_the_connection_ends() {
    ScriptedReader::new(Technique::Ndjson, "5").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=5"),
        (
            1,
            ScriptedInput::Page("200 json next=5 up", "[]"),
            "send ndjson live=ndjson&offset=5; batch [] 5 up; ended",
        ),
        (2, ScriptedInput::Head("200 ndjson"), ""),
        (
            3,
            ScriptedInput::Piece(
                "\n{\"data\":[5],\"streamNextOffset\":\"6\"}\n{\"data\":[6],\"streamNext",
            ),
            "batch [5] 6",
        ),
        (4, ScriptedInput::Fault, "ended: cut; backs off"),
        (999, ScriptedInput::Nothing, "send poll offset=6"),
        (
            1_000,
            ScriptedInput::Page("200 json next=7 up", "[6]"),
            "send ndjson live=ndjson&offset=7; batch [6] 7 up; ended",
        ),
    ]);
}

#[test]
fn a_change_of_technique_continues_at_the_same_offset() {
    ScriptedReader::new(Technique::Websocket, "5").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=5"),
        (
            1,
            ScriptedInput::Page("200 json next=5 up", "[]"),
            "send websocket live=websocket&offset=5; batch [] 5 up; ended",
        ),
        (2, ScriptedInput::Head("101"), ""),
        (
            3,
            ScriptedInput::Piece(
                "{\"data\":[5],\"streamNextOffset\":\"6\",\"streamCursor\":\"9\"}",
            ),
            "batch [5] 6",
        ),
        (4, ScriptedInput::Piece(""), ""),
        (5, ScriptedInput::Change(Technique::Websocket), ""),
        (
            6,
            ScriptedInput::Change(Technique::Sse),
            "abort; send sse cursor=9&live=sse&offset=6; ended; websocket -> sse",
        ),
        (
            7,
            ScriptedInput::Change(Technique::Poll),
            "abort; send poll offset=6; ended; sse -> poll",
        ),
        (
            8,
            ScriptedInput::Page("200 json next=6 up", "[]"),
            "batch [] 6 up; ended; waits 999",
        ),
        (
            9,
            ScriptedInput::Change(Technique::LongPoll),
            "send long-poll cursor=9&live=long-poll&offset=6; poll -> long-poll",
        ),
    ]);
}

#[test]
fn sse_starts_only_once_the_content_type_is_known() {
    ScriptedReader::new(Technique::LongPoll, "5").check(&[
        (
            0,
            ScriptedInput::Nothing,
            "send long-poll live=long-poll&offset=5",
        ),
        (
            9_000,
            ScriptedInput::Page("204 next=5 up", ""),
            "send long-poll live=long-poll&offset=5; batch [] 5 up; ended",
        ),
        (
            9_001,
            ScriptedInput::Change(Technique::Sse),
            "abort; send poll offset=5; ended; long-poll -> sse",
        ),
        (
            9_002,
            ScriptedInput::Page("200 text next=5 up", ""),
            "send sse live=sse&offset=5; batch [\"\"] 5 up; ended",
        ),
    ]);
}

#[test]
fn pause_aborts_the_request_and_resume_continues_at_its_offset() {
    ScriptedReader::new(Technique::Poll, "5").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=5"),
        (1, ScriptedInput::Pause, "abort; ended"),
        (2, ScriptedInput::Page("200 json next=9 up", "[1]"), ""),
        (99_000, ScriptedInput::Elapsed, ""),
        (99_001, ScriptedInput::Resume, "send poll offset=5"),
    ]);
}

#[test]
fn a_closed_stream_ends_the_reader_by_every_technique() {
    let ends = "batch [5] 6 up closed; ended; finished; done";
    for technique in Technique::ALL {
        let mut script = ScriptedReader::new(technique, "5");
        let sent = script.step(0, ScriptedInput::Nothing);
        if sent.starts_with("send poll") && technique != Technique::Poll {
            script.step(1, ScriptedInput::Page("200 json next=5 up", "[]"));
        }
        let line = "{\"data\":[5],\"streamNextOffset\":\"6\",\"streamClosed\":true}\n";
        let events = "event: data\ndata: [5]\n\nevent: control\ndata: {\"streamNextOffset\":\"6\",\"streamClosed\":true}\n\n";
        let (head, piece) = match technique {
            Technique::Poll | Technique::LongPoll => {
                assert_eq!(
                    script.step(2, ScriptedInput::Page("200 json next=6 closed", "[5]")),
                    ends
                );
                continue;
            }
            Technique::Ndjson => ("200 ndjson", line),
            Technique::Sse => ("200 sse", events),
            Technique::Websocket => ("101", line),
        };
        script.step(2, ScriptedInput::Head(head));
        assert_eq!(
            script.step(3, ScriptedInput::Piece(piece)),
            format!("abort; {ends}"),
            "{technique}"
        );
        assert_eq!(script.step(4, ScriptedInput::End), "done");
    }
}

#[test]
fn a_server_without_extensions_is_read_by_a_standard_technique() {
    for (technique, refusal) in [
        (Technique::Ndjson, "400 json"),
        (Technique::Websocket, "400"),
        (Technique::Websocket, "426"),
        // It ignores `live` and returns a page.
        (Technique::Ndjson, "200 json next=6 up"),
        (Technique::Websocket, "200 json next=6 up"),
    ] {
        let mut script = ScriptedReader::new(technique, "5");
        script.step(0, ScriptedInput::Nothing);
        script.step(1, ScriptedInput::Page("200 json next=5 up", "[]"));
        let actions = script.step(2, ScriptedInput::Page(refusal, "[5]"));
        assert!(
            actions.contains(&format!("{technique} -> sse: ")),
            "{refusal}: {actions}"
        );
        assert!(
            actions.contains("send poll offset=5"),
            "{refusal}: {actions}"
        );
        assert_eq!(
            script.step(3, ScriptedInput::Page("200 json next=5 up", "[]")),
            "send sse live=sse&offset=5; batch [] 5 up; ended"
        );
    }
}

#[test]
fn without_fallback_an_unknown_technique_ends_the_reader() {
    let options = FollowOptions {
        technique: Technique::Ndjson,
        fallback: false,
        ..FollowOptions::default()
    };
    let mut script = ScriptedReader::with(options);
    script.step(0, ScriptedInput::Nothing);
    script.step(1, ScriptedInput::Page("200 json next=5 up", "[]"));
    let actions = script.step(2, ScriptedInput::Page("400", ""));
    assert!(
        actions.ends_with("finished: the server answered with status 400; done"),
        "{actions}"
    );
}

#[test]
fn immediate_responses_do_not_cause_a_busy_loop() {
    let mut script = ScriptedReader::new(Technique::Ndjson, "5");
    script.step(0, ScriptedInput::Nothing);
    script.step(0, ScriptedInput::Page("200 json next=5 up", "[]"));
    script.step(0, ScriptedInput::Head("200 ndjson"));
    script.step(0, ScriptedInput::Piece("{\"streamNextOffset\":\"5\"}\n"));
    assert_eq!(script.step(1, ScriptedInput::End), "ended; waits 999");
    assert_eq!(
        script.step(1_000, ScriptedInput::Nothing),
        "send ndjson live=ndjson&offset=5"
    );
    script.step(1_001, ScriptedInput::Head("200 ndjson"));
    let actions = script.step(1_002, ScriptedInput::End);
    assert_eq!(
        actions,
        "ended: the live response ended before its first frame; backs off"
    );

    let mut script = ScriptedReader::new(Technique::LongPoll, "5");
    script.step(0, ScriptedInput::Nothing);
    for _ in 0..3 {
        let actions = script.step(0, ScriptedInput::Page("204 next=5 up", ""));
        assert_eq!(
            actions,
            "send long-poll live=long-poll&offset=5; batch [] 5 up; ended"
        );
    }
    assert_eq!(
        script.step(0, ScriptedInput::Page("204 next=5 up", "")),
        "batch [] 5 up; ended; waits 1000"
    );
}

#[test]
fn a_page_without_an_offset_is_not_accepted() {
    let mut script = ScriptedReader::new(Technique::Poll, "5");
    script.step(0, ScriptedInput::Nothing);
    let actions = script.step(
        1,
        ScriptedInput::Page("200 text", "<html>Welcome to our Wi-Fi</html>"),
    );
    assert!(
        actions.starts_with("ended: status 200 without Stream-Next-Offset"),
        "{actions}"
    );
    assert_eq!(script.reader.next().as_str(), "5");
}

#[test]
fn a_new_poll_interval_counts_at_once() {
    let mut script = ScriptedReader::new(Technique::Poll, "5");
    script.step(0, ScriptedInput::Nothing);
    script.step(10, ScriptedInput::Page("200 json next=5 up", "[]"));
    assert_eq!(script.waits_until(10), Some(1_000));
    script
        .reader
        .set_poll_interval(Duration::from_millis(50), Duration::from_millis(200));
    assert_eq!(script.step(50, ScriptedInput::Nothing), "waits 150");
    assert_eq!(
        script.step(200, ScriptedInput::Nothing),
        "send poll offset=5"
    );
}

#[test]
fn an_empty_page_counts_as_the_tail() {
    ScriptedReader::new(Technique::Sse, "-1").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=-1"),
        (
            1,
            ScriptedInput::Page("200 json next=0", "[]"),
            "send sse live=sse&offset=0; batch [] 0; ended",
        ),
    ]);
    ScriptedReader::new(Technique::Poll, "5").check(&[
        (0, ScriptedInput::Nothing, "send poll offset=5"),
        (
            1,
            ScriptedInput::Page("200 text next=5", ""),
            "batch [\"\"] 5; ended; waits 999",
        ),
    ]);
}
