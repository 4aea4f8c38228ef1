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
mod crash_run;
mod lifecycle;
mod plan;
#[path = "../process/mod.rs"]
mod process;
mod reader;
mod stream;
mod writer;

use crash_run::CrashRun;
use plan::{CrashSettings, POINTS, RoundEnd};
use process::ServerFolder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stream::CrashCounts;
use tailwater_client::drivers::native::NativeClient;

/// Server runs on one data directory.
const RUNS_PER_DIRECTORY: u64 = 10;

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
    fn add(&mut self, counts: &CrashCounts) {
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
        let mut crash_run = CrashRun::new(place.clone(), "disk", client.clone(), random.random());
        let mut lives = 0;
        while lives < RUNS_PER_DIRECTORY && settings.goes_on(total.rounds) {
            let round_end = RoundEnd::of(total.rounds, &mut random);
            runtime
                .block_on(crash_run.run_once(&round_end))
                .unwrap_or_else(|wrong| fail(&settings, &total, &round_end, &crash_run, &wrong));
            (lives, total.rounds) = (lives + 1, total.rounds + 1);
            total.add(&std::mem::take(&mut crash_run.counts));
            if total.rounds.is_multiple_of(20) {
                total.say(begun);
            }
        }
        let last = RoundEnd::Stop(Duration::ZERO);
        runtime
            .block_on(crash_run.end())
            .unwrap_or_else(|wrong| fail(&settings, &total, &last, &crash_run, &wrong));
        total.add(&crash_run.counts);
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

fn fail(
    settings: &CrashSettings,
    total: &Total,
    round_end: &RoundEnd,
    crash_run: &CrashRun,
    wrong: &str,
) -> ! {
    let (seed, round) = (settings.seed, total.rounds + 1);
    panic!(
        "round {round}, whose planned crash was {round_end:?}: {wrong}\n\nthe last lines of the servers' log:\n{}\n\n{}\n\
         repeat with: cargo xtask crash --seed {seed} --rounds {round}",
        crash_run.log_tail(),
        crash_run.data_location(),
    );
}

#[test]
fn the_crash_test_reports_data_that_a_memory_store_loses() {
    let (runtime, client, place) = (runtime(), client(), ServerFolder::new("crash-forgets"));
    let mut crash_run = CrashRun::new(place.clone(), "memory", client, 7);
    let round_end = RoundEnd::Kill(Duration::from_millis(200));
    // The first run creates streams, and writers write to them from the second on; on a slow
    // machine more runs may be needed.
    let lost = (0..20).find_map(|_| runtime.block_on(crash_run.run_once(&round_end)).err());
    assert!(
        lost.as_ref().is_some_and(|wrong| wrong.contains("is lost")),
        "{lost:?}"
    );
    place.remove();
}
