//! Appends per second to one stream by 1, 16, 64 connections, while one reader follows and checks every message.

use crate::server::Server;
use crate::table::Table;
use crate::wire::{JSON, Wire, create, request};
use crate::{Common, Fault};
use memchr::memmem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tailwater_lab::histogram::Latencies;

/// Added to numbers, so that all have as many digits.
const WRITER_BASE: usize = 1_000;
const COUNT_BASE: u64 = 1_000_000_000;

/// Measures every store with every number of connections, round after round.
pub(crate) fn run(common: &Common, connections: &[usize], payload: usize) -> Result<Table, Fault> {
    let title = format!(
        "Appends of {payload} bytes for {} s, medians of {} rounds, --sync {}; in brackets the ratio to the first column",
        common.seconds,
        common.rounds(),
        common.sync
    );
    let mut table = Table::new(title, common.stores.iter().map(ToString::to_string).collect());
    for round in 1..=common.rounds() {
        for &writers in connections {
            for (column, &store) in common.stores.iter().enumerate() {
                let server = Server::start(common, store)?;
                let run = measure(&server, common.duration(), writers.clamp(1, 1024), payload)?;
                eprintln!("round {round}, {writers} connections, {store}: {:.0} appends/s", run.per_second);
                let mut add = |at: usize, what: &str, figure: f64| {
                    table.add((writers * 8 + at, format!("{what}, {writers} connections")), column, figure);
                };
                add(0, "appends/s", run.per_second);
                add(1, "p50, ms", run.latencies.p50_us().unwrap_or(f64::NAN) / 1e3);
                add(2, "p99, ms", run.latencies.p99_us().unwrap_or(f64::NAN) / 1e3);
                add(3, "server CPU per append, us", run.cpu_us);
            }
        }
    }
    Ok(table)
}

struct Run {
    per_second: f64,
    cpu_us: f64,
    latencies: Latencies,
}

#[allow(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn measure(server: &Server, duration: Duration, writers: usize, payload: usize) -> Result<Run, Fault> {
    create(&mut Wire::open(server.address)?)?;
    let follower = thread::spawn({
        let mut reader = Reader::open(server.address, writers)?;
        move || reader.follow().map(|()| reader)
    });
    let (stop, before, begun) = (&AtomicBool::new(false), server.cpu()?, Instant::now());
    let written: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> =
            (0..writers).map(|number| scope.spawn(move || write(server.address, number, payload, stop))).collect();
        thread::sleep(duration);
        stop.store(true, Ordering::Relaxed);
        all.into_iter()
            .map(|writer| writer.join().unwrap_or_else(|_| Err(Fault::Server("a writer panicked".into()))))
            .collect()
    });
    let (elapsed, cpu) = (begun.elapsed(), server.cpu()? - before);
    let written: Vec<(u64, Latencies)> = written.into_iter().collect::<Result<_, _>>()?;
    let mut closing = Wire::open(server.address)?;
    closing.send(&request("POST", "", "Stream-Closed: true\r\n", b""))?;
    closing.head()?.expect(204)?;
    let reader = follower.join().map_err(|_| Fault::Server("the reader panicked".into()))??;
    let mut latencies = Latencies::new();
    for (number, (count, own)) in written.iter().enumerate() {
        if reader.next[number] != *count {
            return Err(Fault::Void(format!(
                "writer {number} appended {count}, the reader saw {}",
                reader.next[number]
            )));
        }
        latencies.merge(own);
    }
    let appends: u64 = written.iter().map(|(count, _)| count).sum();
    Ok(Run {
        per_second: appends as f64 / elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / appends as f64,
        latencies,
    })
}

/// One append after the other until told to stop; how many, and how long each took.
fn write(address: SocketAddr, writer: usize, payload: usize, stop: &AtomicBool) -> Result<(u64, Latencies), Fault> {
    let mut wire = Wire::open(address)?;
    let (mut count, mut latencies) = (0, Latencies::new());
    while !stop.load(Ordering::Relaxed) {
        let mut body = format!("{{\"w\":{},\"n\":{},\"x\":\"", WRITER_BASE + writer, COUNT_BASE + count).into_bytes();
        body.resize(payload.max(body.len() + 2) - 2, b'x');
        body.extend_from_slice(b"\"}");
        let bytes = request("POST", "", JSON, &body);
        let begun = Instant::now();
        wire.send(&bytes)?;
        wire.head()?.expect(204)?;
        latencies.record_us(begun.elapsed().as_secs_f64() * 1e6);
        count += 1;
    }
    Ok((count, latencies))
}

/// Follows the stream to its end and knows the next number of each writer.
struct Reader {
    wire: Wire,
    address: SocketAddr,
    rest: Vec<u8>,
    next: Vec<u64>,
    closed: bool,
    offset: String,
}

impl Reader {
    fn open(address: SocketAddr, writers: usize) -> Result<Self, Fault> {
        let wire = Wire::open(address)?;
        Ok(Self { wire, address, rest: Vec::new(), next: vec![0; writers], closed: false, offset: "-1".into() })
    }

    fn follow(&mut self) -> Result<(), Fault> {
        while !self.closed {
            self.wire = Wire::open(self.address)?;
            self.rest.clear();
            self.wire.send(&request("GET", &format!("?live=ndjson&offset={}", self.offset), "", b""))?;
            self.wire.head()?.expect(200)?;
            loop {
                let chunk = self.wire.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                self.rest.extend_from_slice(chunk);
                while let Some(end) = memchr::memchr(b'\n', &self.rest) {
                    let line: Vec<u8> = self.rest.drain(..=end).collect();
                    self.line(&line)?;
                }
            }
        }
        Ok(())
    }

    /// One line of NDJSON: every message's writer and number, in order.
    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        for at in memmem::find_iter(line, b"{\"w\":") {
            let number = |from: usize, digits: usize| {
                let text = line.get(at + from..at + from + digits).and_then(|bytes| std::str::from_utf8(bytes).ok());
                text.and_then(|text| text.parse::<u64>().ok())
            };
            let writer = number(5, 4).and_then(|writer| usize::try_from(writer).ok()?.checked_sub(WRITER_BASE));
            let expected = writer.and_then(|writer| self.next.get_mut(writer));
            match (number(14, 10), expected) {
                (Some(came), Some(expected)) if came == COUNT_BASE + *expected => *expected += 1,
                (came, expected) => {
                    return Err(Fault::Void(format!(
                        "writer {writer:?}: expected message {expected:?}, came {came:?}"
                    )));
                }
            }
        }
        let field = b"\"streamNextOffset\":\"";
        if let Some(at) = memmem::rfind(line, field) {
            let token = line[at + field.len()..].split(|byte| *byte == b'"').next().unwrap_or_default();
            self.offset = String::from_utf8_lossy(token).into_owned();
        }
        self.closed |= memmem::rfind(line, b"\"streamClosed\":true").is_some();
        Ok(())
    }
}
