//! Where requests end, which are malformed, and which may be answered without actix.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const GET: &str = "GET /v1/stream/a/b?offset=-1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
const POST: &str = "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_plain_request_is_parsed_only_when_complete() {
    for (request, path, query, body) in [(GET, "a/b", "offset=-1", ""), (POST, "a", "", "hi")] {
        let more = format!("{request}GET");
        let parsed = PlainRequest::parse(more.as_bytes()).unwrap();
        assert_eq!(
            (parsed.path, parsed.query, parsed.body),
            (path, query, body.as_bytes())
        );
        assert_eq!(parsed.length, request.len());
        for cut in 0..request.len() {
            assert!(
                PlainRequest::parse(&request.as_bytes()[..cut]).is_none(),
                "{request} cut at {cut}"
            );
        }
    }
}

fn framed(request: &str) -> Framed {
    frame(&mut request.as_bytes().to_vec())
}

#[test]
fn a_request_ends_where_its_head_says() {
    for (request, length) in [
        (GET.to_owned(), Some(GET.len() as u64)),
        (format!("{POST}GET /"), Some(POST.len() as u64)),
        (
            POST.replace("Content-Length: 2", "Transfer-Encoding: chunked"),
            None,
        ),
        (
            GET.replacen("\r\n", "\r\nContent-Length: 70\r\n", 1),
            Some(GET.len() as u64 + 20 + 70),
        ),
    ] {
        match (framed(&request), length) {
            (
                Framed::Whole {
                    framing: RequestFraming::Length(is),
                    ..
                },
                Some(length),
            ) => {
                assert_eq!(is, length, "{request}");
            }
            (
                Framed::Whole {
                    framing: RequestFraming::Chunked { .. },
                    ..
                },
                None,
            ) => {}
            other => panic!("{request}: {other:?}"),
        }
        for cut in 0..request.find("\r\n\r\n").unwrap() + 3 {
            assert!(
                matches!(framed(&request[..cut]), Framed::Partial),
                "{request} cut at {cut}"
            );
        }
    }
}

#[test]
fn ambiguous_framing_is_malformed() {
    let with = |field: &str| POST.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
    for request in [
        GET.replace("\r\n", "\n"),
        GET.replacen("\r\n", "\n", 1),
        with("X: a\nStream-Seq: 5"),
        with("X: a\rStream-Seq: 5"),
        with("X: a\r"),
        with("X\r: a"),
        GET.replacen("\r\n", "\r", 1),
        GET.replacen("\r\n", "\r\r\n", 1),
        format!("\r{GET}"),
        format!("\r\r\n{GET}"),
        with("Content-Length: 2"),
        with("Transfer-Encoding: chunked"),
        with("Host: evil"),
        GET.replace("Host: h\r\n", ""),
        POST.replace(": 2", ": +2"),
        POST.replace(": 2", ": 2, 2"),
        POST.replace(": 2", ": 0x2"),
        POST.replace(": 2", ": 99999999999999999999"),
        GET.replace("/a/b", "/\u{e9}"),
        GET.replace("/a/b", "/a b"),
        GET.replace("/a/b", "/a#b"),
        with(" folded"),
        with("Name : value"),
        with(&["X: 1"; FIELDS_MAX].join("\r\n")),
    ] {
        assert!(
            matches!(framed(&request), Framed::Malformed(_)),
            "{request:?}"
        );
    }
}

#[test]
fn an_unsupported_upgrade_is_overwritten() {
    let upgrade = "\r\nUpgrade: websocket\r\n";
    let websocket = |more: &str| {
        GET.replace("offset", "live=websocket&offset").replacen(
            "\r\n",
            &format!("{upgrade}{more}"),
            1,
        )
    };
    for (request, stays) in [
        (websocket(""), true),
        (websocket("Content-Length: 0\r\n"), false),
        (websocket("Transfer-Encoding: chunked\r\n"), false),
        (websocket("").replace("1.1", "1.0"), false),
        (
            GET.replace("offset", "live=web%73ocket")
                .replacen("\r\n", upgrade, 1),
            true,
        ),
        (GET.replacen("\r\n", upgrade, 1), false),
        (POST.replacen("\r\n", upgrade, 1), false),
        (
            POST.replacen(
                "\r\n",
                "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
                1,
            ),
            false,
        ),
        (GET.replacen("\r\n", "\r\nupgrade: h2c\r\n", 1), false),
    ] {
        let mut bytes = request.clone().into_bytes();
        assert!(matches!(frame(&mut bytes), Framed::Whole { .. }));
        assert_eq!(
            String::from_utf8(bytes).unwrap() == request,
            stays,
            "{request}"
        );
    }
}

#[test]
fn unknown_fields_and_malformed_requests_go_to_actix() {
    let with = |field: &str| GET.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
    for request in [
        GET.replace("\r\n", "\n"),
        GET.replacen("\r\n", "\n", 1),
        GET.replace("Host: h\r\n", ""),
        GET.replace("1.1", "1.0"),
        GET.replace("GET", "HEAD"),
        GET.replace("GET", "get"),
        GET.replace("/v1/stream/", "/v1/streams/"),
        GET.replace("/a/b", "/%61"),
        GET.replace("-1", "-1#x"),
        GET.replace("-1", "\"-1\""),
        GET.replace("-1", "-1 HTTP/1.1\r\nHost: evil"),
        GET.replace(" HTTP", "\tHTTP"),
        with("Host: evil"),
        with("X: a\nStream-Seq: 5"),
        with("X: a"),
        with("Accept: a\u{1}"),
        with("Accept: a\tb"),
        with(" folded"),
        with("Accept : */*"),
        with("Content-Length: 0"),
        with("Transfer-Encoding: chunked"),
        with("Expect: 100-continue"),
        with("Upgrade: websocket"),
        with("Connection: close"),
        with("Last-Event-ID: 1"),
        POST.replace(": 2", ": +2"),
        POST.replace(": 2", ": 2, 2"),
        POST.replace(": 2", ": 0x2"),
        POST.replace("Content-Length: 2\r\n", ""),
        POST.replace(
            "Content-Length: 2",
            "Content-Length: 2\r\nContent-Length: 2",
        ),
    ] {
        assert!(
            PlainRequest::parse(request.as_bytes()).is_none(),
            "{request:?}"
        );
    }
    assert!(PlainRequest::parse(with("Connection: Keep-Alive").as_bytes()).is_some());
}

/// Requests that are well formed or nearly so.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(GET|POST|HEAD) /v1/stream/[a-z%./]{1,4}(\\?[a-z=&%+-]{0,6})? HTTP/1\\.[01]",
        "(Host|host): [a-z:1]{1,5}",
        "Content-Length: [+ ]?[0-9a]{1,2}",
        "(Content-Type|Accept|X|Stream-Seq)[ :]{1,2}[ -~\t\r\n]{0,8}",
        "Connection: (keep-alive|close|upgrade)",
        "(Transfer-Encoding: (chunked|gzip)|Upgrade: [a-z]{0,9}|Expect: 100-continue)",
    ];
    let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let first = prop_oneof![4 => Just(GET.split_once("Accept").unwrap().0), 4 => Just(POST.split_once("Content-L").unwrap().0), 1 => Just("")];
    (first, vec((line, end), 0..5), vec(any::<u8>(), 0..12)).prop_map(|(first, lines, body)| {
        let lines: String = lines
            .iter()
            .flat_map(|(line, end)| [&**line, *end])
            .collect();
        [first.as_bytes(), lines.as_bytes(), b"\r\n", &body].concat()
    })
}

proptest! {
    #[test]
    fn a_plain_request_ends_where_the_frame_does(request in request()) {
        let framed = frame(&mut request.clone());
        match (PlainRequest::parse(&request), &framed) {
            (Some(parsed), Framed::Whole { framing: RequestFraming::Length(length), is_plain: true }) => {
                prop_assert_eq!(parsed.length as u64, *length);
                let head = &request[..parsed.length - parsed.body.len()];
                let lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
                prop_assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(b"\r")), "each line ends with both");
                // The request line, a line for each field, an empty line, and nothing after the
                // last line end.
                prop_assert_eq!(lines.len(), parsed.headers.fields.len() + 3);
            }
            (Some(_), framed) => prop_assert!(false, "plain, but framed as {framed:?}"),
            (None, Framed::Whole { framing: RequestFraming::Length(length), is_plain: true }) => {
                prop_assert!(*length > request.len() as u64, "whole, but not parsed");
            }
            (None, _) => {}
        }
    }

    #[test]
    fn framing_does_not_depend_on_the_split(request in request()) {
        let whole = format!("{:?}", frame(&mut request.clone()));
        for cut in 0..request.len() {
            let partial = frame(&mut request[..cut].to_vec());
            prop_assert!(matches!(partial, Framed::Partial | Framed::Malformed(_)) || format!("{partial:?}") == whole, "{cut}");
            if matches!(partial, Framed::Malformed(_)) {
                prop_assert!(whole.starts_with("Malformed"), "{cut}: {partial:?}, then {whole}");
            }
        }
    }
}
