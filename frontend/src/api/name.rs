//! A stream's name that was typed or is in a link, checked by the server's own rules before a request is sent.

use std::fmt;

use tailwater_protocol::{NameError, StreamName};

/// Why a text is not the name of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFault {
    /// It is empty.
    Missing,
    /// It is under `__ds`, which is reserved for the server.
    Reserved,
    /// The server would refuse it, or a browser would request another path.
    Wrong(NameError),
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("The stream needs a name, such as logs/web."),
            Self::Reserved => f.write_str("names under `__ds` belong to the server"),
            Self::Wrong(fault) => fault.fmt(f),
        }
    }
}

/// Parses a name in a link or in the page's own state; slashes around it are ignored, as on the command line.
///
/// # Errors
/// [`NameFault`]: no request may be sent with such a name.
pub fn named(text: &str) -> Result<StreamName, NameFault> {
    match text.trim_matches('/') {
        "" => Err(NameFault::Missing),
        text => {
            let name = StreamName::parse(text).map_err(NameFault::Wrong)?;
            if name.is_reserved() {
                Err(NameFault::Reserved)
            } else {
                Ok(name)
            }
        }
    }
}

/// Parses a name that was typed into a field: white space around it is ignored, too.
///
/// # Errors
/// As [`named`].
pub fn typed(text: &str) -> Result<StreamName, NameFault> {
    named(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_requested_at_the_path_the_server_decodes() {
        let printable = ('!'..='~').filter(|it| *it != '/');
        for character in printable.chain("é한😀\u{301}\u{fffd}".chars()) {
            let text = format!("a{character}/b {character}{character}{character}");
            let name = typed(&text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            assert_eq!(name.as_str(), text);
            assert_eq!(StreamName::from_path(&name.to_path()), Ok(name), "{text}");
        }
        for text in ["disk 90%", "topic+one", "a%2Fb", "%41", "a b/c"] {
            for around in [text.to_owned(), format!("/{text}/"), format!(" {text} ")] {
                assert_eq!(
                    typed(&around).map(|name| name.to_string()),
                    Ok(text.to_owned()),
                    "{around}"
                );
            }
        }
    }

    #[test]
    fn invalid_and_ambiguous_names_are_refused() {
        for text in ["", " ", "/", " // "] {
            assert_eq!(typed(text), Err(NameFault::Missing), "{text}");
        }
        for text in ["__ds", "/__ds/subscriptions/a", "__ds/"] {
            assert_eq!(typed(text), Err(NameFault::Reserved), "{text}");
        }
        let long = [
            "x".repeat(StreamName::BYTES_MAX + 1),
            "a/".repeat(StreamName::SEGMENTS_MAX) + "a",
        ];
        let wrong = [
            "..",
            ".",
            "users/../victim",
            "a/./b",
            "../streams",
            "a//b",
            "a\u{0}b",
            "a\u{7f}",
            "a\nb",
        ];
        for text in wrong.into_iter().chain(long.iter().map(String::as_str)) {
            assert!(matches!(typed(text), Err(NameFault::Wrong(_))), "{text}");
        }
    }
}
