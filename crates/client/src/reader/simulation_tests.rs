//! The reader with a simulated server and an unreliable network: no message is lost or repeated when
//! responses are cut, delayed or refused, or the technique is changed.

use super::*;
use crate::ReceivedBatch;
use proptest::prelude::*;
use tailwater_protocol::Data;
use tailwater_protocol::frame::Control;
use tailwater_protocol::{Offset, ndjson, sse};

/// A seeded random generator that drives the whole simulation, so a failing seed can be repeated.
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A stream whose messages are the numbers from 0, and whose offsets count bytes like those of the
/// real server.
struct SimulatedServer {
    kind: ContentKind,
    stored: Vec<u8>,
    ends: Vec<usize>,
    closed: bool,
    page_messages: usize,
}

impl SimulatedServer {
    fn new(kind: ContentKind, page_messages: usize) -> Self {
        Self {
            kind,
            stored: Vec::new(),
            ends: vec![0],
            closed: false,
            page_messages,
        }
    }

    fn message(kind: ContentKind, number: usize) -> String {
        match kind {
            ContentKind::Json => format!("{{\"seq\":\n{number}}},"),
            ContentKind::Text | ContentKind::Binary => format!("{number}\n"),
        }
    }

    fn append(&mut self) {
        let message = Self::message(self.kind, self.ends.len() - 1);
        self.stored.extend_from_slice(message.as_bytes());
        self.ends.push(self.stored.len());
    }

    /// The messages from `from`, at most a page, and the control that follows them.
    fn read(&self, from: &str, cursor: u64) -> (Vec<u8>, Control) {
        let from = match from {
            "-1" => 0,
            "now" => self.stored.len(),
            offset => usize::try_from(offset.parse::<Offset>().unwrap().bytes()).unwrap(),
        };
        let index = self
            .ends
            .iter()
            .position(|end| *end == from)
            .expect("an offset that was never issued");
        let end = self.ends[(index + self.page_messages).min(self.ends.len() - 1)];
        let up_to_date = end == self.stored.len();
        let next = Offset::new(end as u64).unwrap().into();
        let closed = self.closed && up_to_date;
        (
            self.stored[from..end].to_vec(),
            Control {
                next,
                cursor: Some(cursor),
                up_to_date: Some(up_to_date),
                closed,
            },
        )
    }

    fn content_type(&self) -> String {
        match self.kind {
            ContentKind::Json => "application/json",
            ContentKind::Text => "text/plain",
            ContentKind::Binary => "application/octet-stream",
        }
        .to_owned()
    }
}

/// The current response, as far as the server has sent it.
struct SimulatedResponse {
    technique: Technique,
    at: String,
    cursor: u64,
    has_head: bool,
    /// Bytes sent by the server that the network has not delivered yet.
    pending: Vec<u8>,
    ends: bool,
}

struct Simulation {
    random: SeededRandom,
    server: SimulatedServer,
    reader: StreamReader,
    now: Duration,
    response: Option<SimulatedResponse>,
    received: Vec<u8>,
    next: Token,
    finished: bool,
    faults: bool,
}

impl Simulation {
    fn new(seed: u64, kind: ContentKind, technique: Technique) -> Self {
        let mut random = SeededRandom(seed);
        let mut server = SimulatedServer::new(kind, 1 + usize::try_from(random.below(7)).unwrap());
        for _ in 0..random.below(40) {
            server.append();
        }
        let reader = StreamReader::new(FollowOptions {
            technique,
            seed,
            ..FollowOptions::default()
        });
        let next = Token::beginning();
        Self {
            random,
            server,
            reader,
            now: Duration::ZERO,
            response: None,
            received: Vec::new(),
            next,
            finished: false,
            faults: true,
        }
    }

    fn run(&mut self) {
        for step in 0..6_000 {
            self.drive();
            if self.finished {
                return;
            }
            self.faults = step < 3_000;
            if self.faults && self.random.one_in(3) {
                self.server.append();
            }
            self.server.closed = step > 3_500;
            self.now += Duration::from_millis(self.random.below(400));
            self.random_event();
        }
        panic!(
            "the closed stream's end was never reached; at {}",
            self.reader.next()
        );
    }

    /// The driver's part: performs what the reader requests until it waits.
    fn drive(&mut self) {
        for _ in 0..100 {
            match self.reader.poll(self.now) {
                ReaderAction::Abort => self.response = None,
                ReaderAction::Send(request) => {
                    let parts: Vec<_> = request
                        .query
                        .split('&')
                        .filter_map(|part| part.split_once('='))
                        .collect();
                    let value = |key| {
                        parts
                            .iter()
                            .find(|(name, _)| *name == key)
                            .map(|(_, value)| (*value).to_owned())
                    };
                    let cursor =
                        value("cursor").map_or(0, |cursor| cursor.parse::<u64>().unwrap()) + 1;
                    let at = value("offset").unwrap();
                    let (has_head, pending, ends) = (false, Vec::new(), false);
                    self.response = Some(SimulatedResponse {
                        technique: request.technique,
                        at,
                        cursor,
                        has_head,
                        pending,
                        ends,
                    });
                }
                ReaderAction::Report(FollowReport::Batch { batch, .. }) => self.check_batch(&batch),
                ReaderAction::Report(FollowReport::Finished { fault, .. }) => {
                    assert_eq!(fault, None);
                    self.finished = true;
                }
                ReaderAction::Report(_) => {}
                ReaderAction::Wait(_) | ReaderAction::Done => return,
            }
        }
        panic!("the reader did not wait after 100 actions");
    }

    fn check_batch(&mut self, batch: &ReceivedBatch) {
        match &batch.data {
            Data::Json(messages) => {
                for message in messages {
                    self.received
                        .extend_from_slice(message.replace('\n', " ").as_bytes());
                    self.received.push(b',');
                }
            }
            Data::Text(text) => self.received.extend_from_slice(text.as_bytes()),
            Data::Binary(bytes) => self.received.extend_from_slice(bytes),
        }
        self.next = batch.next.clone();
        let so_far: Vec<u8> = if self.server.kind == ContentKind::Json {
            self.server
                .stored
                .iter()
                .map(|byte| if *byte == b'\n' { b' ' } else { *byte })
                .collect()
        } else {
            self.server.stored.clone()
        };
        assert!(
            so_far.starts_with(&self.received),
            "lost, repeated or out of order at {}",
            batch.next
        );
        assert_eq!(
            batch.next,
            Offset::new(self.received.len() as u64).unwrap().into(),
            "the offset fits the data before it"
        );
    }

    /// One action of the network, the server or the caller.
    fn random_event(&mut self) {
        if self.faults && self.random.one_in(25) {
            let technique = Technique::ALL[usize::try_from(self.random.below(5)).unwrap()];
            self.reader.change(self.now, technique);
            return;
        }
        if self.faults && self.random.one_in(60) {
            self.reader.pause(self.now);
            self.drive();
            self.reader.resume();
            return;
        }
        let Some(mut response) = self.response.take() else {
            return self.reader.handle(self.now, ReaderInput::Elapsed);
        };
        if self.faults && self.random.one_in(12) {
            // Complete pieces may still arrive before the cut.
            let cut = self.piece(&mut response);
            if response.has_head && !cut.is_empty() {
                self.reader.handle(self.now, ReaderInput::Piece(&cut));
            }
            return self
                .reader
                .handle(self.now, ReaderInput::Fault("cut".to_owned()));
        }
        if self.faults && self.random.one_in(40) {
            self.now += Duration::from_secs(100);
            self.response = Some(response);
            return self.reader.handle(self.now, ReaderInput::Elapsed);
        }
        if response.has_head {
            self.continue_response(response);
        } else {
            self.begin_response(response);
        }
    }

    fn begin_response(&mut self, mut response: SimulatedResponse) {
        if self.faults && self.random.one_in(15) {
            let status = [429, 500, 503, 502][usize::try_from(self.random.below(4)).unwrap()];
            self.reader.handle(
                self.now,
                ReaderInput::Head(StreamResponseHead {
                    status,
                    ..StreamResponseHead::default()
                }),
            );
            return self.reader.handle(self.now, ReaderInput::End);
        }
        let (data, control) = self.server.read(&response.at, response.cursor);
        let is_page = matches!(response.technique, Technique::Poll | Technique::LongPoll);
        if response.technique == Technique::LongPoll
            && data.is_empty()
            && !control.closed
            && !self.random.one_in(4)
        {
            self.response = Some(response);
            return;
        }
        let mut head = StreamResponseHead {
            status: 200,
            ..StreamResponseHead::default()
        };
        match response.technique {
            Technique::Sse => head.content_type = Some("text/event-stream".to_owned()),
            Technique::Ndjson => {
                head.content_type = Some("application/x-ndjson; charset=utf-8".to_owned());
            }
            Technique::Websocket => head.status = 101,
            Technique::Poll | Technique::LongPoll => {
                head.content_type = Some(self.server.content_type());
            }
        }
        head.base64 =
            response.technique == Technique::Sse && self.server.kind == ContentKind::Binary;
        response.has_head = true;
        if is_page {
            head.next = Some(control.next.to_string());
            head.cursor = control.cursor.map(|cursor| cursor.to_string());
            (head.up_to_date, head.closed) = (control.up_to_date == Some(true), control.closed);
            if self.server.kind == ContentKind::Json {
                tailwater_protocol::frame::push_array(&mut response.pending, &data);
            } else {
                response.pending = data;
            }
            response.ends = true;
        }
        self.reader.handle(self.now, ReaderInput::Head(head));
        self.response = Some(response);
    }

    fn continue_response(&mut self, mut response: SimulatedResponse) {
        if !response.ends {
            self.send_frames(&mut response);
        }
        let piece = self.piece(&mut response);
        if !piece.is_empty() {
            self.reader.handle(self.now, ReaderInput::Piece(&piece));
        }
        if response.pending.is_empty() && response.ends {
            return self.reader.handle(self.now, ReaderInput::End);
        }
        self.response = Some(response);
    }

    fn send_frames(&mut self, response: &mut SimulatedResponse) {
        let (data, control) = self.server.read(&response.at, response.cursor);
        let data = Some(data.as_slice()).filter(|data| !data.is_empty());
        let before = response.pending.len();
        if data.is_some() || control.closed || self.random.one_in(9) {
            match response.technique {
                Technique::Sse => {
                    sse::encode(&mut response.pending, self.server.kind, data, &control);
                }
                Technique::Ndjson
                | Technique::Websocket
                | Technique::Poll
                | Technique::LongPoll => {
                    ndjson::encode(&mut response.pending, self.server.kind, data, &control);
                }
            }
            response.at = control.next.to_string();
            // The server recycles the response at random.
            response.ends = control.closed || self.random.one_in(20);
        }
        if before == response.pending.len() && response.technique != Technique::Websocket {
            response
                .pending
                .extend_from_slice(if response.technique == Technique::Sse {
                    sse::HEARTBEAT
                } else {
                    ndjson::HEARTBEAT
                });
        }
    }

    /// What the network delivers next: any number of bytes, but whole lines for a WebSocket.
    fn piece(&mut self, response: &mut SimulatedResponse) -> Vec<u8> {
        let length = if response.technique == Technique::Websocket {
            response
                .pending
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1)
        } else {
            response
                .pending
                .len()
                .min(1 + usize::try_from(self.random.below(80)).unwrap())
        };
        response.pending.drain(..length).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_in_order_despite_network_faults(
        seed in any::<u64>(), kind in 0_usize..3, technique in 0_usize..5,
    ) {
        let kind = [ContentKind::Json, ContentKind::Text, ContentKind::Binary][kind];
        let mut simulation = Simulation::new(seed, kind, Technique::ALL[technique]);
        simulation.run();
        prop_assert_eq!(simulation.received.len(), simulation.server.stored.len(), "the reader ended before it had received everything");
        prop_assert_eq!(&simulation.next, simulation.reader.next());
    }
}
