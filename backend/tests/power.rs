//! Simulated loss of power: what was written to the journal and not synced, according to the
//! server's system calls, is removed, and everything that was acknowledged must still be there.
//!
//! It needs `strace`. If that is missing or not permitted, the tests print so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print what they skip"
)]

mod process;

use process::durable_server::{DurableServer, TEXT};
use process::{DEADLINE, ServerFolder};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tailwater_protocol::headers;

const WRITERS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_were_synced_before() {
    for round in 0..3 {
        let Some((acknowledged, found)) =
            lose_power("power-always", "always", 300 + 200 * round).await
        else {
            return;
        };
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        println!(
            "power: {} acknowledged, {} found, {} lost",
            acknowledged.len(),
            found.len(),
            lost.len()
        );
        assert!(lost.is_empty(), "acknowledged, but lost: {lost:?}");
        assert!(acknowledged.len() > 5, "too few lines were acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsynced_writes_are_lost_and_the_loss_is_detected() {
    let Some((acknowledged, found)) = lose_power("power-never", "never", 300).await else {
        return;
    };
    println!(
        "power: without syncs {} acknowledged, {} found",
        acknowledged.len(),
        found.len()
    );
    assert!(
        acknowledged.difference(&found).next().is_some(),
        "removing unsynced writes loses nothing"
    );
}

/// Writes for some time, kills the server, removes what it had not synced, and starts it again.
///
/// - Returns the acknowledged lines and the lines found; `None` if this is not possible here.
async fn lose_power(
    name: &str,
    sync: &'static str,
    for_ms: u64,
) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let mut server = DurableServer::new(name);
    // One stream exists before, so that there is something to recover.
    server.put("before", &TEXT, "x").await.expect(201);
    server.process.take().unwrap().stop(DEADLINE).unwrap();
    let used = journals(&server.folder);
    let trace = server.folder.log.with_file_name("trace");
    server.options.sync = sync;
    server.options.through = [
        "strace",
        "-f",
        "-y",
        "-s",
        "0",
        "-e",
        "trace=write,writev,pwrite64,fsync,fdatasync",
        "-o",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([trace.display().to_string()])
    .collect();
    if !can_trace(&trace) {
        return None;
    }
    server.start();
    server.put("it", &TEXT, "").await.expect(201);
    let acknowledged = write(&server, Duration::from_millis(for_ms)).await;
    let calls = fs::read_to_string(&trace).unwrap();
    for (journal, synced) in synced(&calls, &used) {
        let bytes = fs::read(&journal).unwrap();
        let (length, kept) = (bytes.len(), &bytes[..synced.min(bytes.len())]);
        let rest = vec![0; length - kept.len()];
        fs::write(&journal, [kept, &rest].concat()).unwrap();
    }
    server.options.through.clear();
    server.start();
    server.get("before").await.expect(200);
    let found = found(&server).await;
    server.kill();
    Some((acknowledged, found))
}

/// All lines of the stream, page by page.
async fn found(server: &DurableServer) -> BTreeSet<String> {
    let (mut found, mut at) = (BTreeSet::new(), "-1".to_owned());
    loop {
        let page = server.get(&format!("it?offset={at}")).await;
        if page.status == 404 && found.is_empty() {
            return found;
        }
        let page = page.expect(200);
        found.extend(page.text().lines().map(str::to_owned));
        if page.is(headers::STREAM_UP_TO_DATE) {
            return found;
        }
        at = page.next_offset();
    }
}

fn can_trace(trace: &Path) -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-y", "-o"])
        .arg(trace)
        .arg("true")
        .output();
    let can = tried.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        println!("power: SKIPPED, strace is missing or not permitted: {tried:?}");
    }
    can
}

/// Lets writers append lines until the server is killed; returns the acknowledged ones.
async fn write(server: &DurableServer, time: Duration) -> BTreeSet<String> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .build()
        .unwrap();
    for writer in 0..WRITERS {
        let (stop, http, url) = (
            Arc::clone(&stop),
            http.clone(),
            server.folder.url("/v1/stream/it"),
        );
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0.. {
                let line = format!("{writer}.{number}:{}", "x".repeat(number % 7 * 300));
                let request = http
                    .post(&url)
                    .header("content-type", "text/plain")
                    .body(line.clone() + "\n");
                match request.send().await {
                    Ok(answer) if answer.status() == 204 => acknowledged.push(line),
                    _ => break,
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            acknowledged
        });
    }
    tokio::time::sleep(time).await;
    kill_traced(server.process.as_ref().unwrap().id());
    stop.store(true, Ordering::Relaxed);
    let acknowledged = writers.join_all().await.into_iter().flatten().collect();
    wait_until_gone(server);
    acknowledged
}

/// Kills the child of `strace`, which then writes its output and ends.
fn kill_traced(strace: u32) {
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    let server = children
        .split_whitespace()
        .next()
        .expect("the server's process");
    assert!(
        Command::new("kill")
            .args(["-9", server])
            .status()
            .unwrap()
            .success()
    );
}

fn wait_until_gone(server: &DurableServer) {
    let strace = server.process.as_ref().unwrap().id();
    let begun = Instant::now();
    let state = || fs::read_to_string(format!("/proc/{strace}/stat")).unwrap_or_default();
    // A child that has not been waited for is a zombie.
    while !(state().is_empty() || state().contains(") Z ")) {
        assert!(begun.elapsed() < DEADLINE, "strace does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The journals, and the length of each that is written.
fn journals(place: &ServerFolder) -> BTreeMap<PathBuf, usize> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(place.data.join("db")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let bytes = fs::read(&path).unwrap();
            let end = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            found.insert(path.canonicalize().unwrap(), end);
        }
    }
    assert!(!found.is_empty(), "no journal in {}", place.data.display());
    found
}

/// The length of each journal that was written when its last completed sync began.
///
/// - `calls`: lines such as `71 write(5</a/0.jnl>, ""..., 12) = 12`, some in two parts,
///   `<unfinished ...>` and `resumed`.
/// - `used`: the length of each that was written before.
fn synced(calls: &str, used: &BTreeMap<PathBuf, usize>) -> BTreeMap<PathBuf, usize> {
    let (mut written, mut synced) = (used.clone(), used.clone());
    let mut begun: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for line in calls.lines() {
        let Some((thread, call)) = line.trim().split_once(' ') else {
            continue;
        };
        let call = call.trim();
        if !call.starts_with("<...") {
            let path = call
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'))
                .map(|(path, _)| path);
            let Some(path) = path.filter(|path| path.ends_with(".jnl")) else {
                continue;
            };
            assert!(
                !call.starts_with("pwrite64"),
                "journals are written at their end: {call}"
            );
            begun.insert(
                thread,
                (
                    path.to_owned(),
                    written.get(Path::new(path)).copied().unwrap_or_default(),
                ),
            );
        }
        if call.ends_with("<unfinished ...>") {
            continue;
        }
        let Some((path, before)) = begun.remove(thread) else {
            continue;
        };
        let result = call
            .rsplit_once("= ")
            .and_then(|(_, result)| result.split(' ').next()?.parse::<usize>().ok());
        let (path, is_sync) = (PathBuf::from(path), call.contains("sync"));
        match result {
            Some(_) if is_sync => drop(synced.insert(path, before)),
            Some(bytes) => *written.entry(path).or_default() += bytes,
            None => {}
        }
    }
    synced
}

#[test]
fn only_what_was_written_before_a_sync_began_is_synced() {
    let calls = "71 write(5</d/0.jnl>, \"\"..., 10) = 10\n71 fdatasync(5</d/0.jnl> <unfinished ...>\n\
                 72 write(5</d/0.jnl>, \"\"..., 7) = 7\n73 write(1</dev/null>, \"\"..., 7) = 7\n\
                 71 <... fdatasync resumed>) = 0\n71 write(5</d/0.jnl>, \"\"..., 1 <unfinished ...>\n\
                 71 <... write resumed>) = 1\n71 fdatasync(5</d/0.jnl> <unfinished ...>\n71 +++ killed by SIGKILL +++\n";
    let journal = PathBuf::from("/d/0.jnl");
    let used = BTreeMap::from([(journal.clone(), 100)]);
    assert_eq!(synced(calls, &used), BTreeMap::from([(journal, 110)]));
}
