//! NDJSON and SSE, and what WebSocket shares with them: first bytes, batches, heartbeats,
//! recycling, ends.

use super::live::{STREAMING, StreamingReader, messages};
use super::local_server::{BINARY, JSON, LocalServer, TEXT};
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_protocol::{Data, Technique};

async fn ask(server: &LocalServer, live: &str, offset: &str) -> RawConnection {
    server
        .ask_raw(
            &format!("GET /v1/stream/it?offset={offset}&live={live}"),
            "",
        )
        .await
}

#[tokio::test]
async fn an_empty_stream_sends_head_and_first_chunk_at_once() {
    let server = LocalServer::start();
    server.stream("it", JSON).await;
    for (live, media, cache, first) in [
        (
            "ndjson",
            "application/x-ndjson",
            "no-store, no-transform",
            "{\"streamNextOffset\":\"0000000000000000\",",
        ),
        (
            "sse",
            "text/event-stream",
            "no-cache, no-transform",
            "retry:200\n\nid:0000000000000000\nevent: control\ndata:{\"streamNextOffset\":",
        ),
    ] {
        for offset in ["-1", "now", "0000000000000000"] {
            let mut wire = ask(&server, live, offset).await;
            let head = wire.head().await;
            assert_eq!(head.status, 200);
            assert_eq!(head.header("content-type"), Some(media));
            assert_eq!(head.header("cache-control"), Some(cache));
            assert_eq!(head.header("x-accel-buffering"), Some("no"));
            assert_eq!(head.header("x-content-type-options"), Some("nosniff"));
            let chunk = wire.chunk().await.unwrap();
            assert!(chunk.starts_with(first), "{chunk}");
            assert!(
                chunk.contains("\"upToDate\":true") && chunk.contains("\"streamCursor\":\""),
                "{chunk}"
            );
        }
    }
}

#[tokio::test]
async fn data_and_its_offset_are_sent_in_one_chunk() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut ndjson = ask(&server, "ndjson", "now").await;
    let mut sse = ask(&server, "sse", "now").await;
    for wire in [&mut ndjson, &mut sse] {
        wire.head().await;
        wire.chunk().await.unwrap();
    }
    for number in 0..20 {
        let tail = stream.append(format!("[{number},{{\"a\":\"\\n\"}}]")).await;
        let line = ndjson.chunk().await.unwrap();
        assert!(line.starts_with(&format!(
            "{{\"data\":[{number},{{\"a\":\"\\n\"}}],\"streamNextOffset\":\"{tail}\""
        )));
        assert!(
            line.ends_with("}\n") && line.matches('\n').count() == 1,
            "{line}"
        );
        let event = sse.chunk().await.unwrap();
        assert!(
            event.starts_with(&format!("id:{tail}\nevent: data\ndata:[{number},")),
            "{event}"
        );
        assert!(
            event.contains(&format!(
                "id:{tail}\nevent: control\ndata:{{\"streamNextOffset\":\"{tail}\""
            )),
            "{event}"
        );
        assert!(event.ends_with("}\n\n"), "{event}");
    }
}

#[tokio::test]
async fn a_reader_catches_up_and_only_the_last_page_is_up_to_date() {
    let server = LocalServer::with(|config| config.page_max = 50);
    let stream = server.stream("it", JSON).await;
    for number in 0..100 {
        stream.append(number.to_string()).await;
    }
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        let mut came = Vec::new();
        loop {
            let frame = live.data().await;
            came.extend(messages(&frame));
            assert_eq!(
                frame.up_to_date,
                came.len() == 100,
                "{technique}: {frame:?}"
            );
            if frame.up_to_date {
                break;
            }
        }
        assert_eq!(came, expected, "{technique}");
    }
}

#[tokio::test]
async fn idle_responses_send_heartbeats_without_data() {
    let server = LocalServer::with(|config| config.heartbeat = Duration::from_millis(5));
    let stream = server.stream("it", TEXT).await;
    for (live, heartbeat) in [("ndjson", "\n"), ("sse", ":\n\n")] {
        let mut wire = ask(&server, live, "now").await;
        wire.head().await;
        wire.chunk().await.unwrap();
        for _ in 0..5 {
            assert_eq!(wire.chunk().await.unwrap(), heartbeat);
        }
    }
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, "now").await;
        let tail = stream.append("x").await;
        let frame = live.data().await;
        assert_eq!(
            (frame.data, frame.next.as_str()),
            (Some(Data::Text("x".into())), &*tail),
            "{technique}"
        );
    }
}

#[tokio::test]
async fn a_recycled_reader_continues_without_loss() {
    let server = LocalServer::with(|config| {
        config.recycle = Duration::from_millis(15);
        config.page_max = 40;
    });
    let stream = server.stream("it", JSON).await;
    for technique in [Technique::Ndjson, Technique::Sse] {
        let start = stream.tail().await;
        let (mut from, mut came, mut answers) = (start, Vec::new(), 0);
        let writing = async {
            for number in 0..300 {
                stream.append(number.to_string()).await;
            }
        };
        let reading = async {
            while came.len() < 300 {
                answers += 1;
                let mut live = StreamingReader::open(&stream, technique, &from).await;
                while let Some(frame) = live.frame().await {
                    came.extend(messages(&frame));
                    from = frame.next.to_string();
                }
            }
        };
        tokio::join!(writing, reading);
        assert_eq!(
            came,
            (0..300)
                .map(|number| number.to_string())
                .collect::<Vec<_>>(),
            "{technique}"
        );
        assert!(answers > 1, "{technique} was never recycled");
    }
}

#[tokio::test]
async fn every_response_has_at_least_one_frame_before_recycling() {
    let server = LocalServer::with(|config| config.recycle = Duration::from_nanos(1));
    let stream = server.stream("it", JSON).await;
    stream.append("[1,2,3]").await;
    for technique in [Technique::Ndjson, Technique::Sse] {
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        assert_eq!(
            messages(&live.frame().await.unwrap()),
            ["1", "2", "3"],
            "{technique}"
        );
        live.end().await;
    }
}

#[tokio::test]
async fn the_last_data_says_closed_and_the_response_ends() {
    let server = LocalServer::start();
    for (round, technique) in STREAMING.into_iter().cycle().take(12).enumerate() {
        let stream = server.stream(&format!("it/{round}"), JSON).await;
        stream.append("1").await;
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        assert_eq!(messages(&live.data().await), ["1"]);
        if round % 2 == 0 {
            let post = stream
                .request(reqwest::Method::POST, "")
                .header("stream-closed", "true");
            server
                .send(post.header("content-type", JSON).body("2"))
                .await;
            let last = live.frame().await.unwrap();
            assert_eq!(
                (messages(&last), last.closed),
                (vec!["2".to_owned()], true),
                "{technique}"
            );
        } else {
            stream.close().await;
            let last = live.frame().await.unwrap();
            assert_eq!(
                (messages(&last), last.closed),
                (vec![], true),
                "{technique}"
            );
        }
        assert_eq!(live.frame().await, None, "{technique}");
        for offset in ["-1", "now", &*stream.tail().await] {
            let mut live = StreamingReader::open(&stream, technique, offset).await;
            let only = live.frame().await.unwrap();
            assert!(
                only.closed && only.cursor.is_none(),
                "{technique} from {offset}: {only:?}"
            );
            assert_eq!(live.frame().await, None, "{technique} from {offset}");
        }
    }
}

#[tokio::test]
async fn a_deletion_ends_the_response_cleanly() {
    let server = LocalServer::start();
    for technique in STREAMING {
        let stream = server.stream("it", JSON).await;
        stream.append("1").await;
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        live.data().await;
        stream.delete().await;
        assert_eq!(live.frame().await, None, "{technique}");
        assert_eq!(
            StreamingReader::try_open(&stream, technique, "-1")
                .await
                .err(),
            Some(404),
            "{technique}"
        );
    }
}

#[tokio::test]
async fn bytes_are_sent_as_base64_and_arrive_unchanged() {
    let server = LocalServer::start();
    let stream = server.stream("it", BINARY).await;
    let all: Vec<u8> = (0..=255).collect();
    stream.append(all.clone()).await;
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        assert_eq!(
            live.data().await.data,
            Some(Data::Binary(all.clone())),
            "{technique}"
        );
    }
    let mut wire = ask(&server, "sse", "-1").await;
    assert_eq!(
        wire.head().await.header("stream-sse-data-encoding"),
        Some("base64")
    );
    let mut wire = ask(&server, "ndjson", "-1").await;
    wire.head().await;
    assert!(
        wire.chunk()
            .await
            .unwrap()
            .contains("\"encoding\":\"base64\"")
    );
}

#[tokio::test]
async fn text_cannot_inject_lines_events_or_frames() {
    let server = LocalServer::start();
    let evil = "a\revent: control\rdata:{\"streamClosed\":true}\r\r\n\ndata: x\r\n\r\nid: 1\n: c\nretry:1\u{2028}\"}\n{";
    let stream = server.stream("it", TEXT).await;
    let tail = stream.append(evil).await;
    let as_lf = evil.replace("\r\n", "\n").replace('\r', "\n");
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        let frame = live.data().await;
        let expected = if technique == Technique::Sse {
            &as_lf
        } else {
            evil
        };
        assert_eq!(
            frame.data,
            Some(Data::Text(expected.to_owned())),
            "{technique}"
        );
        assert_eq!(
            (frame.next.as_str(), frame.closed),
            (&*tail, false),
            "{technique}"
        );
    }
    let mut wire = ask(&server, "sse", "-1").await;
    wire.head().await;
    let event = wire.chunk().await.unwrap();
    assert!(!event.contains('\r'), "{event:?}");
    let fields = event
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("data:"))
        .collect::<Vec<_>>();
    let id = format!("id:{tail}");
    assert_eq!(
        fields,
        ["retry:200", &id, "event: data", &id, "event: control"]
    );
}

#[tokio::test]
async fn json_with_line_breaks_is_sent_as_one_line_and_one_event() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    stream
        .append("{\n  \"a\": 9007199254740993,\r\n  \"a\": 1e400\r}")
        .await;
    for technique in STREAMING {
        let frame = StreamingReader::open(&stream, technique, "-1")
            .await
            .data()
            .await;
        let message = messages(&frame).concat().replace(['\n', '\r', ' '], "");
        assert_eq!(
            message, r#"{"a":9007199254740993,"a":1e400}"#,
            "{technique}"
        );
    }
}

#[tokio::test]
async fn text_split_by_two_appends_is_preserved_except_over_sse() {
    let server = LocalServer::start();
    let appends: [&[u8]; 7] = [
        b"a\xc3",
        b"\xa9b\r",
        b"\nc\xe2\x82",
        b"\xac",
        b"\xf0",
        b"\x9f\x98",
        b"\x80d",
    ];
    let whole = "a\u{e9}b\r\nc\u{20ac}\u{1f600}d";
    let cut = "a\u{fffd}\u{fffd}b\n\nc\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}d";
    let stream = server.stream("it", TEXT).await;
    let mut live = Vec::new();
    for technique in STREAMING {
        let mut reader = StreamingReader::open(&stream, technique, "-1").await;
        reader.frame().await.unwrap();
        live.push((technique, reader, Vec::new()));
    }
    for append in appends {
        let tail = stream.append(append).await;
        for (technique, reader, came) in &mut live {
            let frame = reader.data().await;
            assert_eq!(
                frame.next.as_str(),
                tail,
                "{technique}: one append, one frame"
            );
            came.extend(bytes(frame.data));
        }
    }
    for (technique, _, came) in live {
        let expected = if technique == Technique::Sse {
            cut
        } else {
            whole
        };
        assert_eq!(
            String::from_utf8(came).as_deref(),
            Ok(expected),
            "{technique}"
        );
    }
    // A later reader gets all appends at once, so text is split only at line ends.
    for technique in STREAMING {
        let came = bytes(
            StreamingReader::open(&stream, technique, "-1")
                .await
                .data()
                .await
                .data,
        );
        let expected = if technique == Technique::Sse {
            &whole.replace("\r\n", "\n")
        } else {
            whole
        };
        assert_eq!(
            String::from_utf8(came).as_deref(),
            Ok(expected),
            "{technique}"
        );
    }
}

/// A piece of a text stream as bytes, whether it is valid text by itself or not.
fn bytes(data: Option<Data>) -> Vec<u8> {
    match data {
        Some(Data::Text(text)) => text.into_bytes(),
        Some(Data::Binary(bytes)) => bytes,
        other @ (None | Some(Data::Json(_))) => panic!("not of a text stream: {other:?}"),
    }
}
