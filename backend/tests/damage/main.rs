//! Damaged files and a full file system, through the binary and HTTP. The server refuses to start
//! with a reason, serves the result of a whole number of commits, or reports the damage. It never
//! serves wrong bytes, and loses nothing when the disk is full.
//!
//! `TAILWATER_DAMAGE_SEED` repeats a run, `TAILWATER_DAMAGE_TRIALS` sets the number of damages for
//! each store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print what they skip"
)]

mod damaged_files;
mod full_disk;
mod open_files;
#[path = "../process/mod.rs"]
mod process;

use process::durable_server::{DurableServer, JSON, TEXT};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Instant;

/// The acknowledged appends in order: the stream, and the length of its content afterwards.
type AppendHistory = Vec<(&'static str, usize)>;

/// The expected content of a store.
#[derive(Debug, Default)]
struct ExpectedStreams {
    /// The content of each stream as readers get it, without brackets for JSON streams.
    content: BTreeMap<&'static str, String>,
    history: AppendHistory,
}

impl ExpectedStreams {
    async fn append(&mut self, server: &DurableServer, stream: &'static str, body: &str) {
        let kind = if stream == "json" { JSON } else { TEXT };
        if !self.content.contains_key(stream) {
            server.put(stream, &kind, "").await.expect(201);
            self.content.insert(stream, String::new());
            self.history.push((stream, 0));
        }
        server.post(stream, &kind, body).await.expect(204);
        let content = self.content.get_mut(stream).unwrap();
        content.push_str(body);
        if stream == "json" {
            content.push(',');
        }
        self.history.push((stream, content.len()));
    }

    /// The number of acknowledged changes that result in the lengths found; unreadable streams
    /// match any length.
    ///
    /// # Errors
    /// When no number of changes, in their order, results in these lengths.
    fn changes(&self, found: &BTreeMap<&'static str, FoundStream>) -> Result<usize, String> {
        let mut lengths: BTreeMap<&str, Option<usize>> = BTreeMap::new();
        let agrees = |lengths: &BTreeMap<&str, Option<usize>>| {
            found.iter().all(|(stream, found)| match found {
                FoundStream::Whole(length) => {
                    lengths.get(stream).copied().flatten() == Some(*length)
                }
                FoundStream::Missing => !lengths.contains_key(stream),
                FoundStream::Damaged => true,
            })
        };
        let mut best = agrees(&lengths).then_some(0);
        for (count, (stream, length)) in self.history.iter().enumerate() {
            lengths.insert(stream, Some(*length));
            best = if agrees(&lengths) {
                Some(count + 1)
            } else {
                best
            };
        }
        best.ok_or_else(|| format!("no number of commits results in {found:?}"))
    }
}

/// What is read of a stream.
#[derive(Debug)]
enum FoundStream {
    /// The number of bytes, all of them correct.
    Whole(usize),
    Missing,
    /// It, or a part of it, is reported as damaged.
    Damaged,
}

/// A few small appends to two streams, so that everything is in the journal.
async fn small(server: &DurableServer, known: &mut ExpectedStreams, random: &mut SmallRng) {
    for number in 0..40 {
        let filler = "x".repeat(random.random_range(0..600));
        known
            .append(
                server,
                "json",
                &format!("{{\"n\":{number},\"s\":\"{filler}\"}}"),
            )
            .await;
        known
            .append(server, "text", &format!("{number}:{filler}\n"))
            .await;
    }
}

/// Enough that most of it is in tables.
async fn large(server: &DurableServer, known: &mut ExpectedStreams, random: &mut SmallRng) {
    small(server, known, random).await;
    for number in 0..56 {
        let letters: String =
            std::iter::repeat_with(|| char::from(random.random_range(b'a'..=b'z')))
                .take(1 << 10)
                .collect();
        known
            .append(
                server,
                "large",
                &format!("{number}:{}", letters.repeat(700)),
            )
            .await;
        known.append(server, "text", &format!("{number};")).await;
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

fn seeded() -> SmallRng {
    let seed = setting("TAILWATER_DAMAGE_SEED", rand::random::<u32>().into());
    println!("damage: TAILWATER_DAMAGE_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// Reads a stream to its end or to the damage; every byte must be correct.
async fn read(
    server: &DurableServer,
    stream: &'static str,
    content: &str,
) -> Result<FoundStream, String> {
    let mut got = 0;
    loop {
        let page = server.get(&format!("{stream}?offset={got:016}")).await;
        match page.status {
            200 => {}
            404 if got == 0 && page.problem().kind == "#no-stream" => {
                return Ok(FoundStream::Missing);
            }
            500 if page.problem().kind == "#damaged" => return Ok(FoundStream::Damaged),
            _ => return Err(format!("{stream} at {got}: {page:?}")),
        }
        let text = page.text();
        let data = match text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some("") => String::new(),
            Some(inner) if stream == "json" => format!("{inner},"),
            _ => text.to_owned(),
        };
        if !content[got..].starts_with(&data) {
            return Err(format!(
                "{stream} at {got}: {} bytes that were never written there",
                data.len()
            ));
        }
        got += data.len();
        if page.next_offset() != format!("{got:016}") {
            return Err(format!(
                "{stream}: {got} bytes received, but the returned offset is {}",
                page.next_offset()
            ));
        }
        if page.is("stream-up-to-date") {
            return Ok(FoundStream::Whole(got));
        }
        if data.is_empty() {
            return Err(format!("{stream} at {got}: an empty page before the last"));
        }
    }
}

async fn until_refused(
    server: &DurableServer,
    known: &mut ExpectedStreams,
    piece: &str,
) -> tailwater_harness::Response {
    for _ in 0..2_000 {
        let answer = server.post("text", &TEXT, piece).await;
        if answer.status != 204 {
            return answer;
        }
        let content = known.content.get_mut("text").unwrap();
        content.push_str(piece);
        known.history.push(("text", content.len()));
    }
    panic!("never full");
}

/// Appends until an append succeeds, or the server asks for a restart.
async fn until_accepted(server: &DurableServer, known: &mut ExpectedStreams) -> &'static str {
    let begun = Instant::now();
    while begun.elapsed() < process::DEADLINE {
        let answer = server.post("json", &JSON, "{\"again\":1}").await;
        match answer.status {
            204 => {
                let content = known.content.get_mut("json").unwrap();
                content.push_str("{\"again\":1},");
                return "it continues";
            }
            503 if answer.text().contains("restart") => return "it asks for a restart",
            503 | 507 => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            _ => panic!("{answer:?}"),
        }
    }
    panic!("it neither accepts appends again nor asks for a restart");
}

async fn check(server: &DurableServer, known: &ExpectedStreams) {
    for (stream, content) in &known.content {
        match read(server, stream, content).await {
            Ok(FoundStream::Whole(length)) => {
                assert_eq!(length, content.len(), "{stream} is not complete");
            }
            other => panic!("{stream}: {other:?}"),
        }
    }
}
