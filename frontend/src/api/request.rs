//! A request about a stream as data: the page sends it, and shows the equivalent curl command.

use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::percent::encode_value;
use tailwater_protocol::{StreamName, Technique, Token};

use crate::api::name::{self, NameFault};

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// The method.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// Headers with their values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if any.
    pub body: Option<String>,
    /// Whether the response is live: it does not end by itself.
    pub live: bool,
    /// What a success must confirm.
    pub confirmation: Confirmation,
}

/// What a response must confirm for its request to count as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Any success: the body is the result, or is not needed.
    Success,
    /// The tail of the stream (sections 5.1, 5.2 and 5.5 of the protocol).
    Position,
    /// The tail, and that the stream is closed (section 5.3).
    Closed,
    /// The status 204 (section 5.4).
    NoContent,
}

/// A stream that is to be made, as a person types it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStreamForm {
    /// Its name.
    pub name: String,
    /// Its content type.
    pub content_type: String,
    /// Seconds of idleness after which it ends; empty for never.
    pub ttl_seconds: String,
    /// Bytes to keep; empty for all.
    pub keep_bytes: String,
    /// Seconds for which messages are kept; empty for ever.
    pub keep_seconds: String,
    /// Its first content; may be empty.
    pub first: String,
}

/// A field that can't be sent as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidField {
    /// The name is missing, or none that a stream can have.
    Name(NameFault),
    /// The time to live is not a whole number of seconds.
    Ttl,
    /// The bytes to keep are not a whole number.
    KeepBytes,
    /// The time to keep messages is not a whole number of seconds.
    KeepSeconds,
}

fn below(what: &str, name: &StreamName) -> String {
    format!("/v1/{what}/{}", name.to_path())
}

/// The URL of a stream on `origin` (empty: the page's own).
pub fn stream_url(origin: &str, name: &StreamName) -> String {
    format!("{origin}{}", below("stream", name))
}

impl ApiRequest {
    /// A request without headers or a body, for which any success counts.
    pub fn new(method: &'static str, target: String) -> Self {
        Self {
            method,
            target,
            headers: Vec::new(),
            body: None,
            live: false,
            confirmation: Confirmation::Success,
        }
    }

    /// A request about a stream.
    fn about(method: &'static str, name: &StreamName, confirmation: Confirmation) -> Self {
        Self {
            confirmation,
            ..Self::new(method, below("stream", name))
        }
    }

    /// Whether the browser may follow a redirect: it repeats a write as a GET (301 to 303), whose success is no confirmation.
    ///
    /// Source: Fetch standard, section 4.4 (HTTP-redirect fetch).
    pub fn follows_redirects(&self) -> bool {
        matches!(self.method, "GET" | "HEAD")
    }

    /// Sets the body.
    pub fn with_body(self, body: String) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Make a stream.
    ///
    /// # Errors
    /// The first [`InvalidField`] that can't be sent.
    pub fn create(new: &NewStreamForm) -> Result<Self, InvalidField> {
        let name = name::typed(&new.name).map_err(InvalidField::Name)?;
        let mut request = Self::about("PUT", &name, Confirmation::Position)
            .with("content-type", new.content_type.trim());
        for (header, typed, field) in [
            (headers::STREAM_TTL, &new.ttl_seconds, InvalidField::Ttl),
            (
                headers::STREAM_RETENTION_BYTES,
                &new.keep_bytes,
                InvalidField::KeepBytes,
            ),
            (
                headers::STREAM_RETENTION_AGE,
                &new.keep_seconds,
                InvalidField::KeepSeconds,
            ),
        ] {
            match typed.trim() {
                "" => {}
                number => {
                    let number = number
                        .parse::<u64>()
                        .ok()
                        .filter(|number| *number > 0)
                        .ok_or(field)?;
                    request = request.with(header, number.to_string());
                }
            }
        }
        request.body = Some(new.first.clone()).filter(|first| !first.is_empty());
        Ok(request)
    }

    /// Create an empty JSON stream.
    pub fn create_json(name: &StreamName) -> Self {
        Self::about("PUT", name, Confirmation::Position).with("content-type", "application/json")
    }

    /// Make a stream that begins with what another one holds before `at`.
    ///
    /// - `at`: a position; empty for the tail.
    ///
    /// # Errors
    /// [`InvalidField::Name`] when the new one has none that it can have.
    pub fn fork(
        source: &StreamName,
        content_type: &str,
        name: &str,
        at: &str,
    ) -> Result<Self, InvalidField> {
        let name = name::typed(name).map_err(InvalidField::Name)?;
        let request = Self::about("PUT", &name, Confirmation::Position)
            .with("content-type", content_type)
            .with(headers::STREAM_FORKED_FROM, below("stream", source));
        Ok(match at.trim() {
            "" => request,
            at => request.with(headers::STREAM_FORK_OFFSET, at),
        })
    }

    /// Append a body.
    pub fn append(name: &StreamName, content_type: &str, body: &str) -> Self {
        let request =
            Self::about("POST", name, Confirmation::Position).with("content-type", content_type);
        Self {
            body: Some(body.to_owned()),
            ..request
        }
    }

    /// Close a stream.
    pub fn close(name: &StreamName) -> Self {
        Self::about("POST", name, Confirmation::Closed).with(headers::STREAM_CLOSED, "true")
    }

    /// Delete a stream.
    pub fn delete(name: &StreamName) -> Self {
        Self::about("DELETE", name, Confirmation::NoContent)
    }

    /// Request the metadata of a stream at `origin` (empty: the page's own).
    pub fn head(origin: &str, name: &StreamName) -> Self {
        Self {
            target: stream_url(origin, name),
            ..Self::about("HEAD", name, Confirmation::Position)
        }
    }

    /// Inspect a stream.
    pub fn inspect(name: &StreamName) -> Self {
        Self::new("GET", below("streams", name))
    }

    /// Export a stream.
    pub fn export(name: &StreamName) -> Self {
        Self::new("GET", below("export", name))
    }

    /// List streams, a page at a time.
    pub fn list(search: &str, after: Option<&str>, limit: usize) -> Self {
        let mut target = format!("/v1/streams?limit={limit}");
        for (key, value) in [
            ("search", Some(search).filter(|search| !search.is_empty())),
            ("after", after),
        ] {
            if let Some(value) = value {
                target.push_str(&format!("&{key}={}", encode_value(value)));
            }
        }
        Self::new("GET", target)
    }

    /// Follow a stream.
    pub fn follow(name: &StreamName, technique: Technique, from: &Token) -> Self {
        let live = technique
            .live()
            .map(|live| format!("&live={live}"))
            .unwrap_or_default();
        let request = Self::new(
            "GET",
            format!("{}?offset={from}{live}", below("stream", name)),
        );
        Self {
            live: technique.live().is_some(),
            ..request
        }
    }

    /// The equivalent curl command.
    ///
    /// - `origin`: of the server.
    pub fn curl(&self, origin: &str) -> String {
        let mut line = "curl".to_owned();
        if self.live {
            line.push_str(" -N");
        }
        // curl's default method is left out.
        let usual = if self.body.is_some() { "POST" } else { "GET" };
        if self.method != usual {
            line.push_str(&format!(" -X {}", self.method));
        }
        for (name, value) in &self.headers {
            line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
        }
        if let Some(body) = &self.body {
            line.push_str(&format!(" --data-raw {}", quoted(body)));
        }
        line.push(' ');
        line.push_str(&quoted(&format!("{origin}{}", self.target)));
        line
    }
}

/// The shell command that follows by `technique`: curl, or `tailwater tail` for WebSocket, which not every curl supports.
pub fn follow_line(origin: &str, name: &StreamName, technique: Technique, from: &Token) -> String {
    match technique {
        Technique::Websocket => format!(
            "tailwater tail {} --server {origin} --live websocket --from {from}",
            quoted(name.as_str())
        ),
        Technique::Poll | Technique::LongPoll | Technique::Ndjson | Technique::Sse => {
            ApiRequest::follow(name, technique, from).curl(origin)
        }
    }
}

/// An example of a body for a stream of this content type.
pub fn example(content_type: &str) -> &'static str {
    match ContentKind::of(content_type) {
        ContentKind::Json => r#"{"hello":"world"}"#,
        ContentKind::Text | ContentKind::Binary => "hello",
    }
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:%=@,+".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "http://127.0.0.1:4437";

    fn named(name: &str) -> StreamName {
        name::named(name).unwrap()
    }

    fn new(name: &str) -> NewStreamForm {
        NewStreamForm {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            ..NewStreamForm::default()
        }
    }

    #[test]
    fn the_form_becomes_headers_and_an_equal_curl_command() {
        let typed = NewStreamForm {
            ttl_seconds: " 60 ".to_owned(),
            keep_bytes: "1000".to_owned(),
            first: "it's\nme".to_owned(),
            ..new("/a b/c/")
        };
        let request = ApiRequest::create(&typed).unwrap();
        assert_eq!(request.target, "/v1/stream/a%20b/c");
        assert_eq!(
            request.curl(ORIGIN),
            "curl -X PUT -H 'content-type: text/plain' -H 'stream-ttl: 60' -H 'stream-retention-bytes: 1000' \
             --data-raw 'it'\\''s\nme' http://127.0.0.1:4437/v1/stream/a%20b/c"
        );
    }

    #[test]
    fn an_invalid_field_is_named() {
        let wrong = |change: fn(&mut NewStreamForm)| {
            let mut typed = new("a");
            change(&mut typed);
            ApiRequest::create(&typed).unwrap_err()
        };
        assert_eq!(
            wrong(|typed| typed.name = " / ".to_owned()),
            InvalidField::Name(NameFault::Missing)
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
        for (to, fault) in [("", NameFault::Missing), ("__ds/b", NameFault::Reserved)] {
            assert_eq!(
                ApiRequest::fork(&named("a"), "text/plain", to, "").unwrap_err(),
                InvalidField::Name(fault)
            );
        }
    }

    #[test]
    fn every_action_has_its_line() {
        let line = |request: ApiRequest| request.curl(ORIGIN).replace(ORIGIN, "O");
        assert_eq!(
            line(ApiRequest::delete(&named("a"))),
            "curl -X DELETE O/v1/stream/a"
        );
        assert_eq!(
            line(ApiRequest::close(&named("a"))),
            "curl -X POST -H 'stream-closed: true' O/v1/stream/a"
        );
        assert_eq!(
            line(ApiRequest::append(&named("a"), "text/plain", "")),
            "curl -H 'content-type: text/plain' --data-raw '' O/v1/stream/a"
        );
        let fork =
            ApiRequest::fork(&named("a/ü"), "text/plain", "b", " 0000000000000003 ").unwrap();
        assert_eq!(
            line(fork),
            "curl -X PUT -H 'content-type: text/plain' -H 'stream-forked-from: /v1/stream/a/%C3%BC' \
             -H 'stream-fork-offset: 0000000000000003' O/v1/stream/b"
        );
        assert_eq!(
            line(ApiRequest::inspect(&named("a"))),
            "curl O/v1/streams/a"
        );
        assert_eq!(line(ApiRequest::export(&named("a"))), "curl O/v1/export/a");
        assert_eq!(
            line(ApiRequest::list("x y", Some("b"), 50)),
            "curl 'O/v1/streams?limit=50&search=x%20y&after=b'"
        );
        let now = Token::now();
        assert_eq!(
            line(ApiRequest::follow(&named("a"), Technique::Sse, &now)),
            "curl -N 'O/v1/stream/a?offset=now&live=sse'"
        );
        assert_eq!(
            line(ApiRequest::follow(&named("a"), Technique::Poll, &now)),
            "curl 'O/v1/stream/a?offset=now'"
        );
        assert_eq!(
            follow_line(
                "O",
                &named("a b"),
                Technique::Websocket,
                &Token::beginning()
            ),
            "tailwater tail 'a b' --server O --live websocket --from -1"
        );
    }
}
