//! The encoding of keys and values on disk, with a version and a checksum.
//!
//! A value consists of one byte of version, the body, and the CRC-32 of the key's space, the key, the
//! version and the body. A value that is changed, truncated or stored under another key is detected
//! as [`Damage`].

mod fields;

use super::super::StreamId;
use super::super::page::{Index, Record, SealedPage};
use crate::model::{Accepted, Expiry, Fork, ProducerId, StreamConfig, StreamName};
use bytes::Bytes;
use fields::{FieldReader, millis, put_duration, put_number, put_option, put_text, put_time};
use std::time::SystemTime;
use tailwater_protocol::Offset;

/// The version of every value written.
const VERSION: u8 = 2;

/// The space of a key, which is part of the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// Consecutive appends. The key consists of the stream's id and the position of the first append.
    Data = 1,
    /// Metadata of streams. The key consists of the stream's id and a [`MetadataKind`].
    Metadata = 2,
    /// Notes of the server.
    Notes = 3,
}

/// The error for an invalid key or value, with a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);

/// The kind of metadata under a key of [`Space::Metadata`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetadataKind {
    /// The [`StreamMetadata`], which every existing stream has.
    Stream,
    /// The [`StateMetadata`], which a stream has if it differs from the initial state.
    State,
    /// The last `Stream-Seq`.
    Seq,
    /// The position of a producer.
    Producer(ProducerId),
    /// The position before which all appends have been removed from disk.
    Swept,
    /// The stream was deleted, and its data must be removed.
    Gone,
}

/// The immutable metadata of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamMetadata {
    pub(super) name: StreamName,
    pub(super) generation: u32,
    pub(super) config: StreamConfig,
    pub(super) created: SystemTime,
}

/// The mutable metadata of a stream, except for the positions of writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateMetadata {
    /// Whether the stream is closed, and the producer's append that closed it, if any.
    pub(super) closed: Option<Option<(ProducerId, Accepted)>>,
    /// Whether the stream is retained only for its forks.
    pub(super) hidden: bool,
    /// The earliest retained position.
    pub(super) earliest: Offset,
}

/// The key of consecutive appends.
pub(super) fn data_key(stream: StreamId, at: Offset) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&stream.0.to_be_bytes());
    key[8..].copy_from_slice(&at.bytes().to_be_bytes());
    key
}

/// Decodes a key of appends.
pub(super) fn read_data_key(key: &[u8]) -> Result<(StreamId, Offset), Damage> {
    let mut input = FieldReader(key);
    let stream = StreamId(input.u64_be()?);
    let at =
        Offset::new(input.u64_be()?).ok_or(Damage("an append's key has an invalid position"))?;
    input.end()?;
    Ok((stream, at))
}

/// The key of metadata of a stream.
pub(super) fn metadata_key(stream: StreamId, kind: &MetadataKind) -> Vec<u8> {
    let mut key = stream.0.to_be_bytes().to_vec();
    match kind {
        MetadataKind::Stream => key.push(0),
        MetadataKind::State => key.push(1),
        MetadataKind::Seq => key.push(2),
        MetadataKind::Producer(id) => {
            key.push(3);
            key.extend_from_slice(id.as_str().as_bytes());
        }
        MetadataKind::Swept => key.push(4),
        MetadataKind::Gone => key.push(255),
    }
    key
}

/// Decodes a key of metadata.
pub(super) fn read_metadata_key(key: &[u8]) -> Result<(StreamId, MetadataKind), Damage> {
    let mut input = FieldReader(key);
    let stream = StreamId(input.u64_be()?);
    let kind = match input.byte()? {
        0 => MetadataKind::Stream,
        1 => MetadataKind::State,
        2 => MetadataKind::Seq,
        3 => {
            let id = std::str::from_utf8(input.0).ok().and_then(ProducerId::kept);
            input.0 = &[];
            MetadataKind::Producer(id.ok_or(Damage("a producer's key has no name"))?)
        }
        4 => MetadataKind::Swept,
        255 => MetadataKind::Gone,
        _ => return Err(Damage("a key of an unknown kind")),
    };
    input.end()?;
    Ok((stream, kind))
}

/// Encodes a value: `body` with version and checksum. [`open`] is the inverse.
pub(super) fn seal(space: Space, key: &[u8], body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut value = vec![VERSION];
    body(&mut value);
    let sum = checksum(space, key, &value);
    value.extend_from_slice(&sum.to_le_bytes());
    value
}

/// Verifies a value and returns its body.
pub(super) fn open<'a>(space: Space, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Damage> {
    let Some((covered, sum)) = value.split_last_chunk::<4>() else {
        return Err(Damage("it is too short"));
    };
    if checksum(space, key, covered) != u32::from_le_bytes(*sum) {
        return Err(Damage("its checksum does not match"));
    }
    match covered.split_first() {
        Some((&VERSION, body)) => Ok(body),
        _ => Err(Damage("its version is unknown")),
    }
}

fn checksum(space: Space, key: &[u8], covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[space as u8]);
    hasher.update(key);
    hasher.update(covered);
    hasher.finalize()
}

/// Encodes the value of one or more consecutive appends: their number; for each append its time, the
/// number of its messages and their lengths; then all bytes.
pub(super) fn seal_records(key: &[u8], records: &[Record]) -> Vec<u8> {
    let size = |record: &Record| record.payload.len() + record.payload.messages() * 3 + 10;
    let mut value = Vec::with_capacity(records.iter().map(size).sum::<usize>() + 16);
    value.push(VERSION);
    put_number(&mut value, records.len() as u64);
    for Record { time, payload, .. } in records {
        put_time(&mut value, *time);
        put_number(&mut value, payload.messages() as u64);
        let (mut before, one) = (0, [payload.len()]);
        for &end in if payload.ends().is_empty() {
            &one[..]
        } else {
            payload.ends()
        } {
            put_number(&mut value, (end - before) as u64);
            before = end;
        }
    }
    records
        .iter()
        .for_each(|record| value.extend_from_slice(record.payload.bytes()));
    let sum = checksum(Space::Data, key, &value);
    value.extend_from_slice(&sum.to_le_bytes());
    value
}

/// Decodes a value of appends.
pub(super) fn open_records(key: &[u8], value: &Bytes) -> Result<SealedPage, Damage> {
    let body = open(Space::Data, key, value)?;
    let (_, at) = read_data_key(key)?;
    let mut input = FieldReader(body);
    let appends = input.count(body.len())?;
    let mut index = Index::with_capacity(appends);
    let mut ends = Vec::new();
    for _ in 0..appends {
        let time = u64::from_le_bytes(input.chunk()?);
        let mut end = 0_usize;
        ends.clear();
        for _ in 0..input.count(body.len())? {
            let length = Some(input.length()?).filter(|length| (1..=body.len()).contains(length));
            end += length.ok_or(Damage("a message has an invalid length"))?;
            ends.push(end);
        }
        if end == 0 {
            return Err(Damage("an append has no message"));
        }
        index.push(time, end, &ends);
    }
    if index.len() != input.0.len() || appends == 0 {
        return Err(Damage("the lengths of its messages do not match its bytes"));
    }
    Ok(SealedPage::new(at, value.slice_ref(input.0), index))
}

impl StreamMetadata {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_text(out, self.name.as_str());
        put_time(out, self.created);
        let config = &self.config;
        put_text(out, &config.content_type);
        match config.expiry {
            None => out.push(0),
            Some(Expiry::Idle(after)) => {
                out.push(1);
                put_duration(out, after);
            }
            Some(Expiry::At(time)) => {
                out.push(3);
                put_number(out, millis(time));
            }
        }
        put_option(out, config.keep_bytes.as_ref(), |out, bytes| {
            put_number(out, *bytes);
        });
        put_option(out, config.keep_age.as_ref(), |out, age| {
            put_duration(out, *age);
        });
        put_option(out, config.fork.as_ref(), |out, fork| {
            put_number(out, fork.source.0);
            put_text(out, fork.source_name.as_str());
            put_number(out, fork.at.bytes());
            put_number(out, fork.sub);
        });
        // Absent for generation 0, for compatibility with values without a generation.
        if self.generation > 0 {
            put_number(out, u64::from(self.generation));
        }
    }

    pub(super) fn read(body: &[u8]) -> Result<Self, Damage> {
        let mut input = FieldReader(body);
        let name = input.name()?;
        let created = input.time()?;
        let content_type = input.text()?.into();
        let expiry = match input.byte()? {
            0 => None,
            1 => Some(Expiry::Idle(input.duration()?)),
            // A format that is read but not written: a time in nanoseconds, up to 2554.
            2 => Some(Expiry::At(input.time()?)),
            3 => Some(Expiry::At(input.millis()?)),
            _ => return Err(Damage("an unknown kind of expiry")),
        };
        let keep_bytes = input.option(FieldReader::number)?;
        let keep_age = input.option(FieldReader::duration)?;
        let fork = input.option(|input| {
            let source = StreamId(input.number()?);
            Ok(Fork {
                source,
                source_name: input.name()?,
                at: input.offset()?,
                sub: input.number()?,
            })
        })?;
        let generation = if input.0.is_empty() {
            0
        } else {
            input.number()?
        };
        let generation =
            u32::try_from(generation).map_err(|_| Damage("a generation is too large"))?;
        input.end()?;
        Ok(Self {
            name,
            generation,
            config: StreamConfig {
                content_type,
                expiry,
                keep_bytes,
                keep_age,
                fork,
            },
            created,
        })
    }
}

impl StateMetadata {
    /// The initial state of a stream.
    pub(super) fn open(begins: Offset) -> Self {
        Self {
            closed: None,
            hidden: false,
            earliest: begins,
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_option(out, self.closed.as_ref(), |out, by| {
            put_option(out, by.as_ref(), |out, (id, at)| {
                put_text(out, id.as_str());
                put_accepted(out, *at);
            });
        });
        out.push(u8::from(self.hidden));
        put_number(out, self.earliest.bytes());
    }

    pub(super) fn read(body: &[u8]) -> Result<Self, Damage> {
        let mut input = FieldReader(body);
        let closed = input.option(|input| {
            input.option(|input| {
                let id =
                    ProducerId::kept(input.text()?).ok_or(Damage("a producer without a name"))?;
                Ok((id, input.accepted()?))
            })
        })?;
        let hidden = input.byte()? != 0;
        let earliest = input.offset()?;
        input.end()?;
        Ok(Self {
            closed,
            hidden,
            earliest,
        })
    }
}

pub(super) fn put_accepted(out: &mut Vec<u8>, at: Accepted) {
    put_number(out, at.epoch);
    put_number(out, at.seq);
}

pub(super) fn read_accepted(body: &[u8]) -> Result<Accepted, Damage> {
    let mut input = FieldReader(body);
    let at = input.accepted()?;
    input.end()?;
    Ok(at)
}

pub(super) fn put_offset(out: &mut Vec<u8>, at: Offset) {
    put_number(out, at.bytes());
}

pub(super) fn read_offset(body: &[u8]) -> Result<Offset, Damage> {
    let mut input = FieldReader(body);
    let at = input.offset()?;
    input.end()?;
    Ok(at)
}

#[cfg(test)]
mod tests;
