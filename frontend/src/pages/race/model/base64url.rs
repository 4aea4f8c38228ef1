//! Base64 for addresses, without padding. Source: RFC 4648, section 5.
//!
//! Written here, as the encoder of the base64 crate is in no other part of the dashboard and has many times the size.

use tailwater_protocol::base64;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text for some bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let (mut text, mut bits, mut held) = (String::new(), 0_usize, 0);
    for byte in bytes {
        bits = bits << 8 | usize::from(*byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            text.push(char::from(LETTERS[bits >> held & 63]));
        }
        bits &= 63;
    }
    if held > 0 {
        text.push(char::from(LETTERS[bits << (6 - held) & 63]));
    }
    text
}

/// The bytes of a text; `None` if it is not valid.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    base64::decode(text.as_bytes(), *b"-_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source of the texts: RFC 4648, section 10, without padding.
    #[test]
    fn texts_are_those_of_the_rfc() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff\xbf", "-_-_"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
    }

    #[test]
    fn other_texts_are_not_read() {
        for text in ["Z", "Zh", "Zg==", "Zm9v\n", "+/+/", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
