//! WebSocket connections: appends, refusals, and how they end.

use super::live::{ClientSocket, close_frame, send_text, socket, text};
use super::local_server::{BINARY, JSON, LocalServer, LocalStream, TEXT};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tailwater_harness::wait::within;
use tailwater_protocol::Problem;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, client_async};

/// Opens a WebSocket at the tail of a stream.
pub(crate) async fn open(stream: &LocalStream<'_>) -> ClientSocket {
    let mut socket = socket(stream.server, &stream.target("offset=now&live=websocket"))
        .await
        .unwrap();
    let first: Value = serde_json::from_str(&text(&mut socket).await.unwrap()).unwrap();
    assert_eq!(first["upToDate"], true);
    socket
}

/// Opens a WebSocket that reads from the beginning. The client reads nothing, and the data does not
/// fit into the sockets' buffers, so the server does not reach the end and the connection stays
/// open when the stream is closed.
pub(crate) async fn open_far_behind(stream: &LocalStream<'_>) -> ClientSocket {
    // Far more than the buffers of the sockets, of which the receiving one is kept small: by
    // default it grows to tens of megabytes.
    for _ in 0..800 {
        stream
            .append(format!("\"{}\"", "x".repeat(200 << 10)))
            .await;
    }
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(64 << 10).unwrap();
    let tcp = MaybeTlsStream::Plain(tcp.connect(stream.server.address).await.unwrap());
    let target = stream.target("offset=-1&live=websocket");
    let handshake = client_async(format!("ws://{}{target}", stream.server.address), tcp);
    within("a WebSocket", handshake).await.unwrap().0
}

/// The response to `request`; skips the stream's own frames.
pub(crate) async fn exchange(socket: &mut ClientSocket, request: &str) -> Value {
    send_text(socket, request).await;
    answer(socket).await
}

/// The response to the first unanswered request; skips the stream's own frames.
pub(crate) async fn answer(socket: &mut ClientSocket) -> Value {
    loop {
        let frame = text(socket).await.expect("a response before the end");
        let frame: Value = serde_json::from_str(&frame).unwrap();
        if let Some(answer) = frame.get("appended") {
            return answer.clone();
        }
    }
}

/// Checks a refusal and returns its problem document.
fn refused(answer: &Value, status: u16) -> Problem {
    assert_eq!(answer["status"], status, "{answer}");
    let problem: Problem = serde_json::from_value(answer["problem"].clone()).unwrap();
    assert_eq!(problem.status, status);
    assert!(!problem.kind.is_empty() && !problem.title.is_empty() && !problem.detail.is_empty());
    problem
}

#[tokio::test]
async fn an_append_is_answered_like_a_post_and_echoed_as_data() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    send_text(
        &mut socket,
        r#"{"append":{"a":9007199254740993},"id":[1,"x"]}"#,
    )
    .await;
    let (mut answer, mut data) = (None, None);
    while answer.is_none() || data.is_none() {
        let frame = text(&mut socket).await.unwrap();
        let value: Value = serde_json::from_str(&frame).unwrap();
        match value.get("appended") {
            Some(came) => answer = Some(came.clone()),
            None => data = Some(frame),
        }
    }
    let tail = stream.tail().await;
    assert_eq!(
        answer.unwrap(),
        json!({"status": 204, "streamNextOffset": tail, "id": [1, "x"]})
    );
    assert!(data.unwrap().starts_with(&format!(
        r#"{{"data":[{{"a":9007199254740993}}],"streamNextOffset":"{tail}""#
    )));
}

#[tokio::test]
async fn an_invalid_request_is_refused_and_the_connection_continues() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    for wrong in [
        "",
        "x",
        "{}",
        "[]",
        "1",
        r#"{"append":1"#,
        r#"{"close":"yes"}"#,
        r#"{"append":1,"append":2}"#,
        r#"{"close":false}"#,
    ] {
        refused(&exchange(&mut socket, wrong).await, 400);
    }
    assert_eq!(
        exchange(&mut socket, r#"{"append":1,"id":7}"#).await["id"],
        7
    );
    assert_eq!(stream.get("").await.text(), "[1]");
}

#[tokio::test]
async fn an_id_is_echoed_up_to_256_bytes_and_refused_beyond() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    let long = [
        format!("\"{}\"", "x".repeat(255)),
        format!("\"{}\"", "x".repeat(1 << 20)),
        format!("[{}]", "1,".repeat(128) + "1"),
        format!("{{\"a\":\"{}\"}}", "\u{e9}".repeat(130)),
        format!("1{}", "0".repeat(256)),
    ];
    for id in long {
        for rest in [
            "\"append\":1",
            "\"close\":true",
            "\"append\":1,\"ifMatch\":\"wrong\"",
        ] {
            let answer = exchange(&mut socket, &format!("{{\"id\":{id},{rest}}}")).await;
            let problem = refused(&answer, 400);
            assert!(
                problem.detail.contains("`id`") && problem.detail.len() < 1_000,
                "{problem}"
            );
            assert_eq!(answer.get("id"), None, "{answer}");
        }
    }
    assert_eq!(stream.tail().await, "0000000000000000");
    let longest = json!("x".repeat(254));
    for rest in ["\"append\":1", "\"append\":1,\"ifMatch\":\"wrong\""] {
        // White space around an id is not part of it.
        let answer = exchange(
            &mut socket,
            &format!("{{\"id\":{}{longest} ,{rest}}}", " ".repeat(300)),
        )
        .await;
        assert_eq!(answer["id"], longest);
    }
}

#[tokio::test]
async fn closing_a_stream_ends_every_reader_and_the_writer() {
    let server = LocalServer::start();
    for request in [
        r#"{"close":true,"id":"c"}"#,
        r#"{"append":1,"close":true,"id":"c"}"#,
    ] {
        let stream = server.stream("it", JSON).await;
        let (mut writer, mut reader) = (open(&stream).await, open(&stream).await);
        send_text(&mut writer, request).await;
        assert_eq!(close_frame(&mut reader).await.code, CloseCode::Normal);
        assert_eq!(close_frame(&mut writer).await.code, CloseCode::Normal);
        let page = stream.get("").await;
        assert!(page.is("stream-closed"));
        assert_eq!(
            page.text(),
            if request.contains("append") {
                "[1]"
            } else {
                "[]"
            }
        );
        stream.delete().await;
    }
}

#[tokio::test]
async fn an_append_that_closes_is_answered_before_the_connection_ends() {
    let server = LocalServer::start();
    for round in 0..20 {
        let stream = server.stream(&format!("it/{round}"), JSON).await;
        let mut writer = open(&stream).await;
        let answer = exchange(&mut writer, r#"{"append":1,"close":true,"id":"c"}"#).await;
        let tail = stream.tail().await;
        assert_eq!(
            answer,
            json!({"status": 204, "streamNextOffset": tail, "streamClosed": true, "id": "c"})
        );
        assert_eq!(close_frame(&mut writer).await.code, CloseCode::Normal);
    }
}

#[tokio::test]
async fn a_binary_frame_closes_the_connection_with_a_reason() {
    let server = LocalServer::start();
    let stream = server.stream("it", BINARY).await;
    let mut socket = open(&stream).await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    let frame = close_frame(&mut socket).await;
    assert_eq!(frame.code, CloseCode::Unsupported);
    assert!(frame.reason.contains("text"), "{frame:?}");
    assert_eq!(stream.tail().await, "0000000000000000");
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_a_reason() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    let frame = Frame::message(
        &b"{\"append\":\"\xff\"}"[..],
        OpCode::Data(Data::Text),
        true,
    );
    socket.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(close_frame(&mut socket).await.code, CloseCode::Invalid);
}

#[tokio::test]
async fn fragmented_messages_and_pings_between_them_are_accepted() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    for (opcode, part, last) in [
        (Data::Text, r#"{"app"#, false),
        (Data::Continue, r#"end":"#, false),
        (Data::Continue, "1}", true),
    ] {
        socket
            .send(Message::Frame(Frame::message(
                part,
                OpCode::Data(opcode),
                last,
            )))
            .await
            .unwrap();
        if !last {
            socket.send(Message::Ping("p".into())).await.unwrap();
        }
    }
    while stream.get("").await.text() != "[1]" {
        text(&mut socket).await.unwrap();
    }
}

#[tokio::test]
async fn a_websocket_read_without_upgrade_says_what_is_missing() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let answer = stream.get("offset=-1&live=websocket").await;
    assert_eq!(
        (
            answer.header("upgrade"),
            answer.header("sec-websocket-version")
        ),
        (Some("websocket"), Some("13"))
    );
    let problem = answer.refuses(426);
    assert!(problem.detail.contains("WebSocket"), "{problem}");
}

#[tokio::test]
async fn a_close_frame_is_answered_with_a_close_frame() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(close_frame(&mut socket).await.code, CloseCode::Normal);
}

#[tokio::test]
async fn a_message_in_two_pieces_is_answered_while_the_reader_catches_up() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut behind = open_far_behind(&stream).await;
    stream.close().await;
    // A text frame with an empty mask.
    let request = br#"{"append":1}"#;
    let length = 0x80 | u8::try_from(request.len()).unwrap();
    let frame = [&[0x81, length, 0, 0, 0, 0], &request[..]].concat();
    let (first, second) = frame.split_at(9);
    behind.get_mut().write_all(first).await.unwrap();
    // More than the buffers of the sockets hold, so that the server has received the first piece.
    for _ in 0..200 {
        text(&mut behind).await.expect("a page");
    }
    behind.get_mut().write_all(second).await.unwrap();
    refused(&answer(&mut behind).await, 409);
}

#[tokio::test]
async fn an_append_to_a_closed_stream_is_refused_with_its_tail() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut behind = open_far_behind(&stream).await;
    let end = stream.close().await;
    let answer = exchange(&mut behind, r#"{"append":1}"#).await;
    refused(&answer, 409);
    assert_eq!(
        answer["streamClosed"], true,
        "the same as in the headers of a POST: {answer}"
    );
    assert_eq!(answer["streamNextOffset"], *end, "{answer}");
}

#[tokio::test]
async fn each_kind_of_stream_accepts_its_own_kind_of_value() {
    let server = LocalServer::start();
    let (json, words, bytes) = (
        server.stream("j", JSON).await,
        server.stream("t", TEXT).await,
        server.stream("b", BINARY).await,
    );
    for (stream, value, content) in [
        (&json, "[1,[2]]", &b"[1,[2]]"[..]),
        (&json, "null", b"[1,[2],null]"),
        (&json, "\"x\"", b"[1,[2],null,\"x\"]"),
        (&words, r#""a\r\nb\u20ac""#, "a\r\nb\u{20ac}".as_bytes()),
        (&bytes, "\"AP8=\"", b"\x00\xff"),
    ] {
        let answer = exchange(&mut open(stream).await, &format!(r#"{{"append":{value}}}"#)).await;
        assert_eq!(answer["status"], 204, "{value}: {answer}");
        assert_eq!(answer["streamNextOffset"], *stream.tail().await);
        assert_eq!(stream.get("").await.body, content, "{value}");
    }
    for (stream, value) in [
        (&json, "[]"),
        (&words, "\"\""),
        (&words, "1"),
        (&words, "[\"a\"]"),
        (&bytes, "\"?\""),
        (&bytes, "{}"),
    ] {
        let tail = stream.tail().await;
        refused(
            &exchange(&mut open(stream).await, &format!(r#"{{"append":{value}}}"#)).await,
            400,
        );
        assert_eq!(stream.tail().await, tail);
    }
}

#[tokio::test]
async fn a_frame_over_the_body_limit_closes_with_a_reason() {
    let server = LocalServer::with(|config| config.body_max = 1_000);
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    send_text(
        &mut socket,
        &format!(r#"{{"append":"{}"}}"#, "x".repeat(5_000)),
    )
    .await;
    let frame = close_frame(&mut socket).await;
    assert_eq!(frame.code, CloseCode::Size, "{frame:?}");
    assert!(!frame.reason.is_empty());
    assert_eq!(stream.get("").await.text(), "[]");

    let mut pieces = open(&stream).await;
    for number in 0..20 {
        let opcode = OpCode::Data(if number == 0 {
            Data::Text
        } else {
            Data::Continue
        });
        let _ended = pieces
            .send(Message::Frame(Frame::message(
                vec![b' '; 500],
                opcode,
                false,
            )))
            .await;
    }
    assert_eq!(close_frame(&mut pieces).await.code, CloseCode::Size);
}

#[tokio::test]
async fn frames_are_small_so_that_responses_are_not_delayed() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    for _ in 0..40 {
        stream.append("x".repeat(10_000)).await;
    }
    let whole = stream.get("offset=-1").await;
    assert_eq!(whole.body.len(), 400_000);
    let mut socket = socket(&server, &stream.target("offset=-1&live=websocket"))
        .await
        .unwrap();
    let mut came = 0;
    while came < 400_000 {
        let frame = text(&mut socket).await.unwrap();
        assert!(frame.len() < 130_000, "a frame of {} bytes", frame.len());
        let frame: Value = serde_json::from_str(&frame).unwrap();
        came += frame["data"].as_str().map_or(0, str::len);
        assert_eq!(frame["upToDate"] == true, came == 400_000);
    }
}

#[tokio::test]
async fn appends_support_producers_conditions_and_sequences() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    let by = |epoch: u64, seq: u64| {
        format!(
            r#"{{"append":{seq},"producerId":"p","producerEpoch":{epoch},"producerSeq":{seq}}}"#
        )
    };
    for (request, status, field, value) in [
        (by(1, 0), 200, "producerSeq", json!(0)),
        (by(1, 0), 204, "streamNextOffset", json!("0000000000000002")),
        (by(1, 2), 409, "producerExpectedSeq", json!(1)),
        (by(0, 0), 403, "producerEpoch", json!(1)),
        (
            r#"{"append":5,"ifMatch":"0000000000000000"}"#.to_owned(),
            412,
            "streamNextOffset",
            json!("0000000000000002"),
        ),
        (
            r#"{"append":5,"ifMatch":"0000000000000002","streamSeq":"b"}"#.to_owned(),
            204,
            "status",
            json!(204),
        ),
        (
            r#"{"append":6,"streamSeq":"a"}"#.to_owned(),
            409,
            "status",
            json!(409),
        ),
        (
            r#"{"append":6,"producerId":"p"}"#.to_owned(),
            400,
            "status",
            json!(400),
        ),
        (by(1 << 53, 0), 400, "status", json!(400)),
    ] {
        let answer = exchange(&mut socket, &request).await;
        assert_eq!(
            (&answer["status"], &answer[field]),
            (&json!(status), &value),
            "{request}: {answer}"
        );
    }
    assert_eq!(stream.get("offset=-1").await.text(), "[0,5]");
}
