//! Clients with holder names that release and replace sources.

use super::*;

/// A request for a generator with a holder, which may replace an earlier source.
fn held(rate: f64, seed: u64, holder: &str, replaces: Option<&str>) -> SourceLeaseRequest {
    SourceLeaseRequest {
        holder: Some(holder.to_owned()),
        replaces: replaces.map(str::to_owned),
        ..generator(rate, seed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nine_clients_that_change_their_settings_ten_times_are_never_refused() {
    let streams = streams();
    let limits = SourceLimits {
        running: 9,
        retained: 12,
        ..SourceLimits::default()
    };
    let sources = sources(&streams, limits);
    let mut held_streams: [Option<String>; 9] = Default::default();
    for change in 1..=10 {
        for (client, stream) in (0_u32..).zip(&mut held_streams) {
            let request = held(
                f64::from(change),
                client.into(),
                &format!("client-{client}"),
                stream.as_deref(),
            );
            let answer = sources.start_or_renew(&request).await.unwrap();
            assert_ne!(stream.as_ref(), Some(&answer.stream));
            *stream = Some(answer.stream);
        }
    }
    assert_eq!(sources.running().await, 9);
    assert!(streams.count() <= 12, "{}", streams.count());
    for stream in held_streams.iter().flatten() {
        let name = StreamName::parse(stream).unwrap();
        assert!(streams.find(&name).is_some(), "{stream}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_source_runs_until_its_last_holder_releases_it() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let shared = sources
        .start_or_renew(&held(100.0, 1, "a", None))
        .await
        .unwrap();
    sources
        .start_or_renew(&held(100.0, 1, "b", None))
        .await
        .unwrap();
    let log = find(&streams, &shared);
    // A reader does not keep a source running that all holders have released.
    let _reader = ReaderGuard::new(Arc::clone(&log), Technique::Sse, Offset::ZERO);
    let release = async |holder: &str, seed| {
        let request = held(1.0, seed, holder, Some(&shared.stream));
        sources.start_or_renew(&request).await.unwrap();
    };
    release("a", 2).await;
    release("a", 3).await;
    release("stranger", 4).await;
    let before = messages(&log, 1).await.len();
    messages(&log, before + 5).await;
    assert_eq!(sources.running().await, 4);
    release("b", 5).await;
    let end = log.tail_now();
    sleep(SHORT).await;
    assert_eq!(log.tail_now(), end);
    assert_eq!(sources.running().await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn clients_without_a_name_keep_a_source_for_its_lease() {
    let streams = streams();
    let sources = sources(
        &streams,
        SourceLimits {
            lease: SHORT,
            ..SourceLimits::default()
        },
    );
    let shared = sources.start_or_renew(&generator(100.0, 1)).await.unwrap();
    let log = find(&streams, &shared);
    let reader = ReaderGuard::new(Arc::clone(&log), Technique::Sse, Offset::ZERO);
    sources
        .start_or_renew(&held(100.0, 1, "a", None))
        .await
        .unwrap();
    sources
        .start_or_renew(&held(1.0, 2, "a", Some(&shared.stream)))
        .await
        .unwrap();
    let before = messages(&log, 1).await.len();
    messages(&log, before + 5).await;
    drop(reader);
    until_stopped(&sources).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_released_source_restarts_at_once_and_continues_its_numbers() {
    let streams = streams();
    let limits = SourceLimits {
        running: 1,
        ..SourceLimits::default()
    };
    let sources = sources(&streams, limits);
    let (mut one, mut other) = ((500.0, 1), (500.0, 2));
    let mut replaced: Option<String> = None;
    for _ in 0..20 {
        let request = held(one.0, one.1, "a", replaced.as_deref());
        let answer = sources.start_or_renew(&request).await.unwrap();
        replaced = Some(answer.stream);
        std::mem::swap(&mut one, &mut other);
        sleep(Duration::from_millis(5)).await;
    }
    let request = held(one.0, one.1, "a", replaced.as_deref());
    let answer = sources.start_or_renew(&request).await.unwrap();
    let stamps = stamps(&messages(&find(&streams, &answer), 50).await);
    assert!(
        stamps
            .iter()
            .zip(0..)
            .all(|(stamps, seq)| stamps.seq == seq),
        "{stamps:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn replacing_a_stream_of_others_changes_nothing() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let name = StreamName::parse("mine").unwrap();
    let config = StreamConfig::new("text/plain");
    streams.create(&name, config, None, false).await.unwrap();
    for replaces in ["mine", "lab/host", "", "no such stream"] {
        let request = held(1.0, 1, "a", Some(replaces));
        sources.start_or_renew(&request).await.unwrap();
    }
    assert!(streams.find(&name).is_some());
    let own = sources
        .start_or_renew(&held(1.0, 1, "a", None))
        .await
        .unwrap();
    let request = held(1.0, 1, "a", Some(&own.stream));
    assert_eq!(sources.start_or_renew(&request).await.unwrap(), own);
    assert_eq!(sources.running().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_with_an_invalid_holder_releases_nothing() {
    let streams = streams();
    let sources = sources(&streams, SourceLimits::default());
    let own = sources
        .start_or_renew(&held(1.0, 1, "a", None))
        .await
        .unwrap();
    let long = "x".repeat(65);
    for (holder, shown) in [
        (None, "absent"),
        (Some(""), ""),
        (Some("a b"), "a b"),
        (Some("\u{e9}"), "\u{e9}"),
        (Some(&*long), &long[..64]),
    ] {
        let request = SourceLeaseRequest {
            holder: holder.map(str::to_owned),
            ..held(2.0, 1, "", Some(&own.stream))
        };
        let refused = sources.start_or_renew(&request).await.unwrap_err();
        let refused = refused.to_string();
        let expected = format!("`holder` is `{shown}`, expected 1 to 64 visible ASCII characters");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    assert_eq!(sources.running().await, 1);
}
