//! Sources writing to real streams: sequence numbers, restarts, leases, limits.

mod replacing;

use super::writer::{EVENTS_MAX, PAGE_BYTES};
use super::*;
use bytes::Bytes;
use serde_json::value::RawValue;
use tailwater_core::store::MemoryStore;
use tailwater_core::{Log, Payload, ReadStart, ReaderGuard};
use tailwater_protocol::lab::EventStamps;
use tailwater_protocol::lab::{GeneratorRequest, HostPattern, HostRequest, Pattern};
use tailwater_protocol::{Offset, Technique};
use tokio::time::{sleep, timeout};

const SHORT: Duration = Duration::from_millis(150);
const HOST: SourceLeaseRequest = SourceLeaseRequest {
    source: SourceRequest::Host(HostRequest {
        pattern: HostPattern::Poisson,
    }),
    holder: None,
    replaces: None,
};

fn streams() -> Arc<Streams> {
    Arc::new(Streams::new(Arc::new(MemoryStore::new(64 << 20)), 100))
}

fn sources(streams: &Arc<Streams>, limits: SourceLimits) -> SourceTable {
    SourceTable::new(Arc::clone(streams), Clock::new(), Handle::current(), limits)
}

fn generator(rate: f64, seed: u64) -> SourceLeaseRequest {
    let generator = GeneratorRequest {
        pattern: Pattern::Poisson,
        rate,
        size: 80,
        seed,
    };
    SourceRequest::Generator(generator).into()
}

fn find(streams: &Streams, answer: &SourceAnswer) -> Arc<Log> {
    streams
        .find(&StreamName::parse(&answer.stream).unwrap())
        .unwrap()
}

/// The stream's messages as text, once there are at least `count`.
async fn messages(log: &Arc<Log>, count: usize) -> Vec<String> {
    let reading = async {
        let mut tail = log.tail();
        loop {
            let mut all = Vec::new();
            let mut from = log.resolve(ReadStart::Beginning);
            while let Ok(batch) = log.read(from, PAGE_BYTES).await
                && !batch.data.is_empty()
            {
                let array = [b"[", batch.data.strip_suffix(b",").unwrap(), b"]"].concat();
                let page: Vec<Box<RawValue>> = serde_json::from_slice(&array).unwrap();
                all.extend(page.into_iter().map(|message| message.get().to_owned()));
                from = batch.next;
            }
            if all.len() >= count {
                return all;
            }
            tail.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(20), reading)
        .await
        .expect("events within 20 s")
}

async fn until_stopped(sources: &SourceTable) {
    let stopping = async {
        while sources.running().await > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), stopping)
        .await
        .expect("the source stops within 20 s");
}

fn stamps(messages: &[String]) -> Vec<EventStamps> {
    messages
        .iter()
        .map(|message| serde_json::from_str(message).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_generator_writes_sized_events_in_order_and_on_time() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let answer = sources.start_or_renew(&generator(500.0, 1)).await.unwrap();
    let messages = messages(&find(&streams, &answer), 200).await;
    assert!(
        messages.iter().all(|message| message.len() == 80),
        "{messages:?}"
    );
    let stamps = stamps(&messages);
    assert!(
        stamps
            .iter()
            .zip(0..)
            .all(|(stamps, seq)| stamps.seq == seq)
    );
    assert!(stamps.iter().all(|stamps| stamps.sent_us >= stamps.due_us));
    assert!(
        stamps
            .windows(2)
            .all(|pair| pair[0].due_us <= pair[1].due_us && pair[0].sent_us <= pair[1].sent_us)
    );
    let mut schedule = schedule::Schedule::new(Pattern::Poisson, 500.0, 1);
    let began_us = stamps[0].due_us - schedule.next_us();
    for stamps in &stamps {
        assert_eq!(
            stamps.due_us,
            began_us + schedule.next_us(),
            "lateness does not shift the due times"
        );
        schedule.advance();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_host_source_writes_events() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let answer = sources.start_or_renew(&HOST).await.unwrap();
    assert_eq!(
        answer,
        SourceAnswer {
            stream: "lab/host".into(),
            lease_s: 30
        }
    );
    let stamps = stamps(&messages(&find(&streams, &answer), 3).await);
    assert_eq!(
        stamps
            .iter()
            .map(|stamps| stamps.seq)
            .take(3)
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_pattern_of_the_host_has_its_own_stream() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let periodic = SourceRequest::Host(HostRequest {
        pattern: HostPattern::Periodic,
    })
    .into();
    let mut names = Vec::new();
    for request in [&HOST, &periodic] {
        let answer = sources.start_or_renew(request).await.unwrap();
        messages(&find(&streams, &answer), 2).await;
        names.push(answer.stream);
    }
    assert_eq!(names, ["lab/host", "lab/host-periodic"]);
    assert_eq!(sources.running().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restarted_source_continues_its_sequence_numbers() {
    let streams = streams();
    let sources = sources(
        &streams,
        SourceLimits {
            lease: SHORT,
            ..SourceLimits::default()
        },
    );
    let answer = sources.start_or_renew(&generator(300.0, 2)).await.unwrap();
    let log = find(&streams, &answer);
    let reader = ReaderGuard::new(Arc::clone(&log), Technique::Ndjson, Offset::ZERO);
    let _renewed = sources.start_or_renew(&generator(300.0, 2)).await.unwrap();
    messages(&log, 5).await;
    drop(reader);
    until_stopped(&sources).await;
    let before = messages(&log, 5).await.len();
    let _reader = ReaderGuard::new(Arc::clone(&log), Technique::Ndjson, Offset::ZERO);
    assert_eq!(
        sources.start_or_renew(&generator(300.0, 2)).await.unwrap(),
        answer
    );
    let stamps = stamps(&messages(&log, before + 20).await);
    assert!(
        stamps
            .iter()
            .zip(0..)
            .all(|(stamps, seq)| stamps.seq == seq),
        "{stamps:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sequence_numbers_continue_after_trimming() {
    let streams = streams();
    let limits = SourceLimits {
        lease: SHORT,
        keep_bytes: 100_000,
        ..SourceLimits::default()
    };
    let sources = sources(&streams, limits);
    let answer = sources
        .start_or_renew(&generator(2_000.0, 3))
        .await
        .unwrap();
    let log = find(&streams, &answer);
    let trimmed = async {
        while log.earliest().bytes() == 0 {
            let _renewed = sources.start_or_renew(&generator(2_000.0, 3)).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), trimmed)
        .await
        .expect("old events are removed within 20 s");
    until_stopped(&sources).await;
    let last = stamps(&messages(&log, 1).await).last().unwrap().seq;
    // A quarter of slack, and one append.
    let kept_bytes = log.tail_now().next.bytes() - log.earliest().bytes();
    assert!(
        kept_bytes <= 125_000 + EVENTS_MAX as u64 * 81,
        "{kept_bytes}"
    );
    let _reader = ReaderGuard::new(Arc::clone(&log), Technique::Ndjson, Offset::ZERO);
    sources
        .start_or_renew(&generator(2_000.0, 3))
        .await
        .unwrap();
    let further = async {
        loop {
            let stamps = stamps(&messages(&log, 10).await);
            if stamps.last().unwrap().seq > last {
                return stamps;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let stamps = timeout(Duration::from_secs(20), further)
        .await
        .expect("further events within 20 s");
    assert!(
        stamps.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1),
        "{stamps:?}"
    );
    assert!(stamps[0].seq <= last + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_source_runs_while_it_is_read_and_then_stops() {
    let streams = streams();
    let sources = sources(
        &streams,
        SourceLimits {
            lease: SHORT,
            ..SourceLimits::default()
        },
    );
    let answer = sources.start_or_renew(&generator(100.0, 4)).await.unwrap();
    let log = find(&streams, &answer);
    let reader = ReaderGuard::new(Arc::clone(&log), Technique::Sse, Offset::ZERO);
    sleep(6 * SHORT).await;
    assert_eq!(sources.running().await, 1);
    drop(reader);
    until_stopped(&sources).await;
    let before = log.tail_now();
    sleep(SHORT).await;
    assert_eq!(log.tail_now(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sources_are_limited_and_a_renewal_counts_once() {
    let streams = streams();
    let sources = sources(
        &streams,
        SourceLimits {
            running: 1,
            ..SourceLimits::default()
        },
    );
    sources.start_or_renew(&generator(1.0, 5)).await.unwrap();
    sources.start_or_renew(&generator(1.0, 5)).await.unwrap();
    let refused = sources
        .start_or_renew(&generator(1.0, 6))
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "1 sources are running, which is the limit; an unused one stops within 30 s, or when `replaces` names its stream"
    );
    assert_eq!(streams.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_stream_of_the_source_that_stopped_first_is_deleted() {
    let streams = streams();
    let sources = sources(
        &streams,
        SourceLimits {
            retained: 2,
            lease: SHORT,
            ..SourceLimits::default()
        },
    );
    let first = sources.start_or_renew(&generator(10.0, 7)).await.unwrap();
    until_stopped(&sources).await;
    let second = sources.start_or_renew(&generator(10.0, 8)).await.unwrap();
    until_stopped(&sources).await;
    let third = sources.start_or_renew(&generator(10.0, 9)).await.unwrap();
    let exists = |answer: &SourceAnswer| {
        streams
            .find(&StreamName::parse(&answer.stream).unwrap())
            .is_some()
    };
    assert_eq!(
        [exists(&first), exists(&second), exists(&third)],
        [false, true, true]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_of_others_is_not_changed() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let name = StreamName::parse("lab/host").unwrap();
    let keep_bytes = Some(SourceLimits::default().keep_bytes);
    let json = StreamConfig {
        keep_bytes,
        ..StreamConfig::new("application/json")
    };
    let first = Payload::parse(json.kind(), Bytes::from_static(b"[1,2]")).unwrap();
    streams
        .create(&name, json, Some(first), false)
        .await
        .unwrap();
    let refused = sources.start_or_renew(&HOST).await.unwrap_err().to_string();
    assert!(
        refused.starts_with(
            "the stream `lab/host` exists and was not written by a source: no message"
        ),
        "{refused}"
    );
    assert!(streams.delete(&name).await.unwrap());
    streams
        .create(&name, StreamConfig::new("text/plain"), None, false)
        .await
        .unwrap();
    let refused = sources.start_or_renew(&HOST).await.unwrap_err();
    assert!(matches!(refused, SourceError::Foreign { .. }), "{refused}");
    assert_eq!(sources.running().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_by_others_do_not_stop_a_source() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let name = StreamName::parse("lab/host").unwrap();
    let json = StreamConfig::new("application/json");
    let text = br#"[{"seq":6,"due_us":1,"sent_us":1},{"seq":7,"due_us":2,"sent_us":2},{"text":"by hand","due_us":3}]"#;
    let first = Payload::parse(json.kind(), Bytes::from_static(text)).unwrap();
    let config = StreamConfig {
        keep_bytes: Some(SourceLimits::default().keep_bytes),
        ..json
    };
    streams
        .create(&name, config, Some(first), false)
        .await
        .unwrap();
    let answer = sources.start_or_renew(&HOST).await.unwrap();
    let all = messages(&find(&streams, &answer), 4).await;
    let stamps: EventStamps = serde_json::from_str(&all[3]).unwrap();
    assert_eq!(stamps.seq, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_source_restarts_at_once_after_its_stream_was_deleted() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let answer = sources.start_or_renew(&generator(200.0, 10)).await.unwrap();
    messages(&find(&streams, &answer), 3).await;
    assert!(
        streams
            .delete(&StreamName::parse(&answer.stream).unwrap())
            .await
            .unwrap()
    );
    sources.start_or_renew(&generator(200.0, 10)).await.unwrap();
    let stamps = stamps(&messages(&find(&streams, &answer), 3).await);
    assert_eq!(stamps[0].seq, 0);
}
