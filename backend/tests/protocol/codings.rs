//! Compressed request bodies are stored decoded, and those that cannot be decoded are refused with
//! a reason.

use super::local_server::{BINARY, JSON, LocalServer, TEXT};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Write;
use tailwater_harness::{RawConnection, Response};
use tailwater_protocol::Problem;

/// The supported codings, as `Accept-Encoding` lists them.
const SUPPORTED: &str = "gzip, deflate, br, zstd";

/// `data` in every supported coding, under each of its names.
fn codings(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = Compression::default();
    let mut gzip = GzEncoder::new(Vec::new(), level);
    gzip.write_all(data).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(data).unwrap();
    let mut bare = DeflateEncoder::new(Vec::new(), level);
    bare.write_all(data).unwrap();
    let mut brotli = Vec::new();
    brotli::CompressorWriter::new(&mut brotli, 4096, 5, 20)
        .write_all(data)
        .unwrap();
    vec![
        ("gzip", gzip.clone()),
        ("GZIP", gzip.clone()),
        ("x-gzip", gzip.clone()),
        ("X-GZip", gzip),
        ("deflate", zlib.finish().unwrap()),
        ("Deflate", bare.finish().unwrap()),
        ("br", brotli.clone()),
        ("BR", brotli),
        ("zstd", compress_to_vec(data, CompressionLevel::Fastest)),
    ]
}

/// One way of sending a body.
#[derive(Debug, Clone, Copy)]
struct CodingCase {
    /// Whether the connection has already answered another request.
    follows: bool,
    is_chunked: bool,
}

const WAYS: [CodingCase; 4] = [
    CodingCase {
        follows: false,
        is_chunked: false,
    },
    CodingCase {
        follows: false,
        is_chunked: true,
    },
    CodingCase {
        follows: true,
        is_chunked: false,
    },
    CodingCase {
        follows: true,
        is_chunked: true,
    },
];

impl CodingCase {
    /// Sends a request with a body; returns the head of the response, and the connection.
    async fn send(
        self,
        server: &LocalServer,
        line: &str,
        fields: &str,
        body: &[u8],
    ) -> (Response, RawConnection) {
        let mut wire = server.connect().await;
        if self.follows {
            wire.send(format!(
                "GET /v1/stream/none HTTP/1.1\r\nHost: {}\r\n\r\n",
                server.address
            ))
            .await;
            let head = wire.head().await;
            assert_eq!(head.status, 404);
            wire.body().await;
        }
        let mut request =
            format!("{line} HTTP/1.1\r\nHost: {}\r\n{fields}", server.address).into_bytes();
        if self.is_chunked {
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(body.len().div_ceil(3).max(1)) {
                request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                request.extend_from_slice(piece);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
        } else {
            request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(body);
        }
        wire.try_send(request).await;
        (wire.head().await, wire)
    }
}

#[tokio::test]
async fn a_compressed_body_is_stored_decoded() {
    let server = LocalServer::start();
    let mut number = 0;
    for (content_type, data, stored) in [
        (
            JSON,
            r#"[{"a":"é"},  2]"#.as_bytes(),
            r#"[{"a":"é"},2]"#.as_bytes(),
        ),
        (TEXT, "a\r\né".as_bytes(), "a\r\né".as_bytes()),
        (BINARY, b"\0\xff\x1f\x8b", b"\0\xff\x1f\x8b"),
    ] {
        let plain = [
            ("identity", data.to_vec()),
            ("Identity", data.to_vec()),
            ("", data.to_vec()),
        ];
        for (coding, body) in codings(data).into_iter().chain(plain) {
            for way in WAYS {
                number += 1;
                let fields =
                    format!("Content-Type: {content_type}\r\nContent-Encoding: {coding}\r\n");
                let target = format!("/v1/stream/{number}");
                let (made, _) = way
                    .send(&server, &format!("PUT {target}"), &fields, &body)
                    .await;
                assert_eq!(made.status, 201, "{coding} {way:?}");
                let page = server.ask(reqwest::Method::GET, &target).await;
                assert_eq!(page.body, stored, "PUT {content_type} {coding} {way:?}");

                let (appended, mut wire) = way
                    .send(&server, &format!("POST {target}"), &fields, &body)
                    .await;
                assert_eq!(appended.status, 204, "{coding} {way:?}");
                assert_eq!(appended.header("connection"), None, "{coding} {way:?}");
                let from = made.header("stream-next-offset").unwrap();
                let page = server
                    .ask(reqwest::Method::GET, &format!("{target}?offset={from}"))
                    .await;
                assert_eq!(page.body, stored, "POST {content_type} {coding} {way:?}");
                // The connection serves another request.
                wire.send(format!(
                    "HEAD {target} HTTP/1.1\r\nHost: {}\r\n\r\n",
                    server.address
                ))
                .await;
                let head = wire.head().await;
                assert_eq!(
                    (head.status, head.header("stream-next-offset")),
                    (200, Some(&*page.next_offset()))
                );
            }
        }
    }
}

#[tokio::test]
async fn an_empty_body_is_empty_in_every_coding() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    // An empty body, and a compressed empty body.
    let nothing = codings(b"")
        .into_iter()
        .flat_map(|(coding, body)| [(coding, Vec::new()), (coding, body)]);
    for (number, (coding, body)) in nothing.chain([("identity", Vec::new())]).enumerate() {
        for way in WAYS {
            let fields = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
            let (refused, mut wire) = way
                .send(&server, "POST /v1/stream/it", &fields, &body)
                .await;
            let problem = Problem::parse(wire.body().await.as_bytes()).unwrap();
            assert_eq!(
                (refused.status, &*problem.kind),
                (400, "#body"),
                "{coding} {way:?} {problem}"
            );
            let target = format!(
                "PUT /v1/stream/new/{number}/{}{}",
                way.follows, way.is_chunked
            );
            let (made, _) = way.send(&server, &target, &fields, &body).await;
            assert_eq!(
                made.header("stream-next-offset"),
                Some("0000000000000000"),
                "{coding} {way:?}"
            );
        }
    }
    assert_eq!(stream.tail().await, "0000000000000000");
}

#[tokio::test]
async fn a_body_too_long_when_decoded_is_413_and_an_invalid_one_400() {
    let server = LocalServer::with(|config| config.body_max = 10_000);
    let stream = server.stream("it", TEXT).await;
    let bombs = codings(&[b'x'; 10_001])
        .into_iter()
        .map(|(coding, body)| (coding, body, 413, "#body-too-large"));
    let garbage = codings(b"")
        .into_iter()
        .map(|(coding, _)| (coding, b"not coded".to_vec(), 400, "#body-broken"));
    let whole = b"0123456789".repeat(100);
    let cut = codings(&whole).into_iter().map(|(coding, mut body)| {
        body.truncate(body.len() / 2);
        (coding, body, 400, "#body-broken")
    });
    for (coding, body, status, kind) in bombs.chain(garbage).chain(cut) {
        for way in WAYS {
            for line in ["POST /v1/stream/it", "PUT /v1/stream/other"] {
                let fields = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
                let (head, mut wire) = way.send(&server, line, &fields, &body).await;
                assert_eq!(head.status, status, "{line} {coding} {way:?}");
                let problem = Problem::parse(wire.body().await.as_bytes()).unwrap();
                assert_eq!(problem.kind, kind, "{line} {coding} {way:?}");
            }
        }
    }
    for (coding, body) in codings(&[b'x'; 10_000]) {
        let fields = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
        assert_eq!(
            WAYS[0]
                .send(&server, "POST /v1/stream/it", &fields, &body)
                .await
                .0
                .status,
            204,
            "{coding}"
        );
    }
    assert_eq!(stream.get("").await.body.len(), 10_000 * codings(b"").len());
    assert_eq!(
        server
            .ask(reqwest::Method::HEAD, "/v1/stream/other")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn an_unsupported_coding_is_415_with_the_supported_ones() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    for coding in [
        "compress",
        "lzma",
        "gzip, gzip",
        "gzip,identity",
        "identity, br",
        "gzip;q=1",
        "*",
        "g zip",
        "identity, identity",
    ] {
        for way in WAYS {
            for line in ["POST /v1/stream/it", "PUT /v1/stream/other"] {
                let fields = format!("Content-Type: text/plain\r\nContent-Encoding: {coding}\r\n");
                let (head, mut wire) = way.send(&server, line, &fields, b"x").await;
                assert_eq!(
                    (head.status, head.header("accept-encoding")),
                    (415, Some(SUPPORTED)),
                    "{line} {coding} {way:?}"
                );
                let problem = Problem::parse(wire.body().await.as_bytes()).unwrap();
                assert!(problem.detail.contains(coding), "{line} {way:?}: {problem}");
            }
        }
    }
    assert_eq!(stream.tail().await, "0000000000000000");
    assert_eq!(
        server
            .ask(reqwest::Method::HEAD, "/v1/stream/other")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn two_coding_fields_are_refused_like_one_with_two_codings() {
    let server = LocalServer::start();
    server.stream("it", TEXT).await;
    for way in WAYS {
        for line in ["POST /v1/stream/it", "PUT /v1/stream/other"] {
            let fields =
                "Content-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\n";
            let (head, _) = way.send(&server, line, fields, b"x").await;
            assert_eq!(
                (head.status, head.header("accept-encoding")),
                (415, Some(SUPPORTED)),
                "{line} {way:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_import_refuses_every_coding_by_name() {
    let server = LocalServer::start();
    for coding in [
        "gzip",
        "compress",
        "gzip, br",
        "gzip\r\nContent-Encoding: br",
    ] {
        let fields = format!("Content-Encoding: {coding}\r\n");
        let (head, _) = WAYS[0]
            .send(&server, "PUT /v1/import/it", &fields, b"x")
            .await;
        assert_eq!(
            (head.status, head.header("accept-encoding")),
            (415, Some("identity")),
            "{coding}"
        );
    }
}
