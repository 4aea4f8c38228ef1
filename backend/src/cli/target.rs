//! Which stream a command is about: a name on a server, or a whole URL.

use clap::Args;
use std::fmt::Write;

/// The stream and its server.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Name of the stream, such as logs/demo, or its whole URL
    pub stream: String,

    /// The server; not used when STREAM is a whole URL
    #[arg(long, env = "TAILWATER_SERVER", default_value = "http://127.0.0.1:4437", value_name = "URL")]
    pub server: String,
}

/// Neither a name nor a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The server is not a URL.
    #[error("--server is `{0}`: expected a URL such as http://127.0.0.1:4437")]
    Server(String),
    /// The name is empty.
    #[error("the stream's name is empty: expected a name such as logs/demo")]
    NoName,
}

impl Target {
    /// The stream's URL.
    ///
    /// # Errors
    /// [`TargetError`] when the server is not an HTTP URL or the name is empty.
    pub fn url(&self) -> Result<String, TargetError> {
        self.url_below("stream")
    }

    /// The URL of something else about the stream: `/v1/export/NAME` for `export`.
    ///
    /// # Errors
    /// As [`Target::url`].
    pub fn url_below(&self, what: &str) -> Result<String, TargetError> {
        if is_url(&self.stream) {
            return Ok(self.stream.replacen("/v1/stream/", &format!("/v1/{what}/"), 1));
        }
        if !is_url(&self.server) {
            return Err(TargetError::Server(self.server.clone()));
        }
        let name = self.stream.trim_matches('/');
        if name.is_empty() {
            return Err(TargetError::NoName);
        }
        Ok(format!("{}/v1/{what}/{}", self.server.trim_end_matches('/'), escaped(name)))
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)) && text.len() > scheme.len()
    })
}

fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _done = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(stream: &str, server: &str) -> Result<String, TargetError> {
        Target { stream: stream.to_owned(), server: server.to_owned() }.url()
    }

    #[test]
    fn names_are_escaped_and_urls_are_taken_as_they_are() {
        let server = "http://127.0.0.1:4437/";
        assert_eq!(url("logs/demo", server).unwrap(), "http://127.0.0.1:4437/v1/stream/logs/demo");
        assert_eq!(url("/a b?é/", server).unwrap(), "http://127.0.0.1:4437/v1/stream/a%20b%3F%C3%A9");
        assert_eq!(url("https://h/x?token=1", "nonsense").unwrap(), "https://h/x?token=1");
        assert_eq!(url("a", "127.0.0.1:4437"), Err(TargetError::Server("127.0.0.1:4437".to_owned())));
        assert_eq!(url("/", server), Err(TargetError::NoName));
    }
}
