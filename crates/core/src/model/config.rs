//! What a stream was created with: what its bytes are, how long they are kept, and which stream it was forked from.

use super::value::{self, ValueError};
use super::{StreamId, StreamName};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::inspect::{Configuration, Origin};
use tailwater_protocol::{Offset, timestamp};

/// What a stream was created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// Its content type as the creator wrote it.
    pub content_type: Arc<str>,
    /// When it ends by itself.
    pub expiry: Option<Expiry>,
    /// Bytes to keep, oldest go first; `None` keeps everything.
    pub keep_bytes: Option<u64>,
    /// How long messages are kept; `None` keeps them for ever.
    pub keep_age: Option<Duration>,
    /// Where it was forked from another stream.
    pub fork: Option<Fork>,
}

/// When a stream ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So long after the last read or write (`Stream-TTL`).
    Idle(Duration),
    /// At a moment (`Stream-Expires-At`), which is kept to the millisecond; see [`Expiry::at`].
    At(SystemTime),
}

/// Where a stream was forked from another one, whose messages before that position are its own, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The other stream's number.
    pub source: StreamId,
    /// The other stream's name when the fork was made.
    pub source_name: StreamName,
    /// The position in the other stream, a message boundary, at which this stream's own messages begin.
    pub at: Offset,
    /// How far beyond `at` the creator asked to inherit, in its units (messages or bytes).
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
    /// A stream of this content type that keeps everything, for ever, and begins empty.
    pub fn new(content_type: &str) -> Self {
        Self {
            content_type: content_type.into(),
            expiry: None,
            keep_bytes: None,
            keep_age: None,
            fork: None,
        }
    }

    /// The configuration that an export tells, for a stream of its own.
    ///
    /// # Errors
    /// [`ValueError`]: a value that no creation would take (400).
    pub fn of_export(told: &Configuration) -> Result<Self, ValueError> {
        let missing = || ValueError::new("contentType", "a content type", "");
        let content_type =
            value::content_type("contentType", &told.content_type)?.ok_or_else(missing)?;
        let expiry =
            match (told.ttl_seconds, told.expires_at_ms) {
                (None, None) => None,
                (Some(seconds), None) => Some(Expiry::Idle(Duration::from_secs(
                    value::whole_number("ttlSeconds", seconds, 0)?,
                ))),
                (None, Some(ms)) => Some(Expiry::at("expiresAtMs", Duration::from_millis(ms))?),
                (Some(seconds), Some(_)) => {
                    return Err(ValueError::new(
                        "ttlSeconds",
                        "absent beside expiresAtMs",
                        seconds,
                    ));
                }
            };
        let keep_bytes = told
            .keep_bytes
            .map(|bytes| value::whole_number("keepBytes", bytes, 1))
            .transpose()?;
        let keep_age = told
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

    /// What its bytes are.
    pub fn kind(&self) -> ContentKind {
        ContentKind::of(&self.content_type)
    }

    /// Whether `content_type` names the same media type; parameters and case do not count.
    pub fn same_type(&self, content_type: &str) -> bool {
        // As a rule they are the same to the byte.
        *self.content_type == *content_type
            || essence(&self.content_type).eq_ignore_ascii_case(essence(content_type))
    }

    /// The position before the stream's own first message.
    pub fn begins(&self) -> Offset {
        self.fork.as_ref().map_or(Offset::ZERO, |fork| fork.at)
    }

    /// When it ends by itself, in words.
    pub(crate) fn expiry_text(&self) -> String {
        match self.expiry {
            None => "never".to_owned(),
            Some(Expiry::Idle(time)) => format!("after {} s without use", time.as_secs()),
            Some(Expiry::At(time)) => {
                timestamp::print(time.duration_since(UNIX_EPOCH).unwrap_or_default())
            }
        }
    }

    /// What it keeps, in words.
    pub(crate) fn retention_text(&self) -> String {
        match (self.keep_bytes, self.keep_age) {
            (None, None) => "everything".to_owned(),
            (Some(bytes), None) => format!("{bytes} bytes"),
            (None, Some(age)) => format!("{} s", age.as_secs()),
            (Some(bytes), Some(age)) => format!("{bytes} bytes and {} s", age.as_secs()),
        }
    }

    /// What it was forked from, in words.
    pub(crate) fn fork_text(&self) -> String {
        match &self.fork {
            None => "none".to_owned(),
            Some(Fork {
                source_name,
                at,
                sub: 0,
                ..
            }) => format!("`{source_name}` left at {at}"),
            Some(Fork {
                source_name,
                at,
                sub,
                ..
            }) => format!("`{source_name}` left {sub} beyond {at}"),
        }
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
