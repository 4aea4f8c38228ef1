//! The headers for a stream's expiry and retention: parsed from a creation, returned by HEAD.

use super::headers::{Headers, number, text};
use super::{Answer, Refusal, names};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_core::{Expiry, StreamConfig};
use tailwater_protocol::timestamp;

/// A stream's requested expiry and retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LifetimeHeaders {
    /// When it ends by itself.
    pub(super) expiry: Option<Expiry>,
    /// Bytes to retain, at least 1.
    pub(super) bytes: Option<u64>,
    /// How long messages are retained, at least a second.
    pub(super) age: Option<Duration>,
}

impl LifetimeHeaders {
    /// Parses the headers of a creation.
    ///
    /// # Errors
    /// [`Refusal::Header`] (400): not an integer, zero retention, not a date, or two expiries.
    ///
    /// Source: Durable Streams protocol, section 5.1; retention is an extension.
    pub(super) fn parse(map: &impl Headers) -> Result<Self, Refusal> {
        let ttl = number(map, &names::STREAM_TTL, 0)?
            .map(Duration::from_secs)
            .map(Expiry::Idle);
        let date = text(map, &names::STREAM_EXPIRES_AT)?;
        let date = date
            .map(|text| parse_date(text).ok_or_else(|| not_a_date(text)))
            .transpose()?;
        if ttl.is_some() && date.is_some() {
            let both = "both Stream-TTL and Stream-Expires-At are given, expected one";
            return Err(Refusal::Header(both.into()));
        }
        Ok(Self {
            expiry: ttl.or(date),
            bytes: number(map, &names::STREAM_RETENTION_BYTES, 1)?,
            age: number(map, &names::STREAM_RETENTION_AGE, 1)?.map(Duration::from_secs),
        })
    }
}

/// Adds the headers for a stream's expiry and retention.
pub(super) fn show(config: &StreamConfig, answer: &mut Answer) {
    match config.expiry {
        Some(Expiry::Idle(time)) => {
            answer.put(&names::STREAM_TTL, &time.as_secs());
        }
        Some(Expiry::At(time)) => {
            answer.put(&names::STREAM_EXPIRES_AT, &*date(time));
        }
        None => {}
    }
    if let Some(bytes) = config.keep_bytes {
        answer.put(&names::STREAM_RETENTION_BYTES, &bytes);
    }
    if let Some(age) = config.keep_age {
        answer.put(&names::STREAM_RETENTION_AGE, &age.as_secs());
    }
}

/// Parses a date to the millisecond, the precision in which it is stored and shown.
fn parse_date(text: &str) -> Option<Expiry> {
    Expiry::at(names::STREAM_EXPIRES_AT.as_str(), timestamp::parse(text)?).ok()
}

fn date(time: SystemTime) -> String {
    timestamp::print(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn not_a_date(text: &str) -> Refusal {
    Refusal::Header(format!(
        "Stream-Expires-At is `{text}`, expected an RFC 3339 date from 1970 to 9999, such as 2026-07-31T09:30:00Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pairs<'p>(&'p [(&'static str, &'static str)]);

    impl Headers for Pairs<'_> {
        fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
            self.0
                .iter()
                .filter(move |pair| pair.0 == name)
                .map(|pair| pair.1.as_bytes())
        }
    }

    fn parse(pairs: &[(&'static str, &'static str)]) -> Option<LifetimeHeaders> {
        LifetimeHeaders::parse(&Pairs(pairs)).ok()
    }

    #[test]
    fn numbers_are_digits_in_range_and_expiries_exclusive() {
        let none = LifetimeHeaders {
            expiry: None,
            bytes: None,
            age: None,
        };
        let second = Duration::from_secs(1);
        for (pairs, expected) in [
            (&[][..], Some(none)),
            (
                &[("stream-ttl", "0")],
                Some(LifetimeHeaders {
                    expiry: Some(Expiry::Idle(Duration::ZERO)),
                    ..none
                }),
            ),
            (
                &[("stream-ttl", "3600")],
                Some(LifetimeHeaders {
                    expiry: Some(Expiry::Idle(3_600 * second)),
                    ..none
                }),
            ),
            (
                &[("stream-expires-at", "1970-01-01T01:00:01.0009+01:00")],
                Some(LifetimeHeaders {
                    expiry: Some(Expiry::At(UNIX_EPOCH + second)),
                    ..none
                }),
            ),
            (
                &[
                    ("stream-retention-bytes", "1"),
                    ("stream-retention-age", "9007199254740991"),
                ],
                Some(LifetimeHeaders {
                    bytes: Some(1),
                    age: Some(Duration::from_secs(9_007_199_254_740_991)),
                    ..none
                }),
            ),
            (
                &[
                    ("stream-ttl", "1"),
                    ("stream-expires-at", "2099-01-01T00:00:00Z"),
                ],
                None,
            ),
            (&[("stream-ttl", "+1")], None),
            (&[("stream-ttl", "-1")], None),
            (&[("stream-ttl", "01")], None),
            (&[("stream-ttl", "00")], None),
            (&[("stream-ttl", "1.0")], None),
            (&[("stream-ttl", "1e3")], None),
            (&[("stream-ttl", "")], None),
            (&[("stream-ttl", "9007199254740992")], None),
            (&[("stream-ttl", "99999999999999999999999")], None),
            (&[("stream-retention-bytes", "0")], None),
            (&[("stream-retention-age", "0")], None),
        ] {
            assert_eq!(parse(pairs), expected, "{pairs:?}");
        }
    }
}
