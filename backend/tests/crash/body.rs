//! The bodies that writers send, of every kind and size. Each names its writer, so that bodies of
//! different writers differ.

use bytes::Bytes;
use rand::Rng;
use rand::rngs::SmallRng;
use tailwater_protocol::headers::ContentKind;

/// The body of one append, and the content that it becomes in the stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct SentBody {
    /// The bytes to send.
    pub(crate) sent: Bytes,
    /// The content in the stream, with a comma after each JSON message, as offsets count it.
    pub(crate) kept: Bytes,
    /// The positions in `kept` at which messages end.
    pub(crate) ends: Vec<usize>,
}

/// The media type of a kind of stream.
pub(crate) fn media_type(kind: ContentKind) -> &'static str {
    match kind {
        ContentKind::Json => "application/json",
        ContentKind::Text => "text/plain",
        ContentKind::Binary => "application/octet-stream",
    }
}

/// A body that no other call returns, except for bodies of a single byte, which only name the
/// writer.
///
/// - `writer`: 0..=9.
/// - `number`: the writer's own count.
pub(crate) fn make(kind: ContentKind, writer: u8, number: u64, random: &mut SmallRng) -> SentBody {
    match kind {
        ContentKind::Json => json(writer, number, random),
        ContentKind::Text => whole(text(writer, number, random).into_bytes()),
        ContentKind::Binary => whole(binary(writer, number, random)),
    }
}

/// Typical lengths: mostly short, a few of one byte, a few very long.
fn length(random: &mut SmallRng) -> usize {
    match random.random_range(0..100) {
        0..10 => 1,
        10..70 => random.random_range(16..200),
        70..97 => random.random_range(200..4_000),
        _ => random.random_range(4_000..150_000),
    }
}

fn whole(bytes: Vec<u8>) -> SentBody {
    let bytes = Bytes::from(bytes);
    SentBody {
        sent: bytes.clone(),
        ends: vec![bytes.len()],
        kept: bytes,
    }
}

fn json(writer: u8, number: u64, random: &mut SmallRng) -> SentBody {
    let count = if random.random_ratio(1, 4) {
        random.random_range(2..6)
    } else {
        1
    };
    let messages: Vec<String> = (0..count)
        .map(|part| message(writer, number, part, random))
        .collect();
    let joined = messages.join(",");
    let is_array = count > 1 || random.random_ratio(1, 4);
    let sent = if is_array {
        format!("[{joined}]")
    } else {
        joined.clone()
    };
    let mut end = 0;
    let ends = messages.iter().map(|message| {
        end += message.len() + 1;
        end
    });
    SentBody {
        ends: ends.collect(),
        sent: sent.into(),
        kept: (joined + ",").into(),
    }
}

/// A message that only an exact copy preserves: with a number over 2^53, a duplicate key, escapes.
fn message(writer: u8, number: u64, part: usize, random: &mut SmallRng) -> String {
    let length = length(random);
    if length == 1 {
        return writer.to_string();
    }
    let filler = letters(length, random).replace('\n', "\\n");
    format!(r#"{{"w":{writer},"n":{number},"n":{part},"big":9007199254740993,"s":"{filler}"}}"#)
}

fn text(writer: u8, number: u64, random: &mut SmallRng) -> String {
    match length(random) {
        1 => char::from(b'a' + writer).to_string(),
        length => format!("W{writer}.{number}:{}\n", letters(length, random)),
    }
}

fn binary(writer: u8, number: u64, random: &mut SmallRng) -> Vec<u8> {
    match length(random) {
        1 => vec![writer],
        length => {
            let mut bytes = vec![0xf0 | writer];
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend(std::iter::repeat_with(|| random.random::<u8>()).take(length));
            bytes
        }
    }
}

/// Characters of one to four bytes and line ends, without carriage returns, which server-sent
/// events cannot carry.
fn letters(bytes: usize, random: &mut SmallRng) -> String {
    const LETTERS: [char; 16] = [
        'a', 'b', 'c', 'd', 'e', 'f', '0', '1', '2', '3', ' ', '\n', 'é', '물', '🌊', '~',
    ];
    let mut letters = String::with_capacity(bytes + 4);
    while letters.len() < bytes {
        letters.push(LETTERS[random.random_range(0..LETTERS.len())]);
    }
    letters
}
