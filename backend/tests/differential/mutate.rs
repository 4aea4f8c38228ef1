//! Mutations of plain requests.

mod request_line;

use crate::framing::{content_length, trailing_bytes, transfer_encoding};
use crate::generate::{pick, stream_target};
use crate::script::{Answers, ETAG, MutationClass, ScriptRequest};
use crate::server_settings::BODY_MAX;
use rand::Rng;
use rand::rngs::SmallRng;
use request_line::{
    absolute_form, add_to_query, method, parts, path, query, query_characters, set_target, version,
};

/// A mutation and its class.
#[derive(Debug)]
pub(crate) struct Mutation {
    pub(crate) class: MutationClass,
    /// Whether it may be applied to a read that waits.
    pub(crate) on_waits: bool,
    pub(crate) apply: fn(&mut SmallRng, &mut ScriptRequest),
}

const fn of(class: MutationClass, apply: fn(&mut SmallRng, &mut ScriptRequest)) -> Mutation {
    Mutation {
        class,
        on_waits: false,
        apply,
    }
}

const fn on_waits(class: MutationClass, apply: fn(&mut SmallRng, &mut ScriptRequest)) -> Mutation {
    Mutation {
        class,
        on_waits: true,
        apply,
    }
}

/// All mutations.
pub(crate) const MUTATIONS: [Mutation; 22] = [
    of(MutationClass::AbsoluteForm, absolute_form),
    of(MutationClass::BareLineFeed, bare_line_feed),
    on_waits(MutationClass::BodyOnRead, body_on_read),
    on_waits(MutationClass::Conditional, conditional),
    on_waits(MutationClass::Connection, connection),
    of(MutationClass::ContentLength, content_length),
    of(MutationClass::Control, control),
    on_waits(MutationClass::Expect, expect),
    on_waits(MutationClass::FieldShape, field_shape),
    of(MutationClass::FieldsRepeated, fields_repeated),
    of(MutationClass::Gate, gate),
    of(MutationClass::LongField, long_field),
    of(MutationClass::Method, method),
    of(MutationClass::ObsFold, obs_fold),
    of(MutationClass::Path, path),
    of(MutationClass::Producer, producer),
    of(MutationClass::Query, query),
    of(MutationClass::QueryCharacters, query_characters),
    of(MutationClass::StreamFields, stream_fields),
    of(MutationClass::TrailingBytes, trailing_bytes),
    of(MutationClass::TransferEncoding, transfer_encoding),
    of(MutationClass::Version, version),
];

pub(crate) fn choose(random: &mut SmallRng, choices: &[&'static str]) -> &'static str {
    choices[random.random_range(0..choices.len())]
}

/// Inserts a field at a random position.
pub(crate) fn insert(random: &mut SmallRng, request: &mut ScriptRequest, field: &[u8]) {
    let at = random.random_range(0..=request.fields.len());
    request.fields.insert(at, [field, b"\r\n"].concat());
}

fn bare_line_feed(random: &mut SmallRng, request: &mut ScriptRequest) {
    let bare = |line: &mut Vec<u8>| {
        line.truncate(line.len() - 2);
        line.push(b'\n');
    };
    match random.random_range(0..6) {
        0 => bare(&mut request.line),
        1 => bare(&mut request.end),
        2 => {
            bare(&mut request.line);
            request.fields.iter_mut().for_each(bare);
            bare(&mut request.end);
        }
        3 => insert(random, request, b"X: a\nStream-Seq: 5"),
        4 => add_to_query(request, b"x=1 HTTP/1.1\nHost: evil.example"),
        _ => {
            let at = random.random_range(0..request.fields.len());
            bare(&mut request.fields[at]);
        }
    }
}

/// A request that would delete a stream.
fn smuggled() -> Vec<u8> {
    format!(
        "DELETE {} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        stream_target("victim")
    )
    .into_bytes()
}

fn body_on_read(random: &mut SmallRng, request: &mut ScriptRequest) {
    let mut body = if random.random_bool(0.7) {
        smuggled()
    } else {
        b"a body".to_vec()
    };
    if random.random_bool(0.2) {
        // More than the server reads before it decides.
        body.resize(BODY_MAX + 1_000, b'x');
    }
    request
        .fields
        .retain(|field| !field.starts_with(b"Content-Length"));
    if random.random_bool(0.2) {
        insert(random, request, b"Expect: 100-continue");
    }
    if random.random_bool(0.7) {
        *request = request.clone().with_body(&body);
    } else {
        insert(random, request, b"Transfer-Encoding: chunked");
        request.body = [
            format!("{:x}\r\n", body.len()).as_bytes(),
            &body,
            b"\r\n0\r\n\r\n",
        ]
        .concat();
    }
}

fn conditional(random: &mut SmallRng, request: &mut ScriptRequest) {
    let value = choose(
        random,
        &[
            ETAG,
            "*",
            "\"x\"",
            "W/\"1\"",
            "{etag}, \"y\"",
            "\"x\", {etag}",
            "",
            "x",
            "\"0000000000000003\"",
        ],
    );
    let name = choose(
        random,
        &[
            "If-None-Match",
            "if-none-match",
            "If-Match",
            "If-Modified-Since",
            "Range",
            "Accept-Encoding",
        ],
    );
    insert(random, request, format!("{name}: {value}").as_bytes());
    // Not an entity tag: the refusal would quote it, and tags differ between the servers.
    if random.random_bool(0.2) {
        let last = choose(
            random,
            &[
                "0000000000000000",
                "0000000000000003",
                "-1",
                "now",
                "",
                "x",
                "0000000000000000_1",
            ],
        );
        insert(random, request, format!("Last-Event-ID: {last}").as_bytes());
    }
}

fn connection(random: &mut SmallRng, request: &mut ScriptRequest) {
    let value = choose(
        random,
        &[
            "close",
            "Close",
            "CLOSE",
            "keep-alive",
            "Keep-Alive",
            "upgrade",
            "close, x",
            "x, close",
            "keep-alive, close",
            "",
            "te",
        ],
    );
    request
        .fields
        .retain(|field| !field.starts_with(b"Connection"));
    let name = choose(random, &["Connection", "connection", "CONNECTION"]);
    insert(random, request, format!("{name}: {value}").as_bytes());
    if random.random_bool(0.2) {
        insert(random, request, b"Upgrade: h2c");
    }
}

fn control(random: &mut SmallRng, request: &mut ScriptRequest) {
    let byte = *pick(random, &[0_u8, 1, 8, 9, 11, 12, 13, 27, 127, 128, 255]);
    match random.random_range(0..4) {
        0 => add_to_query(request, &[b"x=a", &[byte][..], b"b"].concat()),
        1 => insert(random, request, &[b"X-Odd: a", &[byte][..], b"b"].concat()),
        2 => insert(random, request, &[b"X-O", &[byte][..], b"dd: a"].concat()),
        _ => {
            let (_, target) = parts(request);
            set_target(request, &[target.as_bytes(), &[byte][..], b"x"].concat());
        }
    }
}

fn expect(random: &mut SmallRng, request: &mut ScriptRequest) {
    let value = choose(random, &["100-continue", "100-Continue", "nonsense", ""]);
    insert(random, request, format!("Expect: {value}").as_bytes());
}

fn field_shape(random: &mut SmallRng, request: &mut ScriptRequest) {
    match random.random_range(0..9) {
        0 => insert(random, request, b"X-Empty:"),
        1 => insert(random, request, b"X-Spaced:   \t a \t "),
        2 => insert(random, request, "X-Text: \u{e9}\u{4e2d}".as_bytes()),
        3 => insert(random, request, b"Space-Before : a"),
        4 => insert(random, request, b"no colon"),
        5 => insert(random, request, b": no name"),
        6 => insert(random, request, b"X(odd): a"),
        7 => {
            let at = random.random_range(0..request.fields.len());
            let name = request.fields[at]
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(0);
            request.fields[at][..name].make_ascii_uppercase();
        }
        _ => {
            let at = random.random_range(0..request.fields.len());
            request.fields[at].make_ascii_lowercase();
        }
    }
}

fn fields_repeated(random: &mut SmallRng, request: &mut ScriptRequest) {
    if random.random_bool(0.5) {
        let again = pick(random, &request.fields).clone();
        let at = random.random_range(0..=request.fields.len());
        return request.fields.insert(at, again);
    }
    let other = choose(
        random,
        &[
            "Host: localhost:2",
            "Host: evil.example",
            "Content-Length: 3",
            "Content-Type: text/plain",
            "Content-Type: text/html",
            "Origin: http://evil.example",
            "Origin: http://localhost:3",
            "If-None-Match: \"z\"",
            "Accept: text/html",
        ],
    );
    if other.starts_with("Content-Length") {
        request.answers = Answers::Unknown;
    }
    insert(random, request, other.as_bytes());
}

fn gate(random: &mut SmallRng, request: &mut ScriptRequest) {
    match random.random_range(0..6) {
        0 => {
            let host = choose(
                random,
                &[
                    "Host: evil.example",
                    "Host:",
                    "Host: LOCALHOST",
                    "Host: 127.0.0.1",
                    "Host: [::1]:4",
                    "Host: localhost evil",
                    "Host: localhost/x",
                    "Host: u@localhost",
                    "Host: localhost:x",
                ],
            );
            request.fields.retain(|field| !field.starts_with(b"Host"));
            insert(random, request, host.as_bytes());
        }
        1 => request.fields.retain(|field| !field.starts_with(b"Host")),
        2 => insert(random, request, b"Sec-Fetch-Site: cross-site"),
        _ => {
            let origin = choose(
                random,
                &[
                    "http://evil.example",
                    "null",
                    "",
                    "http://localhost",
                    "HTTP://LOCALHOST:5",
                    "localhost",
                    "http://127.0.0.1:1",
                ],
            );
            request.fields.retain(|field| !field.starts_with(b"Origin"));
            insert(random, request, format!("Origin: {origin}").as_bytes());
        }
    }
}

fn long_field(random: &mut SmallRng, request: &mut ScriptRequest) {
    let length = *pick(random, &[300, 4_000, 9_000, 17_000]);
    let value = "v".repeat(length);
    if random.random_bool(0.3) {
        return add_to_query(request, format!("x={value}").as_bytes());
    }
    insert(random, request, format!("X-Long: {value}").as_bytes());
}

fn obs_fold(random: &mut SmallRng, request: &mut ScriptRequest) {
    let field = choose(
        random,
        &[
            "X-Folded: a\r\n b",
            "X-Folded: a\r\n\tb",
            "X-Folded:\r\n b",
            "X-Folded: a\r\n Stream-Seq: 5",
        ],
    );
    insert(random, request, field.as_bytes());
}

fn producer(random: &mut SmallRng, request: &mut ScriptRequest) {
    let (epoch, seq) = (random.random_range(0..2), random.random_range(0..3));
    insert(random, request, b"Producer-Id: p");
    insert(
        random,
        request,
        format!("Producer-Epoch: {epoch}").as_bytes(),
    );
    if random.random_bool(0.9) {
        insert(random, request, format!("producer-seq: {seq}").as_bytes());
    }
}

fn stream_fields(random: &mut SmallRng, request: &mut ScriptRequest) {
    let field = choose(
        random,
        &[
            "Stream-Seq: 5",
            "Stream-Seq: 4",
            "Stream-Seq:",
            "Stream-Closed: true",
            "stream-closed: TRUE",
            "Stream-Closed: false",
            "Stream-Closed:",
            "Stream-TTL: 3600",
            "Stream-TTL: x",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: TEXT/PLAIN",
            "Content-Type:",
            "Content-Encoding: identity",
            "Accept: application/json",
            "Cache-Control: no-cache",
            "TE: trailers",
        ],
    );
    if field.starts_with("Content-Type") {
        request
            .fields
            .retain(|field| !field.starts_with(b"Content-Type"));
    }
    insert(random, request, field.as_bytes());
}
