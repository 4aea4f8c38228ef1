//! JSON streams keep messages byte for byte, and know their boundaries.

use super::local_server::{JSON, LocalServer};
use reqwest::Method;

#[tokio::test]
async fn a_json_message_is_returned_byte_for_byte() {
    let server = LocalServer::start();
    for (at, message) in [
        "9007199254740993",
        "123456789012345678901234567890.000",
        "1e400",
        "-0.0",
        r#"{"a":1,"a":2}"#,
        "{ \"a\" :\t1 ,\r\n  \"b\":[1 ,\n2 ] }",
        r#""\u0041\/ \ud800 \u20ac""#,
        "\"e\u{301} \u{1F30A} \u{2028}\"",
        "null",
        "false",
        r#""""#,
    ]
    .into_iter()
    .enumerate()
    {
        let stream = server.stream(&format!("json/{at}"), JSON).await;
        let tail = stream.append(message).await;
        let page = stream.get("offset=-1").await;
        assert_eq!(page.text(), format!("[{message}]"));
        assert_eq!(page.header("content-type"), Some(JSON));
        assert_eq!(page.next_offset(), tail);
    }
}

#[tokio::test]
async fn white_space_around_a_message_is_not_stored() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    stream.append(" \r\n\t{\"a\": 1} \n").await;
    stream.append("[ 1 ,\n 2\t]").await;
    assert_eq!(stream.get("").await.text(), r#"[{"a": 1},1,2]"#);
}

#[tokio::test]
async fn an_array_is_split_into_messages_with_own_offsets() {
    let server = LocalServer::with(|config| config.page_max = 1);
    let stream = server.stream("json", JSON).await;
    stream.append(r#"[[1,2],[],{"x":[3]},[[4]]]"#).await;
    let pages = stream.pages("-1").await;
    let bodies: Vec<_> = pages.iter().map(|page| page.text()).collect();
    assert_eq!(bodies, ["[[1,2]]", "[[]]", r#"[{"x":[3]}]"#, "[[[4]]]"]);
    for page in &pages[..3] {
        let rest = stream.pages(&page.next_offset()).await;
        assert_eq!(
            rest.len(),
            pages.len()
                - 1
                - pages
                    .iter()
                    .position(|it| it.next_offset() == page.next_offset())
                    .unwrap()
        );
    }
}

#[tokio::test]
async fn an_empty_array_creates_an_empty_stream_but_appends_nothing() {
    let server = LocalServer::start();
    let put = server
        .http
        .put(server.url("/v1/stream/json"))
        .header("content-type", JSON)
        .body(" [ ]\n");
    assert_eq!(server.send(put).await.status, 201);
    let stream = server.at("json", JSON);
    assert_eq!(stream.get("").await.text(), "[]");
    for nothing in ["[]", " [\n] "] {
        stream.post(nothing).await.refuses(400);
    }
    let closing = stream
        .request(Method::POST, "")
        .header("content-type", JSON)
        .header("stream-closed", "true");
    server.send(closing.body("[]")).await.refuses(400);
    let answer = stream.get("").await;
    assert!(
        !answer.is("stream-closed"),
        "a refused append does not close the stream: {answer:?}"
    );
    assert_eq!(stream.append("1").await, "0000000000000002");
}

#[tokio::test]
async fn invalid_json_is_refused_and_changes_nothing() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    let tail = stream.append("1").await;
    let wrong: [&[u8]; 12] = [
        b"{",
        b"[1,",
        b"[1,]",
        b"1 2",
        b"{}{}",
        b"[1]x",
        b"nul",
        b"'a'",
        b"NaN",
        b"\"\xff\"",
        b"\xef\xbb\xbf1",
        b"\"\x01\"",
    ];
    for body in wrong {
        stream.post(body).await.refuses(400);
        let put = server
            .http
            .put(server.url("/v1/stream/other"))
            .header("content-type", JSON)
            .body(body);
        server.send(put).await.refuses(400);
    }
    assert_eq!(stream.tail().await, tail);
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/other").await.status,
        404,
        "a refused creation creates no stream"
    );
}

#[tokio::test]
async fn deep_nesting_is_stored_or_refused_without_harm() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    for depth in [100, 1_000, 200_000] {
        let before = stream.tail().await;
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let answer = stream.post(body.clone()).await;
        assert!(answer.status == 204 || answer.status == 400, "{answer:?}");
        if answer.status == 204 {
            assert_eq!(stream.get(&format!("offset={before}")).await.text(), body);
        }
    }
    stream.append("1").await;
}

#[tokio::test]
async fn a_content_type_is_the_same_whatever_its_case_and_parameters() {
    let server = LocalServer::start();
    let stream = server
        .stream("json", "Application/JSON; charset=utf-8")
        .await;
    for same in [
        "application/json",
        "APPLICATION/JSON;charset=UTF-8",
        " application/json ; x=y",
    ] {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", same)
            .body("1");
        assert_eq!(server.send(post).await.status, 204, "{same}");
    }
    let answer = stream.get("").await;
    assert_eq!(answer.text(), "[1,1,1]");
    assert_eq!(
        answer.header("content-type"),
        Some("Application/JSON; charset=utf-8")
    );
    for other in ["text/plain", "application/jsonx", "application/x-ndjson"] {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", other)
            .body("1");
        server.send(post).await.refuses(409);
    }
    for malformed in ["json", "application/", "/json", "a b/c", ""] {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", malformed)
            .body("1");
        server.send(post).await.refuses(400);
    }
    server
        .send(stream.request(Method::POST, "").body("1"))
        .await
        .refuses(400);
}
