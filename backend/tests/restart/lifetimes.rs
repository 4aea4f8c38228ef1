//! Lifetimes, dates and retention across a kill: time that passes while the server is down counts.

use crate::process::DEADLINE;
use crate::process::durable_server::{DurableServer, TEXT};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::{headers, timestamp};

#[tokio::test]
async fn lifetimes_survive_a_crash_and_expired_streams_are_gone() {
    let mut server = DurableServer::new("restart-lifetimes");
    let idle = [TEXT[0], (headers::STREAM_TTL, "3600")];
    server.put("idle", &idle, "x").await.expect(201);
    let far = [
        TEXT[0],
        (headers::STREAM_EXPIRES_AT, "2099-01-02T03:04:05Z"),
    ];
    server.put("far", &far, "x").await.expect(201);
    let soon = SystemTime::now() + Duration::from_secs(2);
    let since_1970 = soon.duration_since(UNIX_EPOCH).unwrap();
    let text = timestamp::print(Duration::from_secs(since_1970.as_secs()));
    server
        .put("soon", &[TEXT[0], (headers::STREAM_EXPIRES_AT, &text)], "x")
        .await
        .expect(201);
    server.kill();
    while SystemTime::now() < soon + Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.start();
    server.get("soon").await.expect(404);
    assert_eq!(
        server
            .head("idle")
            .await
            .expect(200)
            .header(headers::STREAM_TTL),
        Some("3600")
    );
    let head = server.head("far").await.expect(200);
    assert!(
        head.header(headers::STREAM_EXPIRES_AT)
            .is_some_and(|at| at.starts_with("2099-01-02T03:04:05")),
        "{head:?}"
    );
    server.put("idle", &idle, "").await.expect(200);
    server.put("far", &far, "").await.expect(200);
    server.put("idle", &far, "").await.expect(409);
    server.put("far", &TEXT, "").await.expect(409);
}

#[tokio::test]
async fn a_creation_with_a_date_can_be_repeated_after_a_restart() {
    let mut server = DurableServer::new("restart-dates");
    let dates = [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z"),
        ("2554-07-21T23:34:33.709551615Z", "2554-07-21T23:34:33.709Z"),
        ("2554-07-21T23:34:34Z", "2554-07-21T23:34:34Z"),
        ("2555-01-01T09:00:00+09:00", "2555-01-01T00:00:00Z"),
        (
            "2099-01-02T03:04:05.678901-07:30",
            "2099-01-02T10:34:05.678Z",
        ),
        ("2099-01-01T00:00:00.001Z", "2099-01-01T00:00:00.001Z"),
    ];
    let head = |date| [TEXT[0], (headers::STREAM_EXPIRES_AT, date)];
    for (number, (date, _)) in dates.iter().enumerate() {
        server
            .put(&number.to_string(), &head(date), "")
            .await
            .expect(201);
    }
    let past = head("1970-01-01T00:00:00.001Z");
    server.put("past", &past, "").await.expect(201);
    server.crash();
    for (number, (date, kept)) in dates.iter().enumerate() {
        let name = number.to_string();
        let told = server.head(&name).await;
        assert_eq!(
            told.header(headers::STREAM_EXPIRES_AT),
            Some(*kept),
            "{date}"
        );
        server.put(&name, &head(date), "").await.expect(200);
        server.put(&name, &head(kept), "").await.expect(200);
    }
    assert_eq!(server.head("past").await.status, 404);
    server.put("past", &past, "").await.expect(201);
}

#[tokio::test]
async fn trimmed_messages_stay_trimmed_after_a_crash() {
    let mut server = DurableServer::new("restart-retention");
    server
        .put(
            "it",
            &[TEXT[0], (headers::STREAM_RETENTION_BYTES, "4000")],
            "",
        )
        .await
        .expect(201);
    for number in 0..40 {
        server
            .post("it", &TEXT, &format!("{number:0500}"))
            .await
            .expect(204);
    }
    let zero = "it?offset=0000000000000000";
    let begun = std::time::Instant::now();
    let gone = loop {
        let answer = server.get(zero).await;
        if answer.status == 410 {
            break answer;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "nothing was trimmed: {answer:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let kept = server.get("it").await.expect(200);
    let earliest = gone
        .header(headers::STREAM_EARLIEST_OFFSET)
        .expect("the earliest")
        .to_owned();
    server.crash();
    let gone = server.get(zero).await.expect(410);
    let still = gone
        .header(headers::STREAM_EARLIEST_OFFSET)
        .expect("the earliest");
    assert!(still >= &*earliest, "{still} is before {earliest}");
    let now = server.get("it").await.expect(200);
    assert!(
        kept.body.ends_with(&now.body) && now.body.len() >= 4_000,
        "{} of {}",
        now.body.len(),
        kept.body.len()
    );
    assert_eq!(
        (now.next_offset(), now.next_offset()),
        (kept.next_offset(), "0000000000020000".to_owned())
    );
    assert_eq!(
        server
            .head("it")
            .await
            .header(headers::STREAM_RETENTION_BYTES),
        Some("4000")
    );
}
