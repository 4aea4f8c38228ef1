//! The load with LIMIT in a thread: it counts messages, and detects lost, repeated and reordered
//! ones.

use super::{Load, LoadOptions, Pace};
use crate::BenchFault;
use crate::limit;
use crate::target::{BenchTarget, BenchTechnique, From, Launch};
use crate::targets::limit::LimitTarget;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tailwater_harness::http::DecodedHead;

const ALL: [BenchTechnique; 5] = [
    BenchTechnique::Poll,
    BenchTechnique::LongPoll,
    BenchTechnique::Ndjson,
    BenchTechnique::Sse,
    BenchTechnique::Websocket,
];

/// Starts LIMIT in a thread of this process.
fn limit() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || limit::serve(&listener, false).expect("LIMIT serves"));
    address
}

/// Changes the messages of an append in transit.
type TransitFault = fn(&mut Vec<Vec<u8>>);

/// LIMIT with appends that are changed in transit.
#[derive(Debug)]
struct FaultyTarget(TransitFault);

impl BenchTarget for FaultyTarget {
    fn name(&self) -> String {
        "faulty".into()
    }

    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault> {
        LimitTarget { joined: false }.launch(port, folder)
    }

    fn offers(&self, _technique: BenchTechnique) -> bool {
        true
    }

    fn create(&self, stream: &str, technique: BenchTechnique) -> Option<Vec<u8>> {
        LimitTarget { joined: false }.create(stream, technique)
    }

    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
        let mut messages = messages.to_vec();
        (self.0)(&mut messages);
        LimitTarget { joined: false }.append(stream, &messages)
    }

    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8> {
        LimitTarget { joined: false }.read(stream, technique, from)
    }

    fn position(&self, head: &DecodedHead<'_>) -> Option<String> {
        LimitTarget { joined: false }.position(head)
    }
}

/// Three readers of each of two streams; ten appends of four messages to each, by several writers.
fn load(
    fault: TransitFault,
    technique: BenchTechnique,
    silence_max: Duration,
) -> Result<u64, BenchFault> {
    let target = &FaultyTarget(fault);
    let options = LoadOptions {
        streams: 2,
        silence_max,
        ..LoadOptions::new(technique, 100, 3)
    };
    let mut load = Load::new(target, limit(), options)?;
    load.open_readers(6)?;
    load.fill(80, 4)?;
    Ok(load.counts.delivered)
}

#[test]
fn every_message_reaches_every_reader_by_every_technique() {
    for technique in ALL {
        assert_eq!(
            load(|_| (), technique, Duration::from_secs(10)).expect("no fault"),
            80 * 3,
            "{technique}"
        );
    }
}

#[test]
fn a_lost_repeated_reordered_or_damaged_message_voids_a_run() {
    let faults: [(&str, TransitFault); 4] = [
        ("lost", |messages| drop(messages.remove(1))),
        ("lost", |messages| drop(messages.pop())),
        ("repeated or reordered", |messages| {
            messages.push(messages[3].clone());
        }),
        ("repeated or reordered", |messages| messages.swap(1, 2)),
    ];
    let silence_max = Duration::from_millis(300);
    for technique in ALL {
        for (what, fault) in faults {
            let found = load(fault, technique, silence_max).expect_err("a fault");
            let text = found.to_string();
            assert!(
                matches!(found, BenchFault::Lost { .. }) && text.contains(what),
                "{technique}: {text}"
            );
            assert!(!text.contains(&format!(" 0 {what}")), "{technique}: {text}");
        }
        let damage = load(|messages| messages[2][99] = b' ', technique, silence_max)
            .expect_err("a wrong byte");
        assert!(
            damage.to_string().contains("60 damaged"),
            "{technique}: {damage}"
        );
    }
}

#[test]
fn an_open_loop_load_states_when_messages_were_due() {
    let target = LimitTarget { joined: true };
    let mut load = Load::new(
        &target,
        limit(),
        LoadOptions::new(BenchTechnique::Ndjson, 100, 2),
    )
    .expect("a stream");
    load.open_readers(1).expect("a reader");
    load.run(
        Pace::Open {
            per_second: 1_000.0,
            batch: 2,
        },
        Duration::from_millis(200),
    )
    .expect("it runs");
    load.wait_until_delivered().expect("everything arrives");
    assert_eq!(load.counts.latencies.count(), load.counts.delivered);
    assert!(
        load.counts.delivered > 0 && load.counts.delivered <= 200,
        "{} in 0.2 s",
        load.counts.delivered
    );
}
