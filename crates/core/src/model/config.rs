//! The configuration of a stream: content type, expiry, retention, and the source of a fork.

use super::value::{self, ValueError};
use super::{StreamId, StreamName};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::inspect::{Configuration, Origin};
use tailwater_protocol::{Offset, timestamp};

/// The configuration of a stream, fixed at its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// The content type as it was given on creation.
    pub content_type: Arc<str>,
    /// When the stream expires; `None` for never.
    pub expiry: Option<Expiry>,
    /// The number of bytes to retain, oldest removed first; `None` retains everything.
    pub keep_bytes: Option<u64>,
    /// How long messages are retained; `None` retains them forever.
    pub keep_age: Option<Duration>,
    /// The source, if the stream is a fork.
    pub fork: Option<Fork>,
}

/// When a stream expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// After this time without a read or write (`Stream-TTL`).
    Idle(Duration),
    /// At a date (`Stream-Expires-At`), with millisecond precision; see [`Expiry::at`].
    At(SystemTime),
}

/// The source of a fork. The fork inherits the source's messages before a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The id of the source stream.
    pub source: StreamId,
    /// The name of the source stream when the fork was created.
    pub source_name: StreamName,
    /// The position in the source, a message boundary, at which the fork's own messages start.
    pub at: Offset,
    /// The number of bytes that the fork inherits beyond `at` as part of its own first message.
    pub sub: u64,
}

impl From<&StreamConfig> for Configuration {
    fn from(config: &StreamConfig) -> Self {
        let (ttl_seconds, expires_at_ms) = match config.expiry {
            None => (None, None),
            Some(Expiry::Idle(time)) => (Some(time.as_secs()), None),
            Some(Expiry::At(moment)) => {
                let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
                (
                    None,
                    Some(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)),
                )
            }
        };
        Self {
            content_type: config.content_type.to_string(),
            ttl_seconds,
            expires_at_ms,
            keep_bytes: config.keep_bytes,
            keep_seconds: config.keep_age.map(|age| age.as_secs()),
        }
    }
}

impl From<&Fork> for Origin {
    fn from(fork: &Fork) -> Self {
        Self {
            stream: fork.source_name.to_string(),
            offset: fork.at.into(),
            sub_offset: fork.sub,
        }
    }
}

impl StreamConfig {
    /// A configuration with this content type, without expiry and retention limits.
    pub fn new(content_type: &str) -> Self {
        Self {
            content_type: content_type.into(),
            expiry: None,
            keep_bytes: None,
            keep_age: None,
            fork: None,
        }
    }

    /// The configuration in the head of an export.
    ///
    /// # Errors
    /// [`ValueError`]: a value is invalid for the creation of a stream (400).
    pub fn of_export(exported: &Configuration) -> Result<Self, ValueError> {
        let missing = || ValueError::new("contentType", "a content type", "");
        let content_type =
            value::content_type("contentType", &exported.content_type)?.ok_or_else(missing)?;
        let expiry =
            match (exported.ttl_seconds, exported.expires_at_ms) {
                (None, None) => None,
                (Some(seconds), None) => Some(Expiry::Idle(Duration::from_secs(
                    value::whole_number("ttlSeconds", seconds, 0)?,
                ))),
                (None, Some(ms)) => Some(Expiry::at("expiresAtMs", Duration::from_millis(ms))?),
                (Some(seconds), Some(_)) => {
                    return Err(ValueError::new(
                        "ttlSeconds",
                        "absent if expiresAtMs is present",
                        seconds,
                    ));
                }
            };
        let keep_bytes = exported
            .keep_bytes
            .map(|bytes| value::whole_number("keepBytes", bytes, 1))
            .transpose()?;
        let keep_age = exported
            .keep_seconds
            .map(|seconds| value::whole_number("keepSeconds", seconds, 1))
            .transpose()?;
        let keep_age = keep_age.map(Duration::from_secs);
        Ok(Self {
            expiry,
            keep_bytes,
            keep_age,
            ..Self::new(content_type)
        })
    }

    /// The kind of the content type.
    pub fn kind(&self) -> ContentKind {
        ContentKind::of(&self.content_type)
    }

    /// Whether `content_type` has the same media type; parameters and case are ignored.
    pub fn same_type(&self, content_type: &str) -> bool {
        // In most cases the texts are identical.
        *self.content_type == *content_type
            || essence(&self.content_type).eq_ignore_ascii_case(essence(content_type))
    }

    /// The position at which the stream's own messages start: the fork position, or zero.
    pub fn begins(&self) -> Offset {
        self.fork.as_ref().map_or(Offset::ZERO, |fork| fork.at)
    }

    /// The expiry as a text for error messages.
    pub(crate) fn expiry_text(&self) -> String {
        match self.expiry {
            None => "never".to_owned(),
            Some(Expiry::Idle(time)) => format!("after {} s without use", time.as_secs()),
            Some(Expiry::At(time)) => {
                timestamp::print(time.duration_since(UNIX_EPOCH).unwrap_or_default())
            }
        }
    }

    /// The retention as a text for error messages.
    pub(crate) fn retention_text(&self) -> String {
        match (self.keep_bytes, self.keep_age) {
            (None, None) => "everything".to_owned(),
            (Some(bytes), None) => format!("{bytes} bytes"),
            (None, Some(age)) => format!("{} s", age.as_secs()),
            (Some(bytes), Some(age)) => format!("{bytes} bytes and {} s", age.as_secs()),
        }
    }

    /// The source of a fork as a text for error messages.
    pub(crate) fn fork_text(&self) -> String {
        match &self.fork {
            None => "none".to_owned(),
            Some(Fork {
                source_name,
                at,
                sub: 0,
                ..
            }) => format!("`{source_name}` at {at}"),
            Some(Fork {
                source_name,
                at,
                sub,
                ..
            }) => format!("`{source_name}` at {at} plus {sub}"),
        }
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
