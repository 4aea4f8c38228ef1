//! WebSocket both ways: what it appends, what it refuses, how it ends.

use super::harness::{BINARY, JSON, Server, Stream};
use super::live::{Socket, close_frame, say, socket, text};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tailwater_protocol::Problem;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

async fn open(stream: &Stream<'_>) -> Socket {
    let mut socket = socket(stream.server, &stream.target("offset=now&live=websocket")).await.unwrap();
    let first: Value = serde_json::from_str(&text(&mut socket).await.unwrap()).unwrap();
    assert_eq!(first["upToDate"], true);
    socket
}

/// What `request` is answered, passing over the stream's own frames.
async fn exchange(socket: &mut Socket, request: &str) -> Value {
    say(socket, request).await;
    loop {
        let frame = text(socket).await.expect("an answer before the end");
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
async fn an_append_is_answered_like_a_post_and_comes_back_as_data() {
    let server = Server::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    say(&mut socket, r#"{"append":{"a":9007199254740993},"id":[1,"x"]}"#).await;
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
    assert_eq!(answer.unwrap(), json!({"status": 204, "streamNextOffset": tail, "id": [1, "x"]}));
    assert!(data.unwrap().starts_with(&format!(r#"{{"data":[{{"a":9007199254740993}}],"streamNextOffset":"{tail}""#)));
}

#[tokio::test]
async fn a_frame_that_is_no_request_is_refused_and_the_connection_goes_on() {
    let server = Server::start();
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
    assert_eq!(exchange(&mut socket, r#"{"append":1,"id":7}"#).await["id"], 7);
    assert_eq!(stream.get("").await.text(), "[1]");
}

#[tokio::test]
async fn a_close_ends_every_reader_the_writer_too() {
    let server = Server::start();
    for request in [r#"{"close":true,"id":"c"}"#, r#"{"append":1,"close":true,"id":"c"}"#] {
        let stream = server.stream("it", JSON).await;
        let (mut writer, mut reader) = (open(&stream).await, open(&stream).await);
        say(&mut writer, request).await;
        assert_eq!(close_frame(&mut reader).await.code, CloseCode::Normal);
        assert_eq!(close_frame(&mut writer).await.code, CloseCode::Normal);
        let page = stream.get("").await;
        assert!(page.is("stream-closed"));
        assert_eq!(page.text(), if request.contains("append") { "[1]" } else { "[]" });
        stream.delete().await;
    }
}

#[tokio::test]
async fn an_append_and_a_close_get_their_answer_before_the_connection_ends() {
    let server = Server::start();
    for round in 0..20 {
        let stream = server.stream(&format!("it/{round}"), JSON).await;
        let mut writer = open(&stream).await;
        let answer = exchange(&mut writer, r#"{"append":1,"close":true,"id":"c"}"#).await;
        let tail = stream.tail().await;
        assert_eq!(answer, json!({"status": 204, "streamNextOffset": tail, "streamClosed": true, "id": "c"}));
        assert_eq!(close_frame(&mut writer).await.code, CloseCode::Normal);
    }
}

#[tokio::test]
async fn a_binary_frame_ends_the_connection_and_says_why() {
    let server = Server::start();
    let stream = server.stream("it", BINARY).await;
    let mut socket = open(&stream).await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    let frame = close_frame(&mut socket).await;
    assert_eq!(frame.code, CloseCode::Unsupported);
    assert!(frame.reason.contains("text"), "{frame:?}");
    assert_eq!(stream.tail().await, "0000000000000000");
}

#[tokio::test]
async fn a_message_in_fragments_and_pings_between_them_are_understood() {
    let server = Server::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    for (opcode, part, last) in
        [(Data::Text, r#"{"app"#, false), (Data::Continue, r#"end":"#, false), (Data::Continue, "1}", true)]
    {
        socket.send(Message::Frame(Frame::message(part, OpCode::Data(opcode), last))).await.unwrap();
        if !last {
            socket.send(Message::Ping("p".into())).await.unwrap();
        }
    }
    while stream.get("").await.text() != "[1]" {
        text(&mut socket).await.unwrap();
    }
}

#[tokio::test]
async fn a_plain_get_of_a_websocket_is_told_what_is_missing() {
    let server = Server::start();
    let stream = server.stream("it", JSON).await;
    let problem = stream.get("offset=-1&live=websocket").await.refuses(400);
    assert!(problem.detail.contains("WebSocket"), "{problem}");
}

#[tokio::test]
async fn a_client_that_says_goodbye_gets_its_goodbye_back() {
    let server = Server::start();
    let stream = server.stream("it", JSON).await;
    let mut socket = open(&stream).await;
    socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(close_frame(&mut socket).await.code, CloseCode::Normal);
}
