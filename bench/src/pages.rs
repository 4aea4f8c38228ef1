//! How fast a stream is read from its beginning, page after page; a store that survives a restart is restarted before, so that
//! nothing is read from the server's own memory.

use crate::server::{Server, Store};
use crate::table::Table;
use crate::wire::{JSON, Wire, create, request};
use crate::{Common, Fault};
use std::time::Instant;

/// Appended at once.
const BATCH_BYTES: usize = 1 << 20;
/// One message.
const MESSAGE_BYTES: usize = 1_000;

/// Measures every store, round after round.
pub(crate) fn run(common: &Common, megabytes: u64) -> Result<Table, Fault> {
    let megabytes = megabytes.clamp(1, 3_000);
    let title = format!(
        "A stream of {megabytes} MB read in pages, messages of {MESSAGE_BYTES} bytes, medians of {} rounds; in brackets the ratio to \
         the first column",
        common.rounds()
    );
    let mut table = Table::new(title, common.stores.iter().map(ToString::to_string).collect());
    for round in 1..=common.rounds() {
        for (column, &store) in common.stores.iter().enumerate() {
            let mut server = Server::start(common, store)?;
            let appended = fill(&server, megabytes)?;
            if store == Store::Disk {
                server.restart()?;
            }
            for (at, what) in [(0, "first reading"), (2, "second reading")] {
                let (before, begun) = (server.cpu()?, Instant::now());
                let read = read(&server)?;
                let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.cpu()? - before);
                if read != appended {
                    return Err(Fault::Void(format!("{appended} bytes were appended, {read} were read")));
                }
                #[allow(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
                let megabytes = read as f64 / 1e6;
                eprintln!("round {round}, {store}, {what}: {:.0} MB/s", megabytes / elapsed);
                table.add((at, format!("MB/s, {what}")), column, megabytes / elapsed);
                table.add(
                    (at + 1, format!("server CPU per MB, us, {what}")),
                    column,
                    cpu.as_secs_f64() * 1e6 / megabytes,
                );
            }
        }
    }
    Ok(table)
}

/// Appends so many megabytes; returns the bytes of all messages.
fn fill(server: &Server, megabytes: u64) -> Result<u64, Fault> {
    let mut wire = Wire::open(server.address)?;
    create(&mut wire)?;
    let message = format!("\"{}\"", "m".repeat(MESSAGE_BYTES - 2));
    let count = BATCH_BYTES / MESSAGE_BYTES;
    let body = format!("[{}]", vec![message; count].join(","));
    let bytes = request("POST", "", JSON, body.as_bytes());
    let batch = (count * MESSAGE_BYTES) as u64;
    let batches = megabytes * 1_000_000 / batch;
    for _ in 0..batches {
        wire.send(&bytes)?;
        wire.head()?.expect(204)?;
    }
    Ok(batches * batch)
}

/// Reads everything once; returns the bytes of all messages.
fn read(server: &Server) -> Result<u64, Fault> {
    let mut wire = Wire::open(server.address)?;
    let (mut offset, mut total) = (String::from("-1"), 0);
    loop {
        wire.send(&request("GET", &format!("?offset={offset}"), "", b""))?;
        let head = wire.head()?.expect(200)?;
        // Brackets and commas are not messages: of `[a,b]` one byte for each message and one more.
        let (mut commas, mut quotes) = (0_u64, 0_u64);
        let length = wire.body(&head, |piece| {
            commas += memchr::memchr_iter(b',', piece).count() as u64;
            quotes += memchr::memchr_iter(b'"', piece).count() as u64;
        })?;
        if quotes > 0 && commas + 1 != quotes / 2 {
            return Err(Fault::Void(format!("a page has {quotes} quotes and {commas} commas")));
        }
        total += length - commas - 2;
        if head.value("stream-up-to-date").is_some() {
            return Ok(total);
        }
        match head.value("stream-next-offset") {
            Some(next) => next.clone_into(&mut offset),
            None => return Err(Fault::Server("a page without Stream-Next-Offset".into())),
        }
    }
}
