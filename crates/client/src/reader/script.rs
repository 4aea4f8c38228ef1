//! Scripted tests of the reader: inputs and actions are written as short texts.

use super::*;
use std::fmt::Write;

/// A reader whose actions up to the next wait are returned as text.
pub(super) struct ScriptedReader {
    pub(super) reader: StreamReader,
}

/// An input of a script.
#[derive(Clone, Copy)]
pub(super) enum ScriptedInput<'a> {
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

fn head(words: &str) -> StreamResponseHead {
    let mut words = words.split_whitespace();
    let mut head = StreamResponseHead {
        status: words.next().unwrap().parse().unwrap(),
        ..StreamResponseHead::default()
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

fn words(report: &FollowReport) -> Option<String> {
    Some(match report {
        // Implied by the send, the head or the piece.
        FollowReport::Requested { .. }
        | FollowReport::Responded { .. }
        | FollowReport::Chunk { .. } => return None,
        FollowReport::Batch { batch, .. } => {
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
        FollowReport::Ended { fault: None, .. } => "ended".to_owned(),
        FollowReport::Ended {
            fault: Some(fault), ..
        } => format!("ended: {fault}"),
        FollowReport::Waiting {
            for_ms,
            after_fault: false,
            ..
        } => format!("waits {for_ms:.0}"),
        FollowReport::Waiting {
            after_fault: true, ..
        } => "backs off".to_owned(),
        FollowReport::Changed {
            from, to, fault, ..
        } => {
            let why = fault
                .as_ref()
                .map_or(String::new(), |fault| format!(": {fault}"));
            format!("{from} -> {to}{why}")
        }
        FollowReport::Finished { fault, .. } => fault
            .as_ref()
            .map_or("finished".to_owned(), |fault| format!("finished: {fault}")),
    })
}

impl ScriptedReader {
    pub(super) fn new(technique: Technique, from: &str) -> Self {
        Self::with(FollowOptions {
            technique,
            from: from.parse().unwrap(),
            ..FollowOptions::default()
        })
    }

    pub(super) fn with(options: FollowOptions) -> Self {
        Self {
            reader: StreamReader::new(options),
        }
    }

    fn apply(&mut self, now: Duration, input: &ScriptedInput<'_>) {
        let reader = &mut self.reader;
        match input {
            ScriptedInput::Nothing => {}
            ScriptedInput::Elapsed => reader.handle(now, ReaderInput::Elapsed),
            ScriptedInput::Head(words) => reader.handle(now, ReaderInput::Head(head(words))),
            ScriptedInput::Piece(text) => reader.handle(now, ReaderInput::Piece(text.as_bytes())),
            ScriptedInput::End => reader.handle(now, ReaderInput::End),
            ScriptedInput::Page(words, body) => {
                reader.handle(now, ReaderInput::Head(head(words)));
                reader.handle(now, ReaderInput::Piece(body.as_bytes()));
                reader.handle(now, ReaderInput::End);
            }
            ScriptedInput::Fault => reader.handle(now, ReaderInput::Fault("cut".to_owned())),
            ScriptedInput::Change(technique) => reader.change(now, *technique),
            ScriptedInput::Pause => reader.pause(now),
            ScriptedInput::Resume => reader.resume(),
        }
    }

    /// Passes an input at `at_ms` and returns all actions of the reader, separated by `; `.
    pub(super) fn step(&mut self, at_ms: u64, input: ScriptedInput<'_>) -> String {
        let now = Duration::from_millis(at_ms);
        self.apply(now, &input);
        let mut actions = String::new();
        for _ in 0..50 {
            let words = match self.reader.poll(now) {
                ReaderAction::Abort => Some("abort".to_owned()),
                ReaderAction::Send(request) => {
                    Some(format!("send {} {}", request.technique, request.query))
                }
                ReaderAction::Report(report) => words(&report),
                ReaderAction::Wait(_) => return actions,
                ReaderAction::Done => Some("done".to_owned()),
            };
            if let Some(words) = words {
                let separator = if actions.is_empty() { "" } else { "; " };
                write!(actions, "{separator}{words}").unwrap();
                if words == "done" {
                    return actions;
                }
            }
        }
        panic!("the reader did not wait after 50 actions: {actions}");
    }

    pub(super) fn check(&mut self, script: &[(u64, ScriptedInput<'_>, &str)]) {
        for (step, (at_ms, input, expected)) in script.iter().enumerate() {
            let now = Duration::from_millis(*at_ms);
            self.apply(now, input);
            assert_eq!(
                self.step(*at_ms, ScriptedInput::Nothing),
                *expected,
                "step {step} at {at_ms} ms"
            );
        }
    }

    /// The deadline of the current wait, in ms, rounded up.
    pub(super) fn waits_until(&mut self, at_ms: u64) -> Option<u64> {
        match self.reader.poll(Duration::from_millis(at_ms)) {
            ReaderAction::Wait(until) => {
                until.map(|until| u64::try_from(until.as_nanos().div_ceil(1_000_000)).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}
