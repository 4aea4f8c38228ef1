//! The encoding of the fields of keys and values: numbers, texts, times and options.

use super::Damage;
use crate::model::{Accepted, StreamName};
use crate::store::page::nanos;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::Offset;

/// Writes a number with seven bits per byte, the lowest first; the highest bit of a byte is set if more bytes follow.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a time as nanoseconds since 1970; times after 2554 are clamped.
pub(super) fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    out.extend_from_slice(&nanos(time).to_le_bytes());
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_number(out, duration.as_secs());
    put_number(out, u64::from(duration.subsec_nanos()));
}

pub(super) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    put: impl FnOnce(&mut Vec<u8>, &T),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// Reads fields from the remaining bytes of a key or value.
pub(super) struct FieldReader<'a>(pub(super) &'a [u8]);

impl<'a> FieldReader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Damage("it is truncated"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(Damage("it is truncated"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(super) fn u64_be(&mut self) -> Result<u64, Damage> {
        self.chunk().map(u64::from_be_bytes)
    }

    pub(super) fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damage("a number does not end"))
    }

    pub(super) fn length(&mut self) -> Result<usize, Damage> {
        usize::try_from(self.number()?).map_err(|_| Damage("a length is too large"))
    }

    /// Reads a number of items, each of which takes at least one of `bytes_max` bytes.
    pub(super) fn count(&mut self, bytes_max: usize) -> Result<usize, Damage> {
        let count = self.length()?;
        if count > bytes_max {
            Err(Damage("it has fewer bytes than items"))
        } else {
            Ok(count)
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Damage> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Damage("a text is not UTF-8"))
    }

    pub(super) fn name(&mut self) -> Result<StreamName, Damage> {
        StreamName::parse(self.text()?).map_err(|_| Damage("a stream name is invalid"))
    }

    pub(super) fn time(&mut self) -> Result<SystemTime, Damage> {
        let nanos = u64::from_le_bytes(self.chunk()?);
        UNIX_EPOCH
            .checked_add(Duration::from_nanos(nanos))
            .ok_or(Damage("a time is invalid"))
    }

    pub(super) fn millis(&mut self) -> Result<SystemTime, Damage> {
        let ms = self.number()?;
        UNIX_EPOCH
            .checked_add(Duration::from_millis(ms))
            .ok_or(Damage("a date is invalid"))
    }

    pub(super) fn duration(&mut self) -> Result<Duration, Damage> {
        let seconds = self.number()?;
        let nanos = u32::try_from(self.number()?)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000);
        Ok(Duration::new(
            seconds,
            nanos.ok_or(Damage("a duration is invalid"))?,
        ))
    }

    pub(super) fn offset(&mut self) -> Result<Offset, Damage> {
        Offset::new(self.number()?).ok_or(Damage("a position is too large"))
    }

    pub(super) fn accepted(&mut self) -> Result<Accepted, Damage> {
        Ok(Accepted {
            epoch: self.number()?,
            seq: self.number()?,
        })
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damage>,
    ) -> Result<Option<T>, Damage> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damage("an optional field is neither present nor absent")),
        }
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Damage("it is too long"))
        }
    }
}
