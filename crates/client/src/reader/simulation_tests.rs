//! The reader with a model of a server on a bad network: nothing is lost, whatever is cut, delayed,
//! refused or changed.

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
struct SimulatedWire {
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
    wire: Option<SimulatedWire>,
    got: Vec<u8>,
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
            wire: None,
            got: Vec::new(),
            next,
            finished: false,
            faults: true,
        }
    }

    fn run(&mut self) {
        for step in 0..6_000 {
            self.act();
            if self.finished {
                return;
            }
            self.faults = step < 3_000;
            if self.faults && self.random.one_in(3) {
                self.server.append();
            }
            self.server.closed = step > 3_500;
            self.now += Duration::from_millis(self.random.below(400));
            self.happen();
        }
        panic!(
            "the closed stream's end was never reached; at {}",
            self.reader.next()
        );
    }

    /// The driver's part: performs what the reader requests until it waits.
    fn act(&mut self) {
        for _ in 0..100 {
            match self.reader.poll(self.now) {
                ReaderAction::Abort => self.wire = None,
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
                    self.wire = Some(SimulatedWire {
                        technique: request.technique,
                        at,
                        cursor,
                        has_head,
                        pending,
                        ends,
                    });
                }
                ReaderAction::Report(FollowReport::Batch { batch, .. }) => self.take(&batch),
                ReaderAction::Report(FollowReport::Finished { fault, .. }) => {
                    assert_eq!(fault, None);
                    self.finished = true;
                }
                ReaderAction::Report(_) => {}
                ReaderAction::Wait(_) | ReaderAction::Done => return,
            }
        }
        panic!("the reader never waits");
    }

    fn take(&mut self, batch: &ReceivedBatch) {
        match &batch.data {
            Data::Json(messages) => {
                for message in messages {
                    self.got
                        .extend_from_slice(message.replace('\n', " ").as_bytes());
                    self.got.push(b',');
                }
            }
            Data::Text(text) => self.got.extend_from_slice(text.as_bytes()),
            Data::Binary(bytes) => self.got.extend_from_slice(bytes),
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
            so_far.starts_with(&self.got),
            "lost, repeated or out of order at {}",
            batch.next
        );
        assert_eq!(
            batch.next,
            Offset::new(self.got.len() as u64).unwrap().into(),
            "the offset fits the data before it"
        );
    }

    /// One action of the network, the server or the caller.
    fn happen(&mut self) {
        if self.faults && self.random.one_in(25) {
            let technique = Technique::ALL[usize::try_from(self.random.below(5)).unwrap()];
            self.reader.change(self.now, technique);
            return;
        }
        if self.faults && self.random.one_in(60) {
            self.reader.pause(self.now);
            self.act();
            self.reader.resume();
            return;
        }
        let Some(mut wire) = self.wire.take() else {
            return self.reader.handle(self.now, ReaderInput::Elapsed);
        };
        if self.faults && self.random.one_in(12) {
            // Complete pieces may still arrive before the cut.
            let cut = self.piece(&mut wire);
            if wire.has_head && !cut.is_empty() {
                self.reader.handle(self.now, ReaderInput::Piece(&cut));
            }
            return self
                .reader
                .handle(self.now, ReaderInput::Fault("cut".to_owned()));
        }
        if self.faults && self.random.one_in(40) {
            self.now += Duration::from_secs(100);
            self.wire = Some(wire);
            return self.reader.handle(self.now, ReaderInput::Elapsed);
        }
        if wire.has_head {
            self.go_on(wire);
        } else {
            self.begin(wire);
        }
    }

    fn begin(&mut self, mut wire: SimulatedWire) {
        if self.faults && self.random.one_in(15) {
            let status = [429, 500, 503, 502][usize::try_from(self.random.below(4)).unwrap()];
            self.reader.handle(
                self.now,
                ReaderInput::Head(AnswerHead {
                    status,
                    ..AnswerHead::default()
                }),
            );
            return self.reader.handle(self.now, ReaderInput::End);
        }
        let (data, control) = self.server.read(&wire.at, wire.cursor);
        let is_page = matches!(wire.technique, Technique::Poll | Technique::LongPoll);
        if wire.technique == Technique::LongPoll
            && data.is_empty()
            && !control.closed
            && !self.random.one_in(4)
        {
            self.wire = Some(wire);
            return;
        }
        let mut head = AnswerHead {
            status: 200,
            ..AnswerHead::default()
        };
        match wire.technique {
            Technique::Sse => head.content_type = Some("text/event-stream".to_owned()),
            Technique::Ndjson => {
                head.content_type = Some("application/x-ndjson; charset=utf-8".to_owned());
            }
            Technique::Websocket => head.status = 101,
            Technique::Poll | Technique::LongPoll => {
                head.content_type = Some(self.server.content_type());
            }
        }
        head.base64 = wire.technique == Technique::Sse && self.server.kind == ContentKind::Binary;
        wire.has_head = true;
        if is_page {
            head.next = Some(control.next.to_string());
            head.cursor = control.cursor.map(|cursor| cursor.to_string());
            (head.up_to_date, head.closed) = (control.up_to_date == Some(true), control.closed);
            if self.server.kind == ContentKind::Json {
                tailwater_protocol::frame::push_array(&mut wire.pending, &data);
            } else {
                wire.pending = data;
            }
            wire.ends = true;
        }
        self.reader.handle(self.now, ReaderInput::Head(head));
        self.wire = Some(wire);
    }

    fn go_on(&mut self, mut wire: SimulatedWire) {
        if !wire.ends {
            self.send_frames(&mut wire);
        }
        let piece = self.piece(&mut wire);
        if !piece.is_empty() {
            self.reader.handle(self.now, ReaderInput::Piece(&piece));
        }
        if wire.pending.is_empty() && wire.ends {
            return self.reader.handle(self.now, ReaderInput::End);
        }
        self.wire = Some(wire);
    }

    fn send_frames(&mut self, wire: &mut SimulatedWire) {
        let (data, control) = self.server.read(&wire.at, wire.cursor);
        let data = Some(data.as_slice()).filter(|data| !data.is_empty());
        let before = wire.pending.len();
        if data.is_some() || control.closed || self.random.one_in(9) {
            match wire.technique {
                Technique::Sse => sse::encode(&mut wire.pending, self.server.kind, data, &control),
                _ => ndjson::encode(&mut wire.pending, self.server.kind, data, &control),
            }
            wire.at = control.next.to_string();
            // Recycled at random.
            wire.ends = control.closed || self.random.one_in(20);
        }
        if before == wire.pending.len() && wire.technique != Technique::Websocket {
            wire.pending
                .extend_from_slice(if wire.technique == Technique::Sse {
                    sse::HEARTBEAT
                } else {
                    ndjson::HEARTBEAT
                });
        }
    }

    /// What the network delivers next: any number of bytes, but whole lines for a WebSocket.
    fn piece(&mut self, wire: &mut SimulatedWire) -> Vec<u8> {
        let length = if wire.technique == Technique::Websocket {
            wire.pending
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1)
        } else {
            wire.pending
                .len()
                .min(1 + usize::try_from(self.random.below(80)).unwrap())
        };
        wire.pending.drain(..length).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_in_order_despite_network_faults(
        seed in any::<u64>(), kind in 0_usize..3, technique in 0_usize..5,
    ) {
        let kind = [ContentKind::Json, ContentKind::Text, ContentKind::Binary][kind];
        let mut world = Simulation::new(seed, kind, Technique::ALL[technique]);
        world.run();
        prop_assert_eq!(world.got.len(), world.server.stored.len(), "the end was reached before everything had come");
        prop_assert_eq!(&world.next, world.reader.next());
    }
}
