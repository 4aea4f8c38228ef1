//! The head of a response, with the headers that the client uses.

use std::time::Duration;
use tailwater_protocol::{headers, timestamp};

/// The status and the headers of a response that the client uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamResponseHead {
    /// The status code; 101 for an opened WebSocket.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Stream-Next-Offset`.
    pub next: Option<String>,
    /// `Stream-Cursor`.
    pub cursor: Option<String>,
    /// `Stream-Up-To-Date`.
    pub up_to_date: bool,
    /// `Stream-Closed`.
    pub closed: bool,
    /// `Stream-SSE-Data-Encoding: base64`.
    pub base64: bool,
    /// `Retry-After` as a delay, whether it was sent as seconds or as a date.
    pub retry_after: Option<Duration>,
}

impl StreamResponseHead {
    /// Reads the headers of a response.
    ///
    /// - `now`: time since 1970, for a `Retry-After` date in a response without `Date`.
    /// - `header`: returns the value of a header, given its lower-case name.
    pub fn read(status: u16, now: Duration, header: impl Fn(&str) -> Option<String>) -> Self {
        let is_true = |name| header(name).is_some_and(|value| headers::is_true(&value));
        Self {
            status,
            content_type: header("content-type"),
            next: header(headers::STREAM_NEXT_OFFSET),
            cursor: header(headers::STREAM_CURSOR),
            up_to_date: is_true(headers::STREAM_UP_TO_DATE),
            closed: is_true(headers::STREAM_CLOSED),
            base64: header(headers::STREAM_SSE_DATA_ENCODING)
                .is_some_and(|value| value.eq_ignore_ascii_case("base64")),
            retry_after: header("retry-after").and_then(|value| {
                let now = || {
                    header("date")
                        .and_then(|date| timestamp::parse_http(date.trim()))
                        .unwrap_or(now)
                };
                retry_after(value.trim(), now)
            }),
        }
    }

    pub(super) fn is_content_type(&self, fits: impl Fn(&str) -> bool) -> bool {
        let essence = self
            .content_type
            .as_deref()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        fits(&essence.trim().to_ascii_lowercase())
    }
}

/// The delay of a `Retry-After`; zero if its date has passed, `None` if it is invalid.
///
/// Source: RFC 9110, section 10.2.3.
fn retry_after(value: &str, now: impl FnOnce() -> Duration) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that overflows is the longest delay.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    timestamp::parse_http(value).map(|at| at.saturating_sub(now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_the_known_fields() {
        let header = |name: &str| match name {
            "retry-after" => Some(" 7 ".to_owned()),
            "stream-closed" => Some("TRUE".to_owned()),
            "stream-up-to-date" => Some("yes".to_owned()),
            _ => None,
        };
        let head = StreamResponseHead::read(503, Duration::ZERO, header);
        assert_eq!(
            (head.retry_after, head.closed, head.up_to_date),
            (Some(Duration::from_secs(7)), true, false)
        );
    }

    #[test]
    fn both_forms_of_retry_after_are_understood() {
        // 1994-11-06T08:49:37Z.
        let here = Duration::from_secs(784_111_777);
        let there = "Sun, 06 Nov 1994 09:49:37 GMT";
        for (value, date, seconds) in [
            ("120", None, Some(120)),
            ("0", Some(there), Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", None, Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", None, Some(60)),
            ("Sun Nov  6 08:50:37 1994", None, Some(60)),
            // The server's own clock is used instead of ours.
            ("Sun, 06 Nov 1994 09:49:47 GMT", Some(there), Some(10)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some("yesterday"), Some(60)),
            ("Fri, 31 Dec 1993 23:59:59 GMT", None, Some(0)),
            ("-1", None, None),
            ("+5", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", None, None),
        ] {
            let head = StreamResponseHead::read(503, here, |name| match name {
                "retry-after" => Some(format!(" {value} ")),
                "date" => date.map(str::to_owned),
                _ => None,
            });
            assert_eq!(
                head.retry_after,
                seconds.map(Duration::from_secs),
                "{value} at {date:?}"
            );
        }
    }
}
