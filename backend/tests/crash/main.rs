//! Writers append over TCP while the server is killed at random moments and at every point of a
//! commit. After each restart everything that was acknowledged must be read by every technique:
//! nothing lost, nothing twice, in order.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `TAILWATER_CRASH_ROUNDS` | number of server runs | 200, or 20 without the feature `faults` |
//! | `TAILWATER_CRASH_FOR` | duration instead (`1h`) | |
//! | `TAILWATER_CRASH_SEED` | seed of bodies, crashes and faults; the timing of threads differs | random, printed |
//!
//! `cargo xtask crash` sets them. With the feature `faults`, every other round aborts the server at
//! a point of a commit, or makes that point fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and long ones print their progress"
)]

mod body;
mod check;
mod keeper;
mod plan;
#[path = "../process/mod.rs"]
mod process;
mod reader;
mod story;
mod stream;
mod writer;

use plan::{CrashSettings, Death, POINTS};
use process::ServerFolder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use story::Story;
use stream::StoryCounts;
use tailwater_client::drivers::native::NativeClient;

/// Server runs on one data directory.
const LIVES: u64 = 10;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn client() -> NativeClient {
    // Only the first call installs the provider. There is no TLS here, but the client requires one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    NativeClient::new().unwrap()
}

/// Counts of a whole test run.
#[derive(Debug, Default)]
struct Total {
    rounds: u64,
    struck: BTreeMap<&'static str, u64>,
    acknowledged: u64,
    unknown: [u64; 2],
    closed: u64,
    bytes: u64,
}

impl Total {
    fn add(&mut self, counts: &StoryCounts) {
        for point in &counts.struck {
            *self.struck.entry(point).or_default() += 1;
        }
        self.acknowledged += counts.acknowledged;
        self.unknown[0] += counts.unknown_there;
        self.unknown[1] += counts.unknown_absent;
        self.closed += counts.closed;
        self.bytes += counts.bytes;
    }

    fn say(&self, begun: Instant) {
        let Self {
            rounds,
            struck,
            acknowledged,
            unknown: [there, absent],
            closed,
            bytes,
        } = self;
        let (kib, seconds) = (bytes / 1024, begun.elapsed().as_secs());
        println!(
            "crash: {rounds} rounds in {seconds} s: {acknowledged} appends acknowledged and found, {kib} KiB; of those \
             without an answer {there} were there and {absent} not; {closed} streams closed; aborted {struck:?}"
        );
    }
}

#[test]
fn acknowledged_appends_survive_every_crash_once_and_in_order() {
    let settings = CrashSettings::from_environment();
    println!("crash: seed {}", settings.seed);
    let (runtime, client, begun) = (runtime(), client(), Instant::now());
    let mut random = SmallRng::seed_from_u64(settings.seed);
    let mut total = Total::default();
    while settings.goes_on(total.rounds) {
        let place = ServerFolder::new(&format!("crash-{}", total.rounds));
        let mut story = Story::new(place.clone(), "disk", client.clone(), random.random());
        let mut lives = 0;
        while lives < LIVES && settings.goes_on(total.rounds) {
            let death = Death::of(total.rounds, &mut random);
            runtime
                .block_on(story.live(&death))
                .unwrap_or_else(|wrong| fail(&settings, &total, &death, &story, &wrong));
            (lives, total.rounds) = (lives + 1, total.rounds + 1);
            total.add(&std::mem::take(&mut story.counts));
            if total.rounds.is_multiple_of(20) {
                total.say(begun);
            }
        }
        let last = Death::Stop(Duration::ZERO);
        runtime
            .block_on(story.end())
            .unwrap_or_else(|wrong| fail(&settings, &total, &last, &story, &wrong));
        total.add(&story.counts);
        place.remove();
    }
    total.say(begun);
    assert!(
        total.acknowledged > total.rounds && total.closed > 0,
        "too few appends were acknowledged: {total:?}"
    );
    let points = &POINTS[..if cfg!(feature = "faults") { 5 } else { 0 }];
    assert!(
        total.rounds < 100 || points.iter().all(|it| total.struck.contains_key(it)),
        "not every point of a commit was reached: {total:?}"
    );
    assert!(
        total.rounds < 100 || total.unknown.iter().all(|count| *count > 0),
        "no crash interrupted an append: {total:?}"
    );
}

fn fail(settings: &CrashSettings, total: &Total, death: &Death, story: &Story, wrong: &str) -> ! {
    let (seed, round) = (settings.seed, total.rounds + 1);
    panic!(
        "round {round}, whose planned crash was {death:?}: {wrong}\n\nthe last lines of the servers' log:\n{}\n\n{}\n\
         repeat with: cargo xtask crash --seed {seed} --rounds {round}",
        story.last_words(),
        story.data_location(),
    );
}

#[test]
fn a_store_that_loses_data_fails_the_crash_test() {
    let (runtime, client, place) = (runtime(), client(), ServerFolder::new("crash-forgets"));
    let mut story = Story::new(place.clone(), "memory", client, 7);
    let death = Death::Kill(Duration::from_millis(200));
    // The first run creates streams, and writers write to them from the second on; on a slow
    // machine more runs may be needed.
    let lost = (0..20).find_map(|_| runtime.block_on(story.live(&death)).err());
    assert!(
        lost.as_ref().is_some_and(|wrong| wrong.contains("is lost")),
        "{lost:?}"
    );
    place.remove();
}
