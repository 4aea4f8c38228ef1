//! Does a sequence on one server and records everything that comes back, and what is there afterwards.

use super::generate::{SENTINEL, STREAMS, stream_target};
use super::normal::Normal;
use super::script::{Answers, ETAG, Frame, NEXT, NUMBER, Request, Sequence, Step};
use super::settings::Settings;
use super::wire::{Answer, Framing, Seen, Wire};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Kept connections that a sequence may use.
pub(crate) const CONNECTIONS: usize = 3;
/// The most answers that are read where their number is not known.
const ANSWERS_MAX: usize = 40;

/// How long an answer on the side may take; without it there is nothing to compare.
const SIDE_DEADLINE: Duration = Duration::from_secs(60);

/// What came back, each with what it answers.
pub(crate) type Transcript = Vec<(String, Seen)>;

/// One run of a sequence on one server.
struct Run {
    address: SocketAddr,
    deadline: Duration,
    /// What replaces [`NUMBER`].
    number: String,
    connections: [Option<Wire>; CONNECTIONS],
    /// For everything that is not part of the sequence.
    side: Wire,
    etag: String,
    next: String,
    normal: Normal,
    transcript: Transcript,
}

/// Does `sequence` on the server at `address`.
///
/// - `number`: sets the streams of this run apart from those of others; seven digits at most.
pub(crate) async fn run(
    settings: &Settings,
    address: SocketAddr,
    number: u64,
    sequence: &Sequence,
) -> Transcript {
    let mut run = Run {
        address,
        deadline: settings.deadline,
        number: format!("f{number:07}"),
        connections: [const { None }; CONNECTIONS],
        side: Wire::open(address, SIDE_DEADLINE).await,
        etag: "\"none\"".to_owned(),
        next: "0000000000000000".to_owned(),
        normal: Normal::new(address),
        transcript: Transcript::new(),
    };
    run.create_streams().await;
    for (at, step) in sequence.steps.iter().enumerate() {
        run.step(at + 1, step).await;
    }
    run.end().await;
    run.transcript
}

impl Run {
    fn record(&mut self, what: String, mut seen: Seen) {
        if let Seen::Answer(answer) = &seen {
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

    /// Asks on the side, where the answers must be whole; a connection that was closed since the last time is opened anew.
    async fn aside(&mut self, bytes: &[u8], count: usize) -> Vec<Answer> {
        let filled = self.fill(bytes);
        self.side.send(&filled).await;
        let mut answers = Vec::new();
        let mut is_anew = false;
        while answers.len() < count {
            match self.side.answer(false).await {
                Seen::Answer(answer) => answers.push(answer),
                Seen::Closed if answers.is_empty() && !is_anew => {
                    self.side = Wire::open(self.address, SIDE_DEADLINE).await;
                    self.side.send(&filled).await;
                    is_anew = true;
                }
                other => panic!(
                    "{other:?} instead of answer {} on the side {:?} (anew: {is_anew}) after {:?} to {}",
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
        for answer in self.aside(&puts, STREAMS.len()).await {
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    }

    async fn wire(&mut self, connection: usize) -> Wire {
        match self.connections[connection].take() {
            Some(wire) => wire,
            None => Wire::open(self.address, self.deadline).await,
        }
    }

    async fn step(&mut self, at: usize, step: &Step) {
        match step {
            Step::Send {
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
                    // In the same write: whether it comes before the answer must not depend on who is faster.
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
            Step::Follow {
                readers,
                acts,
                beyond,
            } => self.follow(at, readers, acts, beyond).await,
            Step::WebSocket {
                connection,
                request,
                frames,
            } => self.web_socket(at, *connection, request, frames).await,
            Step::Finish { connection } => {
                if let Some(mut wire) = self.connections[*connection].take() {
                    wire.finish().await;
                    self.read_to_end(at, &mut wire, true).await;
                }
            }
            Step::Drop { connection } => self.connections[*connection] = None,
        }
    }

    /// Sends in pieces; the server has seen each before the next is sent, as far as that can be known.
    async fn send_cut(&mut self, wire: &mut Wire, bytes: &[u8], cuts: &[usize]) {
        let mut from = 0;
        for cut in cuts.iter().map(|cut| *cut % bytes.len().max(1)) {
            if cut > from {
                wire.send(&bytes[from..cut]).await;
                // One worker: what is asked later is answered later.
                self.aside(
                    b"OPTIONS /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    1,
                )
                .await;
                from = cut;
            }
        }
        wire.send(&bytes[from..]).await;
    }

    /// Reads the answers to `requests`; whether the connection goes on.
    async fn answers(&mut self, at: usize, wire: &mut Wire, requests: &[Request]) -> bool {
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

    /// Reads one final answer; whether the connection goes on.
    async fn one_answer(&mut self, at: usize, wire: &mut Wire, is_head: bool) -> bool {
        loop {
            let seen = wire.answer(is_head).await;
            if let Some(goes_on) = self.final_answer(at, wire, seen).await {
                return goes_on;
            }
        }
    }

    /// Records what came instead of an answer, or an answer, and the connection's end if that is its last. Whether the
    /// connection goes on; `None` if the final answer is still to come.
    async fn final_answer(&mut self, at: usize, wire: &mut Wire, seen: Seen) -> Option<bool> {
        let (is_final, closes, goes_on) = match &seen {
            Seen::Answer(answer) => (
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

    /// Reads up to the answer to [`sentinel`], which is sent after `requests`; whether the connection goes on.
    async fn until_sentinel(&mut self, at: usize, wire: &mut Wire, requests: &[Request]) -> bool {
        let may_be_heads = requests.iter().any(Request::may_be_head);
        for _ in 0..ANSWERS_MAX {
            let seen = if may_be_heads {
                wire.answer_to_any().await
            } else {
                wire.answer(false).await
            };
            let Seen::Answer(answer) = &seen else {
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

    /// Reads to the end of the connection if it `ends`; whether it goes on.
    async fn read_to_end(&mut self, at: usize, wire: &mut Wire, ends: bool) -> bool {
        if !ends {
            return true;
        }
        for _ in 0..ANSWERS_MAX {
            let seen = wire.answer(false).await;
            let goes_on = matches!(seen, Seen::Answer(_));
            self.record(format!("the end of the connection after step {at}"), seen);
            if !goes_on {
                break;
            }
        }
        false
    }

    /// Waits until all long-polls on `wires` are counted as readers, or have an answer.
    async fn until_waiting(&mut self, wires: &mut [(usize, Wire)]) {
        let begun = Instant::now();
        while begun.elapsed() < self.deadline {
            let waiting = self.readers().await;
            let answered = wires
                .iter_mut()
                .filter_map(|(_, wire)| wire.has_answer().then_some(()))
                .count();
            if waiting + answered >= wires.len() {
                return;
            }
        }
    }

    /// Readers that wait on the streams of this run.
    async fn readers(&mut self) -> usize {
        let answer = self.aside(list().as_bytes(), 1).await.remove(0);
        let list: serde_json::Value = serde_json::from_slice(answer.bytes()).expect("a list");
        let counts = list["streams"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["readers"].as_u64());
        usize::try_from(counts.sum::<u64>()).expect("a number of readers")
    }

    async fn follow(
        &mut self,
        at: usize,
        readers: &[(usize, Request)],
        acts: &[Request],
        beyond: &[Request],
    ) {
        let mut wires = Vec::new();
        for (connection, request) in readers {
            let mut wire = self.wire(*connection).await;
            // A body comes after its head has been seen.
            let (bytes, body) = (self.fill(&request.bytes()), self.fill(&request.body));
            let cuts = if body.is_empty() {
                Vec::new()
            } else {
                vec![bytes.len() - body.len()]
            };
            self.send_cut(&mut wire, &bytes, &cuts).await;
            wires.push((*connection, wire));
        }
        let is_live = readers
            .first()
            .is_some_and(|(_, request)| super::wire::find(&request.line, b"live=long").is_none());
        if !is_live {
            self.until_waiting(&mut wires).await;
        }
        let mut waits = Vec::new();
        for (connection, mut wire) in wires {
            let wait = if is_live {
                self.begin_live(at, &mut wire).await
            } else {
                Wait::LongPoll
            };
            waits.push((connection, wire, wait));
        }
        if let Some((_, first, _)) = waits.first_mut() {
            let bytes: Vec<u8> = beyond
                .iter()
                .flat_map(|request| self.fill(&request.bytes()))
                .collect();
            first.send(&bytes).await;
        }
        let mut positions = 1;
        for (round, act) in acts.iter().enumerate() {
            let answer = self.aside(&act.bytes(), 1).await.remove(0);
            // Of what was refused nobody is told.
            positions += usize::from(answer.status < 300);
            self.record(
                format!("step {at}, what another connection did"),
                Seen::Answer(answer),
            );
            for (_, wire, wait) in &mut waits {
                if let Wait::Live(live) = wait
                    && round + 1 < acts.len()
                {
                    live.read_until(wire, positions).await;
                }
            }
        }
        for (place, (connection, mut wire, wait)) in waits.into_iter().enumerate() {
            let goes_on = match wait {
                Wait::LongPoll => self.one_answer(at, &mut wire, false).await,
                Wait::Live(live) => self.end_live(at, &mut wire, live).await,
                Wait::Over { goes_on } => goes_on,
            };
            let beyond = if place == 0 { beyond } else { &[] };
            if goes_on && self.answers(at, &mut wire, beyond).await {
                self.connections[connection] = Some(wire);
            }
        }
    }

    /// Reads the head and the first part of a live answer, or all of another one.
    async fn begin_live(&mut self, at: usize, wire: &mut Wire) -> Wait {
        loop {
            let seen = match wire.head(false).await {
                Ok((answer, Framing::Chunks)) => {
                    let mut live = Box::new(Live {
                        answer,
                        body: Vec::new(),
                        is_whole: false,
                        ended: None,
                    });
                    live.read_until(wire, 1).await;
                    return Wait::Live(live);
                }
                Ok((answer, framing)) => match wire.body(framing).await {
                    Ok(body) => Seen::Answer(Answer { body, ..answer }),
                    Err(ended) => ended,
                },
                Err(ended) => ended,
            };
            if let Some(goes_on) = self.final_answer(at, wire, seen).await {
                return Wait::Over { goes_on };
            }
        }
    }

    /// Reads a live answer to its end; whether the connection goes on.
    async fn end_live(&mut self, at: usize, wire: &mut Wire, mut live: Box<Live>) -> bool {
        live.read_until(wire, usize::MAX).await;
        let Live {
            answer,
            body,
            ended,
            ..
        } = *live;
        let goes_on = ended.is_none() && !answer.closes();
        let body = super::wire::Body::Whole(body);
        self.record(
            format!("step {at}"),
            Seen::Answer(Answer { body, ..answer }),
        );
        if let Some(ended) = ended {
            self.record(format!("step {at}, at the end of the answer"), ended);
        }
        goes_on
    }

    async fn web_socket(
        &mut self,
        at: usize,
        connection: usize,
        request: &Request,
        frames: &[Frame],
    ) {
        let mut wire = self.wire(connection).await;
        wire.send(&self.fill(&request.bytes())).await;
        let seen = wire.answer(false).await;
        let (is_open, goes_on) = match &seen {
            Seen::Answer(answer) => (answer.status == 101, !answer.closes()),
            _ => (false, false),
        };
        self.record(format!("step {at}"), seen);
        if !is_open {
            self.connections[connection] = goes_on.then_some(wire);
            return;
        }
        let mut greeting = vec![wire.frame().await];
        self.record_frames(at, &mut greeting);
        for frame in frames {
            wire.send(&self.fill(&frame.bytes)).await;
            let mut came = Vec::new();
            while came.len() < frame.answers.unwrap_or(ANSWERS_MAX) {
                came.push(wire.frame().await);
                // An append that is refused is not told of, only answered.
                let is_refusal =
                    |payload: &[u8]| super::wire::find(payload, b"\"problem\":").is_some();
                let goes_on = matches!(came.last(), Some(Seen::Frame(_, payload))
                    if frame.answers.is_none() || !is_refusal(payload));
                if !goes_on {
                    break;
                }
            }
            let has_ended = came.iter().any(|seen| !matches!(seen, Seen::Frame(..)));
            self.record_frames(at, &mut came);
            if has_ended {
                return;
            }
        }
    }

    /// Records frames that may come in any order, each on its own.
    fn record_frames(&mut self, at: usize, frames: &mut Vec<Seen>) {
        frames.iter_mut().for_each(|frame| self.normal.apply(frame));
        frames.sort_by_key(|frame| format!("{frame:?}"));
        frames
            .drain(..)
            .for_each(|frame| self.transcript.push((format!("step {at}"), frame)));
    }

    /// Whether each connection goes on, what is in each stream, and which streams there are.
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
        for answer in self.aside(all.as_bytes(), reads.len() + 1).await {
            self.record("the streams afterwards".to_owned(), Seen::Answer(answer));
        }
        let delete =
            |target: &String| format!("DELETE {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.aside(
            reads.iter().map(delete).collect::<String>().as_bytes(),
            reads.len(),
        )
        .await;
    }
}

/// A read that waits.
enum Wait {
    /// A long-poll: its answer comes once.
    LongPoll,
    Live(Box<Live>),
    /// It was answered otherwise.
    Over {
        /// Whether its connection goes on.
        goes_on: bool,
    },
}

/// A live answer under way.
struct Live {
    answer: Answer,
    body: Vec<u8>,
    /// Whether its last chunk has come.
    is_whole: bool,
    /// What came instead of the next chunk.
    ended: Option<Seen>,
}

impl Live {
    /// Reads until as many positions were told, or to the end.
    async fn read_until(&mut self, wire: &mut Wire, positions: usize) {
        const POSITION: &[u8] = b"streamNextOffset";
        let told = |body: &[u8]| {
            body.windows(POSITION.len())
                .filter(|window| *window == POSITION)
                .count()
        };
        while !self.is_whole && self.ended.is_none() && told(&self.body) < positions {
            match wire.chunk().await {
                Ok(chunk) if chunk.is_empty() => self.is_whole = true,
                Ok(chunk) => self.body.extend(chunk),
                Err(ended) => self.ended = Some(ended),
            }
        }
    }
}

/// A request whose answer is known.
fn sentinel() -> Vec<u8> {
    format!("GET {SENTINEL} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn list() -> String {
    format!("GET /v1/streams?prefix={NUMBER}/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = super::wire::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
