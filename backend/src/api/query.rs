//! The query of a read: where to begin, the technique, and its options.

use super::Refusal;
use std::borrow::Cow;
use std::time::Duration;
use tailwater_core::{Log, ReadError, ReadStart};
use tailwater_protocol::{StreamOffset, Technique};
use url::form_urlencoded;

/// Where a reader wants to begin, as requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadFrom {
    /// At the earliest retained position.
    Beginning,
    /// At the tail.
    Now,
    /// At an offset, of this stream or of an earlier one with the same name.
    At(StreamOffset),
}

impl ReadFrom {
    /// The position in `log`.
    ///
    /// # Errors
    /// [`ReadError::OtherGeneration`].
    pub(super) fn within(self, log: &Log) -> Result<ReadStart, ReadError> {
        match self {
            Self::Beginning => Ok(ReadStart::Beginning),
            Self::Now => Ok(ReadStart::Now),
            Self::At(offset) => log.position(offset).map(ReadStart::At),
        }
    }
}

/// The parsed query of a read.
#[derive(Debug)]
pub(super) struct ReadQuery {
    /// Where to begin.
    pub(super) from: ReadFrom,
    /// How to follow.
    pub(super) technique: Technique,
    /// The cursor echoed, if any.
    pub(super) cursor: Option<u64>,
    /// How long to hold a long-poll, if requested.
    pub(super) hold: Option<Duration>,
}

impl ReadQuery {
    /// Parses a request's query.
    ///
    /// # Errors
    /// [`Refusal::Query`] or [`Refusal::Offset`]; unknown parameters are ignored.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let (mut offset, mut live, mut cursor, mut hold) = (None, None, None, None);
        for (name, value) in query.split('&').filter_map(pair) {
            let slot = match &*name {
                "offset" => &mut offset,
                "live" => &mut live,
                "cursor" => &mut cursor,
                "hold" => &mut hold,
                _ => continue,
            };
            set_once(slot, &name, value)?;
        }
        let technique = technique(live.as_deref())?;
        if offset.is_none() && technique != Technique::Poll {
            return Err(Refusal::Query(format!(
                "live={technique} requires an offset: -1, now, or a Stream-Next-Offset"
            )));
        }
        Ok(Self {
            from: from(offset.as_deref())?,
            technique,
            cursor: cursor.and_then(|cursor| cursor.parse().ok()),
            hold: hold.as_deref().map(seconds).transpose()?,
        })
    }
}

/// Stores the value of a parameter that may be given once.
///
/// # Errors
/// [`Refusal::Query`] (400) when it has been given before.
pub fn set_once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Refusal> {
    if slot.replace(value).is_some() {
        return Err(Refusal::Query(format!(
            "`{name}` is given twice, expected once"
        )));
    }
    Ok(())
}

/// A name and its value, decoded; `None` for an empty text.
fn pair(text: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if text.contains(['%', '+']) {
        return form_urlencoded::parse(text.as_bytes()).next();
    }
    // The common case, without the library's three scans for characters to decode.
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (!text.is_empty()).then_some((name.into(), value.into()))
}

fn technique(live: Option<&str>) -> Result<Technique, Refusal> {
    let Some(live) = live else {
        return Ok(Technique::Poll);
    };
    Technique::ALL
        .into_iter()
        .find(|technique| technique.live() == Some(live))
        .ok_or_else(|| {
            let offered: Vec<_> = Technique::waiting().map(Technique::name).collect();
            let offered = offered.join(", ");
            Refusal::Query(format!(
                "live={live} is not supported, expected one of {offered}"
            ))
        })
}

/// Where a reader wants to begin; `None` means the beginning.
///
/// # Errors
/// [`Refusal::Offset`].
pub(super) fn from(offset: Option<&str>) -> Result<ReadFrom, Refusal> {
    match offset {
        None | Some("-1") => Ok(ReadFrom::Beginning),
        Some("now") => Ok(ReadFrom::Now),
        Some(token) => Ok(ReadFrom::At(token.parse()?)),
    }
}

fn seconds(text: &str) -> Result<Duration, Refusal> {
    let seconds: Option<f64> = text
        .parse()
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Refusal::Query(format!(
            "hold={text} is out of range, expected 0 to 86400 seconds, such as 25 or 0.5"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pairs_equal_those_of_the_library(query in "[a-z=&%+2é0]{0,30}") {
            let ours: Vec<_> = query.split('&').filter_map(pair).collect();
            prop_assert_eq!(ours, form_urlencoded::parse(query.as_bytes()).collect::<Vec<_>>());
        }
    }
}
