//! The form for a new stream, with every option of a PUT, and its request.

use tailwater_protocol::{StreamName, headers};

use crate::api::name::{self, NameFault};
use crate::api::request::{ApiRequest, Confirmation, below};

/// The form for a new stream, as the user fills it in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStreamForm {
    /// The name of the stream.
    pub name: String,
    /// The content type.
    pub content_type: String,
    /// The idle time after which the stream expires, seconds; empty if it does not expire.
    pub ttl_seconds: String,
    /// The time at which the stream expires, in the format of RFC 3339; empty if it does not expire.
    pub expires_at: String,
    /// The most bytes to keep; empty for no limit.
    pub keep_bytes: String,
    /// The time for which messages are kept, seconds; empty for no limit.
    pub keep_seconds: String,
    /// Whether the stream is created closed.
    pub is_closed: bool,
    /// The initial content; may be empty.
    pub first: String,
    /// The stream that is forked, if any.
    pub source: Option<StreamName>,
    /// The offset at which to fork; empty for the tail.
    pub fork_at: String,
    /// The number of further messages or bytes to inherit; empty for none.
    pub fork_beyond: String,
}

/// A field with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidField {
    /// The name is missing or invalid.
    Name(NameFault),
    /// The time to live is not a whole number of seconds.
    Ttl,
    /// The bytes to keep are not a whole number.
    KeepBytes,
    /// The time to keep messages is not a whole number of seconds.
    KeepSeconds,
    /// The number of further messages is not a whole number.
    ForkBeyond,
}

impl ApiRequest {
    /// Create a stream.
    ///
    /// # Errors
    /// The first [`InvalidField`].
    pub fn create(new: &NewStreamForm) -> Result<Self, InvalidField> {
        let name = name::typed(&new.name).map_err(InvalidField::Name)?;
        let source = new.source.as_ref().map(|source| below("stream", source));
        let closed = if new.is_closed { "true" } else { "" };
        let number = |typed: &str, field: InvalidField| match typed.trim() {
            "" => Ok(String::new()),
            digits => match digits.parse::<u64>() {
                Ok(number) if number > 0 => Ok(number.to_string()),
                _ => Err(field),
            },
        };
        let headers = [
            ("content-type", new.content_type.trim().to_owned()),
            (headers::STREAM_FORKED_FROM, source.unwrap_or_default()),
            (headers::STREAM_FORK_OFFSET, new.fork_at.trim().to_owned()),
            (
                headers::STREAM_FORK_SUB_OFFSET,
                number(&new.fork_beyond, InvalidField::ForkBeyond)?,
            ),
            (
                headers::STREAM_TTL,
                number(&new.ttl_seconds, InvalidField::Ttl)?,
            ),
            (headers::STREAM_EXPIRES_AT, new.expires_at.clone()),
            (
                headers::STREAM_RETENTION_BYTES,
                number(&new.keep_bytes, InvalidField::KeepBytes)?,
            ),
            (
                headers::STREAM_RETENTION_AGE,
                number(&new.keep_seconds, InvalidField::KeepSeconds)?,
            ),
            (headers::STREAM_CLOSED, closed.to_owned()),
        ];
        let mut request = Self::about("PUT", &name, Confirmation::Position);
        request.headers = headers
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        request.body = Some(new.first.clone()).filter(|first| !first.is_empty());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "http://127.0.0.1:4437";

    fn new(name: &str) -> NewStreamForm {
        NewStreamForm {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            ..NewStreamForm::default()
        }
    }

    fn line(form: &NewStreamForm) -> String {
        ApiRequest::create(form).unwrap().curl(ORIGIN)
    }

    #[test]
    fn the_form_becomes_headers_and_an_equal_curl_command() {
        let typed = NewStreamForm {
            ttl_seconds: " 60 ".to_owned(),
            keep_bytes: "1000".to_owned(),
            first: "it's\nme".to_owned(),
            ..new("/a b/c/")
        };
        assert_eq!(
            line(&typed),
            "curl -X PUT -H 'content-type: text/plain' -H 'stream-ttl: 60' -H 'stream-retention-bytes: 1000' \
             --data-raw 'it'\\''s\nme' http://127.0.0.1:4437/v1/stream/a%20b/c"
        );
        let other = NewStreamForm {
            expires_at: "2030-01-01T00:00:00.000Z".to_owned(),
            keep_seconds: "9".to_owned(),
            is_closed: true,
            ..new("a")
        };
        assert_eq!(
            line(&other),
            "curl -X PUT -H 'content-type: text/plain' -H 'stream-expires-at: 2030-01-01T00:00:00.000Z' \
             -H 'stream-retention-age: 9' -H 'stream-closed: true' http://127.0.0.1:4437/v1/stream/a"
        );
    }

    #[test]
    fn a_fork_has_headers_for_its_source_and_offset() {
        let fork = NewStreamForm {
            source: Some(name::named("a/ü").unwrap()),
            fork_at: " 0000000000000003 ".to_owned(),
            fork_beyond: "2".to_owned(),
            ..new("b")
        };
        assert_eq!(
            line(&fork),
            "curl -X PUT -H 'content-type: text/plain' -H 'stream-forked-from: /v1/stream/a/%C3%BC' \
             -H 'stream-fork-offset: 0000000000000003' -H 'stream-fork-sub-offset: 2' http://127.0.0.1:4437/v1/stream/b"
        );
    }

    #[test]
    fn an_invalid_field_is_reported() {
        let wrong = |change: fn(&mut NewStreamForm)| {
            let mut typed = new("a");
            change(&mut typed);
            ApiRequest::create(&typed).unwrap_err()
        };
        assert_eq!(
            wrong(|typed| typed.name = " / ".to_owned()),
            InvalidField::Name(NameFault::Missing)
        );
        assert_eq!(
            wrong(|typed| typed.name = "__ds/b".to_owned()),
            InvalidField::Name(NameFault::Reserved)
        );
        assert!(matches!(
            wrong(|typed| typed.name = "a/../b".to_owned()),
            InvalidField::Name(NameFault::Wrong(_))
        ));
        assert_eq!(
            wrong(|typed| typed.ttl_seconds = "1.5".to_owned()),
            InvalidField::Ttl
        );
        assert_eq!(
            wrong(|typed| typed.keep_bytes = "0".to_owned()),
            InvalidField::KeepBytes
        );
        assert_eq!(
            wrong(|typed| typed.keep_seconds = "-1".to_owned()),
            InvalidField::KeepSeconds
        );
        assert_eq!(
            wrong(|typed| typed.fork_beyond = "x".to_owned()),
            InvalidField::ForkBeyond
        );
    }
}
