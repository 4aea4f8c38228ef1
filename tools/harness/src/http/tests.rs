//! Tests of the decoder with responses in any split.

use super::{BodyLength, DecodeError, DecodedHead, ResponseDecoder, ResponsePart};
use std::borrow::Cow;

/// The meaning of the bytes in `pieces`: `<STATUS>` for a head, `|` for the end of a chunk, `<end>`
/// for that of a response, and the data between them.
fn decoded<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    to_head: bool,
) -> Result<String, DecodeError> {
    let (mut decoder, mut seen) = (ResponseDecoder::new(), Vec::new());
    if to_head {
        decoder.expect_no_body();
    }
    let mut note = |part: ResponsePart<'_>| match part {
        ResponsePart::Head(head) => seen.extend(format!("<{}>", head.status).bytes()),
        ResponsePart::Data(data) => seen.extend_from_slice(data),
        ResponsePart::ChunkEnd => seen.push(b'|'),
        ResponsePart::Trailer { name, value } => seen.extend(format!("<{name}={value}>").bytes()),
        ResponsePart::End => seen.extend_from_slice(b"<end>"),
    };
    for mut piece in pieces {
        while let Some(part) = decoder.next(&mut piece)? {
            note(part);
        }
        if !piece.is_empty() {
            assert!(decoder.is_upgraded());
            note(ResponsePart::Data(piece));
        }
    }
    if let Some(part) = decoder.finish()? {
        note(part);
    }
    Ok(String::from_utf8(seen).expect("text"))
}

const CASES: [(&[u8], &str); 8] = [
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
        "<200>abc<end><204><end>",
    ),
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n",
        "<200>abc|0123456789|<end><201><end>",
    ),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: r\r\nSecond:  s t \r\n\r\nHTTP/1.1 204 N\r\n\r\n",
        "<200>a|<T=r><Second=s t><end><204><end>",
    ),
    (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n",
        "<304><end><200><end>",
    ),
    (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end\r\n\r\n",
        "<100><end><200>to the end\r\n\r\n<end>",
    ),
    (b"HTTP/1.0 200 OK\r\n\r\n", "<200><end>"),
    (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nHTTP no more",
        "<101><end>HTTP no more",
    ),
    (b"", ""),
];

#[test]
fn responses_do_not_depend_on_where_bytes_are_split() {
    for (bytes, meaning) in CASES {
        for at in 0..=bytes.len() {
            let (before, after) = bytes.split_at(at);
            let seen = decoded([before, after], false);
            assert_eq!(seen.as_deref(), Ok(meaning), "cut at {at}");
        }
        for step in 1..=bytes.len() {
            let seen = decoded(bytes.chunks(step), false);
            assert_eq!(seen.as_deref(), Ok(meaning), "cut every {step} bytes");
        }
    }
}

#[test]
fn a_response_to_head_has_no_body_and_the_next_one_may() {
    let bytes: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
                         HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    assert_eq!(
        decoded([bytes], true).as_deref(),
        Ok("<100><end><200><end><200>a<end>")
    );
}

#[test]
fn malformed_responses_are_refused_in_any_split() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("SSH-2.0\r\n\r\n".to_owned(), "a status line"),
        ("HTTP/2.0 200 OK\r\n\r\n".to_owned(), "a status line"),
        ("HTTP/1.1 2000 OK\r\n\r\n".to_owned(), "a status line"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(), "a status line"),
        (
            "HTTP/1.1 200 OK\nX: y\r\n\r\n".to_owned(),
            "the head of a response",
        ),
        (
            "HTTP/1.1 200 OK\r\nX : y\r\n\r\n".to_owned(),
            "the head of a response",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n".to_owned(),
            "the head of a response",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: \u{0}\r\n\r\n".to_owned(),
            "the head of a response",
        ),
        (format!("{chunked}xyz\r\n"), "a chunk's size"),
        (format!("{chunked}+1\r\n"), "a chunk's size"),
        (format!("{chunked}1 \r\n"), "a chunk's size"),
        (format!("{chunked}1;a=b\r\n"), "a chunk's size"),
        (format!("{chunked}\r\n"), "a chunk's size"),
        (format!("{chunked}11112222333344445\r\n"), "a chunk's size"),
        (format!("{chunked}1\r\nab\r\n"), "a chunk's end"),
        (format!("{chunked}0\r\nno field\r\n\r\n"), "a trailer"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n".to_owned(),
            "a content length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n".to_owned(),
            "a content length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n".to_owned(),
            "one length of the body",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            "one length of the body",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
            "chunked as the only transfer coding",
        ),
    ];
    for (text, expected) in cases {
        for step in 1..=text.len() {
            let seen = decoded(text.as_bytes().chunks(step), false);
            let fault = seen.expect_err(&text);
            assert_eq!(fault.expected, expected, "{text:?} every {step} bytes");
        }
    }
}

#[test]
fn a_connection_that_ends_within_a_response_is_an_error() {
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let head = whole.find("\r\n\r\n").expect("a head") + 4;
    for at in 1..whole.len() {
        let fault = decoded([&whole.as_bytes()[..at]], false).expect_err("it is not whole");
        let expected = if at < head {
            "the rest of a head"
        } else {
            "the rest of a body"
        };
        assert_eq!(fault.expected, expected, "after {at} bytes");
    }
}

#[test]
fn an_endless_head_is_refused() {
    let fault = decoded([&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 70_000]], false);
    assert_eq!(
        fault.expect_err("it is too long").expected,
        "the end of a line or a head"
    );
}

#[test]
fn a_head_yields_its_fields_and_its_exact_bytes() {
    let text = "HTTP/1.1 200 Fine by me\r\nStream-Next-Offset: 7\r\nEtag:\"a\"\r\nX: 1\r\nx:\t2 \r\nEmpty:\r\n\r\n";
    let head = DecodedHead::parse(Cow::Borrowed(text.as_bytes())).expect("a head");
    assert_eq!(head.text(), text);
    assert_eq!(
        (head.line(), head.status, head.is_success()),
        ("HTTP/1.1 200 Fine by me", 200, true)
    );
    assert_eq!(head.header("stream-next-offset"), Some("7"));
    assert_eq!(head.header("ETAG"), Some("\"a\""));
    assert_eq!(head.header("stream"), None);
    let fields: Vec<_> = head.fields().iter().collect();
    assert_eq!(
        fields,
        [
            ("Stream-Next-Offset", "7"),
            ("Etag", "\"a\""),
            ("X", "1"),
            ("x", "2"),
            ("Empty", "")
        ]
    );
    assert_eq!(head.body_length(false), Ok(BodyLength::UntilClosed));
    assert_eq!(head.body_length(true), Ok(BodyLength::None));
}
