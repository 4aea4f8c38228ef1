//! Runs a sequence on one server, and records all responses and the final state of the streams.

mod waits;
mod web_socket;

use super::generate::{SENTINEL, STREAMS, stream_target};
use super::normal::Normalizer;
use super::recorded::{Recorded, RecordedResponse, RecordingConnection};
use super::script::{Answers, ETAG, NEXT, NUMBER, RequestSequence, ScriptRequest, ScriptStep};
use super::settings::DifferentialSettings;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Number of kept connections that a sequence may use.
pub(crate) const CONNECTIONS: usize = 3;
/// The most responses that are read where their number is not known.
const ANSWERS_MAX: usize = 40;

/// Deadline of responses on the side connection, without which nothing can be compared.
const SIDE_DEADLINE: Duration = Duration::from_secs(60);

/// The responses, each with a description of its request.
pub(crate) type Transcript = Vec<(String, Recorded)>;

/// One run of a sequence on one server.
struct SequenceRun {
    address: SocketAddr,
    deadline: Duration,
    /// Replaces [`NUMBER`].
    number: String,
    connections: [Option<RecordingConnection>; CONNECTIONS],
    /// The side connection, for requests that are not part of the sequence.
    side: RecordingConnection,
    etag: String,
    next: String,
    normal: Normalizer,
    transcript: Transcript,
}

/// Runs `sequence` on the server at `address`.
///
/// - `number`: distinguishes the streams of this run from those of others; at most seven digits.
pub(crate) async fn run(
    settings: &DifferentialSettings,
    address: SocketAddr,
    number: u64,
    sequence: &RequestSequence,
) -> Transcript {
    let mut run = SequenceRun {
        address,
        deadline: settings.deadline,
        number: format!("f{number:07}"),
        connections: [const { None }; CONNECTIONS],
        side: RecordingConnection::open(address, SIDE_DEADLINE).await,
        etag: "\"none\"".to_owned(),
        next: "0000000000000000".to_owned(),
        normal: Normalizer::new(address),
        transcript: Transcript::new(),
    };
    run.create_streams().await;
    for (at, step) in sequence.steps.iter().enumerate() {
        run.step(at + 1, step).await;
    }
    run.end().await;
    run.transcript
}

impl SequenceRun {
    fn record(&mut self, what: String, mut seen: Recorded) {
        if let Recorded::Response(answer) = &seen {
            let header = |name: &str| {
                answer
                    .fields
                    .iter()
                    .find(|(it, _)| it == name)
                    .map(|(_, value)| value.clone())
            };
            self.etag = header("etag").unwrap_or_else(|| std::mem::take(&mut self.etag));
            self.next =
                header("stream-next-offset").unwrap_or_else(|| std::mem::take(&mut self.next));
        }
        self.normal.apply(&mut seen);
        self.transcript.push((what, seen));
    }

    fn fill(&self, bytes: &[u8]) -> Vec<u8> {
        let filled = replace(bytes, NUMBER.as_bytes(), self.number.as_bytes());
        replace(
            &replace(&filled, ETAG.as_bytes(), self.etag.as_bytes()),
            NEXT.as_bytes(),
            self.next.as_bytes(),
        )
    }

    /// Sends requests on the side connection, whose responses must be complete. If it was closed
    /// meanwhile, it is opened again.
    async fn ask_side(&mut self, bytes: &[u8], count: usize) -> Vec<RecordedResponse> {
        let filled = self.fill(bytes);
        self.side.send(&filled).await;
        let mut answers = Vec::new();
        let mut is_anew = false;
        while answers.len() < count {
            match self.side.answer(false).await {
                Recorded::Response(answer) => answers.push(answer),
                Recorded::Closed if answers.is_empty() && !is_anew => {
                    self.side = RecordingConnection::open(self.address, SIDE_DEADLINE).await;
                    self.side.send(&filled).await;
                    is_anew = true;
                }
                other => panic!(
                    "{other:?} instead of response {} on the side connection {:?} (new connection: {is_anew}) after {:?} to {}",
                    answers.len() + 1,
                    self.side,
                    answers.last(),
                    filled.escape_ascii()
                ),
            }
        }
        answers
    }

    async fn create_streams(&mut self) {
        let puts: Vec<u8> = STREAMS
            .iter()
            .flat_map(|stream| stream.creation().bytes())
            .collect();
        for answer in self.ask_side(&puts, STREAMS.len()).await {
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    }

    async fn wire(&mut self, connection: usize) -> RecordingConnection {
        match self.connections[connection].take() {
            Some(wire) => wire,
            None => RecordingConnection::open(self.address, self.deadline).await,
        }
    }

    async fn step(&mut self, at: usize, step: &ScriptStep) {
        match step {
            ScriptStep::Send {
                connection,
                requests,
                cuts,
                finish,
            } => {
                let mut wire = self.wire(*connection).await;
                let mut bytes: Vec<u8> = requests
                    .iter()
                    .flat_map(|request| self.fill(&request.bytes()))
                    .collect();
                if requests
                    .iter()
                    .any(|request| request.answers == Answers::Unknown)
                {
                    // In the same write, so that the result does not depend on whether the end or
                    // the response is faster.
                    bytes.extend(sentinel());
                }
                self.send_cut(&mut wire, &bytes, cuts).await;
                if *finish {
                    wire.finish().await;
                }
                if self.answers(at, &mut wire, requests).await
                    && self.read_to_end(at, &mut wire, *finish).await
                {
                    self.connections[*connection] = Some(wire);
                }
            }
            ScriptStep::Follow {
                readers,
                changes,
                beyond,
            } => self.follow(at, readers, changes, beyond).await,
            ScriptStep::WebSocket {
                connection,
                request,
                frames,
            } => self.web_socket(at, *connection, request, frames).await,
            ScriptStep::Finish { connection } => {
                if let Some(mut wire) = self.connections[*connection].take() {
                    wire.finish().await;
                    self.read_to_end(at, &mut wire, true).await;
                }
            }
            ScriptStep::Drop { connection } => self.connections[*connection] = None,
        }
    }

    /// Sends the bytes in pieces. The server has most likely read each piece before the next is
    /// sent.
    async fn send_cut(&mut self, wire: &mut RecordingConnection, bytes: &[u8], cuts: &[usize]) {
        let mut from = 0;
        for cut in cuts.iter().map(|cut| *cut % bytes.len().max(1)) {
            if cut > from {
                wire.send(&bytes[from..cut]).await;
                // With one worker, a later request is answered later.
                self.ask_side(
                    b"OPTIONS /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    1,
                )
                .await;
                from = cut;
            }
        }
        wire.send(&bytes[from..]).await;
    }

    /// Reads the responses to `requests`; returns whether the connection stays open.
    async fn answers(
        &mut self,
        at: usize,
        wire: &mut RecordingConnection,
        requests: &[ScriptRequest],
    ) -> bool {
        for (place, request) in requests.iter().enumerate() {
            if request.answers == Answers::Unknown {
                return self.until_sentinel(at, wire, &requests[place..]).await;
            }
            if !self.one_answer(at, wire, request.is_head()).await {
                return false;
            }
        }
        true
    }

    /// Reads one final response; returns whether the connection stays open.
    async fn one_answer(
        &mut self,
        at: usize,
        wire: &mut RecordingConnection,
        is_head: bool,
    ) -> bool {
        loop {
            let seen = wire.answer(is_head).await;
            if let Some(goes_on) = self.final_answer(at, wire, seen).await {
                return goes_on;
            }
        }
    }

    /// Records what arrived instead of a response, or a response, and the end of the connection if
    /// it is the last one. Returns whether the connection stays open; `None` if the final response
    /// is still to come.
    async fn final_answer(
        &mut self,
        at: usize,
        wire: &mut RecordingConnection,
        seen: Recorded,
    ) -> Option<bool> {
        let (is_final, closes, goes_on) = match &seen {
            Recorded::Response(answer) => (
                answer.status >= 200 || answer.status == 101,
                answer.closes(),
                !answer.closes(),
            ),
            _ => (true, false, false),
        };
        self.record(format!("step {at}"), seen);
        if closes {
            self.read_to_end(at, wire, true).await;
        }
        (is_final || closes).then_some(goes_on)
    }

    /// Reads up to the response to [`sentinel`], which is sent after `requests`; returns whether
    /// the connection stays open.
    async fn until_sentinel(
        &mut self,
        at: usize,
        wire: &mut RecordingConnection,
        requests: &[ScriptRequest],
    ) -> bool {
        let may_be_heads = requests.iter().any(ScriptRequest::may_be_head);
        for _ in 0..ANSWERS_MAX {
            let seen = if may_be_heads {
                wire.answer_to_any().await
            } else {
                wire.answer(false).await
            };
            let Recorded::Response(answer) = &seen else {
                self.record(format!("step {at} and after"), seen);
                return false;
            };
            let is_sentinel = answer.is_about(SENTINEL);
            let closes = answer.closes();
            self.record(format!("step {at} and after"), seen);
            if closes {
                self.read_to_end(at, wire, true).await;
                return false;
            }
            if is_sentinel {
                return true;
            }
        }
        false
    }

    /// Reads to the end of the connection if it `ends`; returns whether it stays open.
    async fn read_to_end(&mut self, at: usize, wire: &mut RecordingConnection, ends: bool) -> bool {
        if !ends {
            return true;
        }
        for _ in 0..ANSWERS_MAX {
            let seen = wire.answer(false).await;
            let goes_on = matches!(seen, Recorded::Response(_));
            self.record(format!("the end of the connection after step {at}"), seen);
            if !goes_on {
                break;
            }
        }
        false
    }

    /// Number of readers that wait on the streams of this run.
    async fn readers(&mut self) -> usize {
        let answer = self.ask_side(list().as_bytes(), 1).await.remove(0);
        let list: serde_json::Value = serde_json::from_slice(answer.bytes()).expect("a list");
        let counts = list["streams"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["readers"].as_u64());
        usize::try_from(counts.sum::<u64>()).expect("a number of readers")
    }

    /// Records whether each connection is open, the content of each stream, and the list of
    /// streams.
    async fn end(&mut self) {
        for connection in 0..CONNECTIONS {
            if let Some(mut wire) = self.connections[connection].take() {
                wire.send(&sentinel()).await;
                self.until_sentinel(0, &mut wire, &[]).await;
            }
        }
        let begun = Instant::now();
        while self.readers().await > 0 && begun.elapsed() < self.deadline {}
        let reads: Vec<String> = STREAMS
            .iter()
            .map(|stream| stream_target(stream.name))
            .collect();
        let read =
            |target: &String| format!("GET {target}?offset=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let all = reads.iter().map(read).chain([list()]).collect::<String>();
        for answer in self.ask_side(all.as_bytes(), reads.len() + 1).await {
            self.record(
                "the streams afterwards".to_owned(),
                Recorded::Response(answer),
            );
        }
        let delete =
            |target: &String| format!("DELETE {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.ask_side(
            reads.iter().map(delete).collect::<String>().as_bytes(),
            reads.len(),
        )
        .await;
    }
}

/// A request whose response is known.
fn sentinel() -> Vec<u8> {
    format!("GET {SENTINEL} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn list() -> String {
    format!("GET /v1/streams?prefix={NUMBER}/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = super::recorded::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
