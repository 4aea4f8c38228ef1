//! Header fields of a response, stored as the lines of HTTP/1.1, since most responses are sent so.

use http::header::{HeaderName, HeaderValue};
use tailwater_protocol::StreamOffset;

/// Initial capacity, enough for most responses.
const USUAL_BYTES: usize = 384;

/// Header fields, each a line ended by CR LF.
#[derive(Debug, Clone)]
pub struct Fields {
    lines: Vec<u8>,
}

/// A value of a header field.
pub trait FieldValue {
    /// Appends the value as text.
    fn push_to(&self, out: &mut Vec<u8>);

    /// Whether it has no control characters, which would end its line.
    fn is_printable(&self) -> bool {
        true
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            lines: Vec::with_capacity(USUAL_BYTES),
        }
    }
}

impl Fields {
    /// Adds one field; each name at most once. A field whose value has control characters is
    /// omitted.
    pub fn put(&mut self, name: &HeaderName, value: &(impl FieldValue + ?Sized)) {
        if value.is_printable() {
            self.lines.extend_from_slice(name.as_str().as_bytes());
            self.lines.extend_from_slice(b": ");
            value.push_to(&mut self.lines);
            self.lines.extend_from_slice(b"\r\n");
        }
    }

    /// Adds all fields of `others`.
    pub fn extend(&mut self, others: &Self) {
        self.lines.extend_from_slice(&others.lines);
    }

    /// Frees unused capacity.
    pub fn shrink_to_fit(&mut self) {
        self.lines.shrink_to_fit();
    }

    /// The fields as sent over HTTP/1.1.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The fields one by one, for HTTP libraries.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let line = line.strip_suffix(b"\r")?;
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line[colon + 1..].trim_ascii_start();
            Some((
                HeaderName::from_bytes(&line[..colon]).ok()?,
                HeaderValue::from_bytes(value).ok()?,
            ))
        })
    }
}

impl FieldValue for str {
    fn push_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn is_printable(&self) -> bool {
        !self.bytes().any(|byte| byte.is_ascii_control())
    }
}

impl FieldValue for u64 {
    fn push_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
    }
}

impl FieldValue for StreamOffset {
    fn push_to(&self, out: &mut Vec<u8>) {
        (*self).push_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{AGE, ETAG, LOCATION, RETRY_AFTER, VARY};
    use tailwater_protocol::Offset;

    #[test]
    fn fields_are_stored_as_lines_and_parse_back() {
        let mut fields = Fields::default();
        fields.put(&VARY, "");
        fields.put(&LOCATION, "http://h:1/a?b:c");
        fields.put(&RETRY_AFTER, &7_u64);
        let position = Offset::new(42).unwrap();
        fields.put(
            &AGE,
            &StreamOffset {
                generation: 3,
                position,
            },
        );
        for forged in ["a\r\nX: 1", "a\nb", "\0", "\u{7f}"] {
            fields.put(&ETAG, forged);
        }
        let lines =
            "vary: \r\nlocation: http://h:1/a?b:c\r\nretry-after: 7\r\nage: 0000000000000042_3\r\n";
        assert_eq!(std::str::from_utf8(fields.lines()), Ok(lines));
        let apart: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()))
            .collect();
        assert_eq!(apart.concat(), lines);
    }
}
