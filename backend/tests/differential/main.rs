//! Sends the same random requests to two servers, one of which takes connections over from the HTTP
//! library. The status, headers and bodies of all responses, the ends of connections, and the
//! content of the streams afterwards must be equal.
//!
//! `settings.rs` describes how to repeat or extend a run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print the seed"
)]

mod compare;
mod framing;
mod generate;
#[path = "../in_process/mod.rs"]
mod in_process;
mod mutate;
mod normal;
mod recorded;
mod run;
mod script;
mod server_settings;
mod settings;
mod shrink;

use compare::{Difference, ServerPair, difference};
use futures_util::StreamExt;
use server_settings::set_takeover;
use settings::DifferentialSettings;
use std::collections::BTreeMap;
use std::time::Instant;

/// Concurrent sequences.
const AT_ONCE: usize = 24;
/// Sequences that one pair of servers receives. From about 16,000 on a server begins to forget names of deleted streams, which
/// raises the generation of all other names; as sequences run concurrently, two servers do so at different moments.
const SEQUENCES_PER_SERVER: u64 = 4_000;
/// Maximum number of differences that are shrunk.
const SHRUNK_MAX: usize = 48;
/// Kinds of responses that a long run must contain.
const KINDS: [&str; 10] = [
    "101", "200", "201", "204", "304", "400", "404", "409", "a frame", "closed",
];

#[tokio::test]
async fn connections_inside_and_outside_actix_get_equal_responses() {
    let settings = DifferentialSettings::from_environment();
    let DifferentialSettings {
        sequences, seed, ..
    } = settings;
    println!("differential: DIFFERENTIAL_SEED={seed} DIFFERENTIAL_SEQUENCES={sequences}");
    let begun = Instant::now();
    let server = |may_leave| server_settings::start(|config| set_takeover(config, may_leave));
    let servers = || ServerPair::new(server(true), server(false));
    let FoundDifferences { different, counts } = find(&settings, servers).await;
    let seconds = begun.elapsed().as_secs();
    println!(
        "differential: {sequences} sequences in {seconds} s, {} differ; responses: {counts:?}",
        different.len()
    );
    let report = report(&settings, &servers(), different).await;
    assert!(
        report.is_empty(),
        "DIFFERENTIAL_SEED={seed}: the responses differ\n{report}"
    );
    let missing: Vec<_> = KINDS
        .into_iter()
        .filter(|kind| !counts.contains_key(*kind))
        .collect();
    assert!(
        sequences < 1_000 || settings.is_narrowed() || missing.is_empty(),
        "kinds that never occurred: {missing:?}"
    );
}

#[tokio::test]
async fn a_server_that_differs_is_detected() {
    let settings = DifferentialSettings::plain(60, 1);
    let small = |config: &mut tailwater::config::Config| {
        set_takeover(config, false);
        config.body_max = 12;
    };
    let servers = || {
        ServerPair::new(
            server_settings::start(|config| set_takeover(config, false)),
            server_settings::start(small),
        )
    };
    let FoundDifferences { different, .. } = find(&settings, servers).await;
    let first = generate::sequence(&settings, *different.keys().next().expect("a difference"));
    let (shrunk, difference) = shrink::shrink(&settings, &servers(), &first)
        .await
        .expect("the same difference again");
    assert_eq!(shrunk.steps.len(), 1, "{shrunk}");
    assert!(difference.kind.ends_with("| 413"), "{}", difference.text);
}

/// Results of all sequences.
#[derive(Debug, Default)]
struct FoundDifferences {
    /// The numbers of the sequences whose responses differ, and the differences.
    different: BTreeMap<u64, Difference>,
    /// How often each kind of response occurred.
    counts: BTreeMap<String, u64>,
}

/// Runs all sequences, some of them concurrently, on as many pairs of servers as they need.
async fn find(
    settings: &DifferentialSettings,
    servers: impl Fn() -> ServerPair,
) -> FoundDifferences {
    let mut found = FoundDifferences::default();
    let mut numbers = settings.numbers();
    while !numbers.is_empty() {
        let end = numbers.end.min(numbers.start + SEQUENCES_PER_SERVER);
        let (servers, some) = (servers(), numbers.start..end);
        numbers.start = end;
        let runs = futures_util::stream::iter(some).map(async |number| {
            let sequence = generate::sequence(settings, number);
            (number, servers.run(settings, &sequence).await)
        });
        let mut runs = std::pin::pin!(runs.buffer_unordered(AT_ONCE));
        while let Some((number, [left, right])) = runs.next().await {
            if let Some(difference) = difference(&left, &right) {
                found.different.insert(number, difference);
            }
            for (_, seen) in &left {
                *found.counts.entry(compare::kind(seen)).or_default() += 1;
            }
        }
        println!(
            "differential: {end} sequences, {} differ",
            found.different.len()
        );
    }
    found
}

/// The shortest sequence for each kind of difference.
async fn report(
    settings: &DifferentialSettings,
    servers: &ServerPair,
    different: BTreeMap<u64, Difference>,
) -> String {
    let mut kinds: BTreeMap<String, (usize, usize, String)> = BTreeMap::new();
    let shrinks = futures_util::stream::iter(different.into_iter().take(SHRUNK_MAX)).map(
        async |(number, first)| {
            let sequence = generate::sequence(settings, number);
            match shrink::shrink(settings, servers, &sequence).await {
                Some((small, told)) => (
                    number,
                    format!("{:?}, {}", small.classes(), told.kind),
                    small,
                    told.text,
                ),
                None => (
                    number,
                    format!("not reproduced, {}", first.kind),
                    sequence,
                    first.text,
                ),
            }
        },
    );
    let mut shrinks = std::pin::pin!(shrinks.buffer_unordered(AT_ONCE));
    while let Some((number, kind, sequence, text)) = shrinks.next().await {
        let text = format!("sequence {number}, {kind}:\n{sequence}{text}");
        let size = text.len();
        let (count, shortest, best) = kinds.entry(kind).or_insert((0, usize::MAX, String::new()));
        *count += 1;
        if size < *shortest {
            (*shortest, *best) = (size, text);
        }
    }
    kinds
        .values()
        .map(|(count, _, text)| format!("\n=== {count} like {text}"))
        .collect()
}
