//! A script for tests: inputs in a few words go into a reader, and what it does comes out in words.

use super::*;
use std::fmt::Write;

/// A reader whose actions are written down in words, one after the other, up to the next wait.
pub(super) struct Play {
    pub(super) reader: Reader,
}

/// Inputs as a script writes them.
#[derive(Clone, Copy)]
pub(super) enum Say<'a> {
    Nothing,
    Elapsed,
    /// Status and headers: `200 json next=3 cursor=7 up`.
    Head(&'a str),
    Piece(&'a str),
    End,
    /// Head, one piece and the end.
    Page(&'a str, &'a str),
    Fault,
    Change(Technique),
    Pause,
    Resume,
}

fn head(words: &str) -> Head {
    let mut words = words.split_whitespace();
    let mut head = Head {
        status: words.next().unwrap().parse().unwrap(),
        ..Head::default()
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("json", _) => head.content_type = Some("application/json".to_owned()),
            ("text", _) => head.content_type = Some("text/plain".to_owned()),
            ("sse", _) => head.content_type = Some("text/event-stream".to_owned()),
            ("ndjson", _) => head.content_type = Some("application/x-ndjson".to_owned()),
            ("next", value) => head.next = Some(value.to_owned()),
            ("cursor", value) => head.cursor = Some(value.to_owned()),
            ("up", _) => head.up_to_date = true,
            ("closed", _) => head.closed = true,
            ("retry", value) => {
                head.retry_after = Some(Duration::from_secs(value.parse().unwrap()));
            }
            (other, _) => panic!("{other}"),
        }
    }
    head
}

fn words(report: &Report) -> Option<String> {
    Some(match report {
        // What a send says already, and what every head and piece brings.
        Report::Requested { .. } | Report::Answered { .. } | Report::Chunk { .. } => return None,
        Report::Batch { batch, .. } => {
            let data = match &batch.data {
                Data::Json(messages) => messages.join(" "),
                Data::Text(text) => format!("{text:?}"),
                Data::Binary(bytes) => format!("{bytes:?}"),
            };
            let mut words = format!("batch [{data}] {}", batch.next);
            for (flag, word) in [(batch.up_to_date, " up"), (batch.closed, " closed")] {
                words.push_str(if flag { word } else { "" });
            }
            words
        }
        Report::Ended { fault: None, .. } => "ended".to_owned(),
        Report::Ended {
            fault: Some(fault), ..
        } => format!("ended: {fault}"),
        Report::Waiting {
            for_ms,
            after_fault: false,
            ..
        } => format!("waits {for_ms:.0}"),
        Report::Waiting {
            after_fault: true, ..
        } => "pauses".to_owned(),
        Report::Changed {
            from, to, fault, ..
        } => {
            let why = fault
                .as_ref()
                .map_or(String::new(), |fault| format!(": {fault}"));
            format!("{from} -> {to}{why}")
        }
        Report::Finished { fault, .. } => fault
            .as_ref()
            .map_or("finished".to_owned(), |fault| format!("finished: {fault}")),
    })
}

impl Play {
    pub(super) fn new(technique: Technique, from: &str) -> Self {
        Self::with(FollowOptions {
            technique,
            from: from.parse().unwrap(),
            ..FollowOptions::default()
        })
    }

    pub(super) fn with(options: FollowOptions) -> Self {
        Self {
            reader: Reader::new(options),
        }
    }

    fn say(&mut self, now: Duration, input: &Say<'_>) {
        let reader = &mut self.reader;
        match input {
            Say::Nothing => {}
            Say::Elapsed => reader.handle(now, Input::Elapsed),
            Say::Head(words) => reader.handle(now, Input::Head(head(words))),
            Say::Piece(text) => reader.handle(now, Input::Piece(text.as_bytes())),
            Say::End => reader.handle(now, Input::End),
            Say::Page(words, body) => {
                reader.handle(now, Input::Head(head(words)));
                reader.handle(now, Input::Piece(body.as_bytes()));
                reader.handle(now, Input::End);
            }
            Say::Fault => reader.handle(now, Input::Fault("cut".to_owned())),
            Say::Change(technique) => reader.change(now, *technique),
            Say::Pause => reader.pause(now),
            Say::Resume => reader.resume(),
        }
    }

    /// Says something at `at_ms` and returns everything the reader does then, separated by `; `.
    pub(super) fn does(&mut self, at_ms: u64, input: Say<'_>) -> String {
        let now = Duration::from_millis(at_ms);
        self.say(now, &input);
        let mut done = String::new();
        for _ in 0..50 {
            let words = match self.reader.poll(now) {
                Action::Abort => Some("abort".to_owned()),
                Action::Send(request) => {
                    Some(format!("send {} {}", request.technique, request.query))
                }
                Action::Report(report) => words(&report),
                Action::Wait(_) => return done,
                Action::Done => Some("done".to_owned()),
            };
            if let Some(words) = words {
                let separator = if done.is_empty() { "" } else { "; " };
                write!(done, "{separator}{words}").unwrap();
                if words == "done" {
                    return done;
                }
            }
        }
        panic!("the reader never waits: {done}");
    }

    pub(super) fn check(&mut self, script: &[(u64, Say<'_>, &str)]) {
        for (step, (at_ms, input, expected)) in script.iter().enumerate() {
            let now = Duration::from_millis(*at_ms);
            self.say(now, input);
            assert_eq!(
                self.does(*at_ms, Say::Nothing),
                *expected,
                "step {step} at {at_ms} ms"
            );
        }
    }

    /// The time until which it waits now, in whole ms, rounded up.
    pub(super) fn waits_until(&mut self, at_ms: u64) -> Option<u64> {
        match self.reader.poll(Duration::from_millis(at_ms)) {
            Action::Wait(until) => {
                until.map(|until| u64::try_from(until.as_nanos().div_ceil(1_000_000)).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}
