//! The stream of a command: a name on a server, or a whole URL.

use clap::Args;
use tailwater_protocol::{NameError, StreamName, percent};

/// The stream and its server.
#[derive(Debug, Clone, Args)]
pub struct StreamTarget {
    /// Name of the stream, such as logs/demo, or its whole URL
    pub stream: String,

    /// The server; not used when STREAM is a whole URL
    #[arg(
        long,
        env = "TAILWATER_SERVER",
        default_value = "http://127.0.0.1:4437",
        value_name = "URL"
    )]
    pub server: String,
}

/// Why the stream is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamTargetError {
    /// The server is not a URL that can be followed by a path.
    #[error(
        "--server is `{0}`: expected a URL such as http://127.0.0.1:4437, without a query and `..`"
    )]
    Server(String),
    /// The name is empty.
    #[error("the stream's name is empty: expected a name such as logs/demo")]
    NoName,
    /// The server would refuse the name, or the name in the URL.
    #[error("invalid stream `{stream}`: {fault}")]
    Name {
        /// The argument.
        stream: String,
        /// The reason.
        fault: NameError,
    },
    /// The name is reserved for the server's own paths.
    #[error("invalid stream `{0}`: names that begin with __ds are reserved")]
    Reserved(String),
    /// A URL that clients would resolve to another one.
    #[error("invalid stream URL `{0}`: it has the segment `.` or `..`")]
    DotSegment(String),
    /// A URL from which the URL of exports can't be derived.
    #[error("`{0}` can't be exported or imported, expected a URL http://.../v1/stream/NAME")]
    OtherLayout(String),
}

/// Path before the name of a stream in its URL.
const STREAMS: &str = "/v1/stream/";

impl StreamTarget {
    /// The stream's URL.
    ///
    /// # Errors
    /// All of [`StreamTargetError`] but [`StreamTargetError::OtherLayout`].
    pub fn url(&self) -> Result<String, StreamTargetError> {
        self.url_below("stream")
    }

    /// The URL of another resource of the stream: `/v1/export/NAME` for `export`.
    ///
    /// # Errors
    /// All of [`StreamTargetError`]: no request is sent for a name that the server would refuse, or
    /// that would mean another stream once dot segments are resolved.
    pub fn url_below(&self, what: &str) -> Result<String, StreamTargetError> {
        if let Some(url) = Url::split(&self.stream) {
            return self.within(&url, what);
        }
        let is_base = |url: &Url<'_>| url.rest.is_empty() && !has_dot_segment(url.path);
        let Some(server) = Url::split(&self.server).filter(is_base) else {
            return Err(StreamTargetError::Server(self.server.clone()));
        };
        let text = self.stream.trim_matches('/');
        if text.is_empty() {
            return Err(StreamTargetError::NoName);
        }
        let name = self.checked(StreamName::parse(text))?;
        Ok(format!(
            "{}{}/v1/{what}/{}",
            server.origin,
            server.path.trim_end_matches('/'),
            name.to_path()
        ))
    }

    /// The same for a whole URL. Other servers may use another layout.
    fn within(&self, url: &Url<'_>, what: &str) -> Result<String, StreamTargetError> {
        let Url { origin, path, rest } = url;
        let (base, name) = match path.split_once(STREAMS) {
            Some((base, name)) => (base, Some(name)),
            None => (*path, None),
        };
        if has_dot_segment(base) {
            return Err(StreamTargetError::DotSegment(self.stream.clone()));
        }
        match name {
            Some(name) => {
                let name = self.checked(StreamName::from_path(name))?;
                Ok(format!("{origin}{base}/v1/{what}/{}{rest}", name.to_path()))
            }
            None if what == "stream" => Ok(self.stream.clone()),
            None => Err(StreamTargetError::OtherLayout(self.stream.clone())),
        }
    }

    fn checked(
        &self,
        name: Result<StreamName, NameError>,
    ) -> Result<StreamName, StreamTargetError> {
        let name = name.map_err(|fault| StreamTargetError::Name {
            stream: self.stream.clone(),
            fault,
        })?;
        if name.is_reserved() {
            Err(StreamTargetError::Reserved(self.stream.clone()))
        } else {
            Ok(name)
        }
    }
}

/// The parts of a URL as written: a parser would resolve dot segments, and treat `\` as `/`.
struct Url<'a> {
    /// Scheme and authority.
    origin: &'a str,
    /// Empty, or begins with a slash or backslash.
    path: &'a str,
    /// The query with its question mark, and the fragment.
    rest: &'a str,
}

impl<'a> Url<'a> {
    /// `None` when `text` is not an HTTP URL with a host.
    fn split(text: &'a str) -> Option<Self> {
        let is_http = |scheme: &str| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        };
        let (scheme, _) = text
            .split_once("://")
            .filter(|(scheme, _)| is_http(scheme))?;
        let from_host = scheme.len() + "://".len();
        let end =
            |from: usize, ends: &[char]| text[from..].find(ends).map_or(text.len(), |at| from + at);
        let path = end(from_host, &['/', '\\', '?', '#']);
        let rest = end(path, &['?', '#']);
        (path > from_host).then(|| Self {
            origin: &text[..path],
            path: &text[path..rest],
            rest: &text[rest..],
        })
    }
}

/// Whether a client would request another path than this one.
fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\'])
        .any(|segment| percent::decode(segment).is_ok_and(|plain| plain == "." || plain == ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(stream: &str, server: &str) -> Result<String, StreamTargetError> {
        StreamTarget {
            stream: stream.to_owned(),
            server: server.to_owned(),
        }
        .url()
    }

    #[test]
    fn names_are_escaped_and_urls_are_used_unchanged() {
        let server = "http://127.0.0.1:4437/";
        assert_eq!(
            url("logs/demo", server).unwrap(),
            "http://127.0.0.1:4437/v1/stream/logs/demo"
        );
        assert_eq!(
            url("/a b?é/", server).unwrap(),
            "http://127.0.0.1:4437/v1/stream/a%20b%3F%C3%A9"
        );
        assert_eq!(
            url("https://h/x?token=1", "nonsense").unwrap(),
            "https://h/x?token=1"
        );
        assert_eq!(
            url("HTTP://h/v1/stream/a%2bb#x", "nonsense").unwrap(),
            "HTTP://h/v1/stream/a%2Bb#x"
        );
        assert_eq!(
            url("a", "127.0.0.1:4437"),
            Err(StreamTargetError::Server("127.0.0.1:4437".to_owned()))
        );
        assert_eq!(url("/", server), Err(StreamTargetError::NoName));
    }
}
