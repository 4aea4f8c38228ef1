//! The query of an address: names with their values, in order.
//!
//! Unlike `UrlSearchParams`, it does not decode `+` to a space: names of streams may contain a plus, and a link with such a
//! name that was typed by hand works. It is also tested natively, where there is no `UrlSearchParams`.

use std::fmt;

use tailwater_protocol::percent;

/// Names with their values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parses a query with or without its question mark. A text with an invalid escape is not decoded.
    pub fn parse(text: &str) -> Self {
        let decode = |text: &str| percent::decode(text).unwrap_or_else(|_| text.to_owned());
        let pairs = text
            .trim_start_matches('?')
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)));
        Self {
            pairs: pairs.collect(),
        }
    }

    /// Adds a value.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.pairs.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a value, if there is one.
    pub fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Only the pairs whose names satisfy `keep`.
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        let pairs = self.pairs.iter().filter(|(name, _)| keep(name));
        Self {
            pairs: pairs.cloned().collect(),
        }
    }

    /// Appends another query.
    pub fn followed_by(mut self, other: &Self) -> Self {
        self.pairs.extend(other.pairs.iter().cloned());
        self
    }
}

/// Without a question mark.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.pairs.iter().enumerate() {
            let separator = if index == 0 { "" } else { "&" };
            write!(f, "{separator}{name}={}", percent::encode_path(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_queries_parse_back() {
        let query = Query::default()
            .with("stream", "logs/a b&c=ü+?#%")
            .with("empty", "");
        assert_eq!(Query::parse(&format!("?{query}")), query);
        assert_eq!(Query::default().to_string(), "");
    }

    #[test]
    fn plus_signs_and_broken_escapes_are_literal() {
        let query = Query::parse("a=topic+one&b=topic%2Bone&c=90%&d&&=");
        let pairs: Vec<_> = query.pairs().collect();
        let expected = [
            ("a", "topic+one"),
            ("b", "topic+one"),
            ("c", "90%"),
            ("d", ""),
            ("", ""),
        ];
        assert_eq!(pairs, expected);
    }
}
