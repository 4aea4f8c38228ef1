//! Mutations that make the end of a request ambiguous.

use super::mutate::{choose, insert};
use super::script::{Answers, ScriptRequest};
use rand::Rng;
use rand::rngs::SmallRng;

pub(crate) fn content_length(random: &mut SmallRng, request: &mut ScriptRequest) {
    let Some(at) = request
        .fields
        .iter()
        .position(|field| field.starts_with(b"Content-Length"))
    else {
        let field = choose(
            random,
            &["Content-Length: 0", "Content-Length: x", "Content-Length:"],
        );
        return insert(random, request, field.as_bytes());
    };
    let length = request.body.len();
    let value = match random.random_range(0..12) {
        0 => format!("+{length}"),
        1 => format!("0x{length}"),
        2 => String::new(),
        3 => format!("-{length}"),
        4 => format!("0{length}"),
        5 => format!("{length}, {length}"),
        6 => format!("{length} "),
        7 => "99999999999999999999".to_owned(),
        8 => format!("{}", length + 7),
        9 => format!("{}", length.saturating_sub(1)),
        10 => format!("\t{length}"),
        _ => format!("{length}.0"),
    };
    request.fields[at] = format!("Content-Length: {value}\r\n").into_bytes();
    request.answers = Answers::Unknown;
}

pub(crate) fn trailing_bytes(random: &mut SmallRng, request: &mut ScriptRequest) {
    let piece = choose(
        random,
        &[
            "\r\n",
            "\r\n\r\n",
            "\n",
            "garbage",
            "garbage\r\n\r\n",
            "\0",
            " ",
            "GET / HTTP/1.1\r\n\r\n",
        ],
    );
    request.answers = Answers::Unknown;
    if random.random_bool(0.3) {
        request.line = [
            choose(random, &["\r\n", "\n", " "]).as_bytes(),
            &request.line,
        ]
        .concat();
    } else {
        request.body.extend_from_slice(piece.as_bytes());
    }
}

pub(crate) fn transfer_encoding(random: &mut SmallRng, request: &mut ScriptRequest) {
    let body = std::mem::take(&mut request.body);
    let value = choose(
        random,
        &[
            "chunked",
            "chunked",
            "Chunked",
            "CHUNKED",
            "gzip, chunked",
            "identity",
            "chunked, chunked",
            "xchunked",
            "chunked;x=1",
            "",
        ],
    );
    if random.random_bool(0.8) {
        request
            .fields
            .retain(|field| !field.starts_with(b"Content-Length"));
    }
    insert(
        random,
        request,
        format!("Transfer-Encoding: {value}").as_bytes(),
    );
    if random.random_bool(0.1) {
        insert(random, request, b"Transfer-Encoding: chunked");
    }
    let (extension, size_end) = (
        choose(random, &["", "", "", ";a=b", ";a=\"b\"", " "]),
        choose(random, &["\r\n", "\r\n", "\r\n", "\n"]),
    );
    let trailer = choose(
        random,
        &["", "", "", "X-Trailer: a\r\n", "Stream-Closed: true\r\n"],
    );
    if !body.is_empty() {
        let first = format!("{:x}{extension}{size_end}", body.len());
        request.body = [first.as_bytes(), &body, b"\r\n"].concat();
    }
    request.body.extend_from_slice(
        format!(
            "{}\r\n{trailer}\r\n",
            choose(random, &["0", "0", "0", "00", "0;x"])
        )
        .as_bytes(),
    );
    if random.random_bool(0.1) {
        request
            .body
            .splice(0..0, choose(random, &["+", "0x", "-", "g", " "]).bytes());
    }
    request.answers = Answers::Unknown;
}
