//! A request about a stream as data: the page sends it, and shows the equivalent curl command.

use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::percent::encode_value;
use tailwater_protocol::{StreamName, Technique, TechniqueKind, Token};

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

/// The prefix of the names of the lab's streams.
const LAB: &str = "lab/";

/// The filter and order of the list of streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListFilter {
    /// The text that names contain or begin with; empty for all streams.
    pub text: String,
    /// Whether names begin with the text, as opposed to containing it.
    pub is_prefix: bool,
    /// Whether the streams are sorted by creation, newest first, as opposed to by name.
    pub newest: bool,
    /// Whether the streams of the lab are included.
    pub lab: bool,
    /// The cursor after which the page of the list begins, as returned by the server.
    pub after: Option<String>,
}

impl ListFilter {
    /// Whether the streams of the lab are excluded: they are neither included nor searched for by name.
    pub fn hides_lab(&self) -> bool {
        !self.lab && !self.text.trim().starts_with(LAB)
    }
}

pub(super) fn below(what: &str, name: &StreamName) -> String {
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
    pub(super) fn about(
        method: &'static str,
        name: &StreamName,
        confirmation: Confirmation,
    ) -> Self {
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

    /// Create an empty JSON stream.
    pub fn create_json(name: &StreamName) -> Self {
        Self::about("PUT", name, Confirmation::Position).with("content-type", "application/json")
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

    /// Inspect a stream, with the positions of its last messages.
    pub fn inspect_last(name: &StreamName, count: usize) -> Self {
        Self::new("GET", format!("{}?last={count}", below("streams", name)))
    }

    /// Request the state of the server.
    pub fn server() -> Self {
        Self::new("GET", "/v1/server".to_owned())
    }

    /// List streams, a page at a time.
    pub fn list(filter: &ListFilter, limit: usize) -> Self {
        let mut target = format!("/v1/streams?limit={limit}");
        let text = filter.text.trim();
        let (search, prefix) = if filter.is_prefix {
            ("", text)
        } else {
            (text, "")
        };
        let exclude = if filter.hides_lab() { LAB } else { "" };
        let sort = if filter.newest { "newest" } else { "" };
        for (key, value) in [
            ("search", search),
            ("prefix", prefix),
            ("exclude", exclude),
            ("sort", sort),
            ("after", filter.after.as_deref().unwrap_or_default()),
        ] {
            if !value.is_empty() {
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
    match technique.kind() {
        TechniqueKind::Websocket => format!(
            "tailwater tail {} --server {origin} --live websocket --from {from}",
            quoted(name.as_str())
        ),
        TechniqueKind::Polling | TechniqueKind::LongPolling | TechniqueKind::Streaming => {
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
    use crate::api::name;

    const ORIGIN: &str = "http://127.0.0.1:4437";

    fn named(name: &str) -> StreamName {
        name::named(name).unwrap()
    }

    #[test]
    fn every_action_has_a_curl_command() {
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
        assert_eq!(
            line(ApiRequest::inspect(&named("a"))),
            "curl O/v1/streams/a"
        );
        assert_eq!(line(ApiRequest::export(&named("a"))), "curl O/v1/export/a");
        assert_eq!(
            line(ApiRequest::inspect_last(&named("a"), 9)),
            "curl 'O/v1/streams/a?last=9'"
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

    #[test]
    fn the_filter_becomes_query_parameters_of_the_list() {
        let query = |text: &str, change: fn(&mut ListFilter)| {
            let mut filter = ListFilter {
                text: text.to_owned(),
                ..ListFilter::default()
            };
            change(&mut filter);
            let request = ApiRequest::list(&filter, 50);
            request.target.replace("/v1/streams?limit=50", "")
        };
        assert_eq!(query("", |_| {}), "&exclude=lab%2F");
        assert_eq!(query("", |filter| filter.lab = true), "");
        assert_eq!(
            query(" lab/gen", |filter| filter.is_prefix = true),
            "&prefix=lab%2Fgen"
        );
        assert_eq!(
            query("x y", |filter| {
                filter.newest = true;
                filter.after = Some("7".to_owned());
            }),
            "&search=x%20y&exclude=lab%2F&sort=newest&after=7"
        );
    }
}
