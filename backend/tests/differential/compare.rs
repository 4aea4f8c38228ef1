//! The two servers, and the first difference between their responses.

use super::recorded::{Recorded, RecordedBody, RecordedResponse};
use super::run::{Transcript, run};
use super::script::{RequestSequence, escaped};
use super::settings::DifferentialSettings;
use std::sync::atomic::{AtomicU64, Ordering};
use tailwater_harness::ServerThread;

/// Two servers that must behave the same.
#[derive(Debug)]
pub(crate) struct ServerPair {
    left: ServerThread,
    right: ServerThread,
    /// Number of runs so far; each has its own streams.
    runs: AtomicU64,
}

impl ServerPair {
    pub(crate) fn new(left: ServerThread, right: ServerThread) -> Self {
        Self {
            left,
            right,
            runs: AtomicU64::new(0),
        }
    }

    /// Runs a sequence on both servers.
    pub(crate) async fn run(
        &self,
        settings: &DifferentialSettings,
        sequence: &RequestSequence,
    ) -> [Transcript; 2] {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let (left, right) = tokio::join!(
            run(settings, self.left.address, number, sequence),
            run(settings, self.right.address, number, sequence)
        );
        [left, right]
    }
}

/// The first difference between two transcripts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The kinds of the two responses, which shrinking must preserve.
    pub(crate) kind: String,
    /// Both responses in full.
    pub(crate) text: String,
}

/// The first difference, or the first response that is wrong on both servers, if there is one.
pub(crate) fn difference(left: &Transcript, right: &Transcript) -> Option<Difference> {
    let is_wrong = |at: usize| {
        left.get(at) != right.get(at) || left.get(at).is_some_and(|(_, seen)| !is_answer(seen))
    };
    let at = (0..left.len().max(right.len())).find(|at| is_wrong(*at))?;
    let [left, right] = [left, right].map(|transcript| transcript.get(at));
    let kind = |entry: Option<&(String, Recorded)>| {
        entry.map_or("nothing".to_owned(), |(_, seen)| kind(seen))
    };
    let told = |entry: Option<&(String, Recorded)>| match entry {
        Some((what, seen)) => format!("{what}: {}", text(seen)),
        None => "nothing".to_owned(),
    };
    Some(Difference {
        kind: format!("{} | {}", kind(left), kind(right)),
        text: format!(
            "-- with takeover:\n{}\n-- without:\n{}\n",
            told(left),
            told(right)
        ),
    })
}

/// Whether a server may do this at all: an unanswered request and a response that is not HTTP are
/// always wrong.
fn is_answer(seen: &Recorded) -> bool {
    match seen {
        Recorded::Response(answer) => answer.body != RecordedBody::Missing,
        Recorded::Frame(..) | Recorded::Closed => true,
        Recorded::Silence | Recorded::Malformed(..) => false,
    }
}

/// The kind of a response.
pub(crate) fn kind(seen: &Recorded) -> String {
    match seen {
        Recorded::Response(RecordedResponse {
            status,
            body: RecordedBody::Missing,
            ..
        }) => format!("{status} without its body"),
        Recorded::Response(answer) => answer.status.to_string(),
        Recorded::Frame(..) => "a frame".to_owned(),
        Recorded::Closed => "closed".to_owned(),
        Recorded::Silence => "no response".to_owned(),
        Recorded::Malformed(why, _) => format!("not HTTP: {why}"),
    }
}

fn text(seen: &Recorded) -> String {
    match seen {
        Recorded::Response(RecordedResponse {
            line, fields, body, ..
        }) => {
            let fields: String = fields
                .iter()
                .map(|(name, value)| format!("\n    {name}: {value}"))
                .collect();
            let body = match body {
                RecordedBody::Whole(bytes) => format!("body: {}", escaped(bytes)),
                RecordedBody::Broken(bytes) => format!("body that ends early: {}", escaped(bytes)),
                RecordedBody::None => "no body".to_owned(),
                RecordedBody::Missing => "the body is missing".to_owned(),
            };
            format!("{line}{fields}\n    {body}")
        }
        Recorded::Frame(first, payload) => format!("frame {first:#04x} {}", escaped(payload)),
        Recorded::Closed => "the server closes the connection".to_owned(),
        Recorded::Silence => "no response".to_owned(),
        Recorded::Malformed(why, bytes) => format!("not HTTP ({why}): {}", escaped(bytes)),
    }
}
