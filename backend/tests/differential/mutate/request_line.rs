//! Mutations of the request line: method, target and version.

use super::{choose, insert};
use crate::script::ScriptRequest;
use rand::Rng;
use rand::rngs::SmallRng;

/// The method, the target and the rest of a plain request line.
pub(super) fn parts(request: &ScriptRequest) -> (String, String) {
    let line = String::from_utf8_lossy(&request.line).into_owned();
    let mut words = line.split(' ');
    (
        words.next().unwrap_or_default().to_owned(),
        words.next().unwrap_or_default().to_owned(),
    )
}

pub(super) fn set_target(request: &mut ScriptRequest, target: &[u8]) {
    let (method, _) = parts(request);
    request.line = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
}

pub(super) fn add_to_query(request: &mut ScriptRequest, piece: &[u8]) {
    let (_, target) = parts(request);
    let mark: &[u8] = if target.contains('?') { b"&" } else { b"?" };
    set_target(request, &[target.as_bytes(), mark, piece].concat());
}

pub(super) fn absolute_form(random: &mut SmallRng, request: &mut ScriptRequest) {
    let (_, target) = parts(request);
    let before = choose(
        random,
        &[
            "http://localhost",
            "http://evil.example",
            "http://localhost:1",
            "HTTP://LOCALHOST",
            "https://localhost",
            "http://u@localhost",
            "//localhost",
        ],
    );
    match random.random_range(0..8) {
        0 => set_target(request, b"*"),
        1 => set_target(request, b"localhost:80"),
        _ => set_target(request, format!("{before}{target}").as_bytes()),
    }
}

pub(super) fn method(random: &mut SmallRng, request: &mut ScriptRequest) {
    let (_, target) = parts(request);
    let method = choose(
        random,
        &[
            "get", "Get", "PATCH", "TRACE", "QUERY", "G", "GE T", "POSTX",
        ],
    );
    request.line = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
}

pub(super) fn path(random: &mut SmallRng, request: &mut ScriptRequest) {
    let (_, target) = parts(request);
    let (path, query) = target
        .split_once('?')
        .map_or((target.as_str(), String::new()), |(path, query)| {
            (path, format!("?{query}"))
        });
    let odd = match random.random_range(0..16) {
        0 => path.replace("text", "%74ext"),
        1 => path.replace("text", "TEXT"),
        2 => path.replacen("/v1/", "/v1//", 1),
        3 => path.replacen("/v1/", "/v1/./", 1),
        4 => format!("{path}/../text"),
        5 => format!("{path}/"),
        6 => format!("{path}%2Fx"),
        7 => format!("{path}%2fx"),
        8 => format!("{path};a=1"),
        9 => format!("{path}+x"),
        10 => format!("{path}%zz"),
        11 => format!("{path}%00"),
        12 => format!("{path}%C3%A9"),
        13 => format!("{path}/%2e%2e/text"),
        14 => path.replacen("/v1/", "/%761/", 1),
        _ => format!("{path}~._-"),
    };
    set_target(request, format!("{odd}{query}").as_bytes());
}

pub(super) fn query(random: &mut SmallRng, request: &mut ScriptRequest) {
    let pieces = [
        "x=%00",
        "x=%zz",
        "x=%",
        "x=%0D%0AStream-Seq:5",
        "offset=-1",
        "offset=",
        "offset=%2D1",
        "o%66fset=-1",
        "l%69ve=long-poll&hold=0",
        "live=long-poll&hold=0",
        "hold=nan",
        "cursor=",
        "cursor=-1",
        "x=1?y=2",
        "&&=&",
        "?",
    ];
    add_to_query(request, choose(random, &pieces).as_bytes());
}

/// Characters that a URI cannot contain.
pub(super) fn query_characters(random: &mut SmallRng, request: &mut ScriptRequest) {
    let pieces = [
        "x=\"y\"",
        "x=a b",
        "x=1 HTTP/1.1",
        "x=<y>",
        "x=`y`",
        "x={y}",
        "x=|",
        "x=\\",
        "x=^",
        "x=\u{e9}",
        "x#",
        "#",
        "#?x=1",
        "x=1 HTTP/1.0",
    ];
    add_to_query(request, choose(random, &pieces).as_bytes());
}

pub(super) fn version(random: &mut SmallRng, request: &mut ScriptRequest) {
    let (method, target) = parts(request);
    let version = choose(
        random,
        &[
            "HTTP/1.0",
            "HTTP/1.0",
            "HTTP/1.0",
            "HTTP/1.2",
            "HTTP/2.0",
            "http/1.1",
            "HTTP/1.1 ",
            "HTTP/01.1",
            "",
        ],
    );
    let keep = random.random_bool(0.3);
    request.line = format!("{method} {target} {version}\r\n").into_bytes();
    if keep {
        insert(random, request, b"Connection: keep-alive");
    }
}
