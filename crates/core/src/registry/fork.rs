//! Creates forks: streams whose first messages are another stream's, up to a position.

use super::{CreateError, Created, Streams, same};
use crate::log::lineage::Lineage;
use crate::log::{Log, ReadError};
use crate::model::{Expiry, Fork, Payload, PayloadError, StreamConfig, StreamName};
use crate::registry::Absent;
use crate::store::{StoreError, StreamCreation};
use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, StreamOffset};

/// Bytes read at once to find the position after a number of JSON messages.
const PAGE_BYTES: usize = 1 << 20;

/// What a fork shall be; what is not said comes from its source.
#[derive(Debug, Clone)]
pub struct ForkRequest {
    /// The stream that it is forked from.
    pub source: StreamName,
    /// Where it leaves that stream; `None` is the source's tail.
    pub at: Option<ForkPoint>,
    /// How much it inherits beyond `at`: messages of a JSON stream, else bytes, at most to the end of one message.
    pub sub: u64,
    /// Its content type, which must be the source's.
    pub content_type: Option<String>,
    /// When it ends by itself.
    pub expiry: Option<Expiry>,
    /// Bytes to keep.
    pub keep_bytes: Option<u64>,
    /// How long messages are kept.
    pub keep_age: Option<Duration>,
    /// Its own first content, after what it inherits; empty for none.
    pub body: Bytes,
    /// Create it closed.
    pub closed: bool,
}

/// Where a fork leaves its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkPoint {
    /// At a position, in whichever stream has the source's name now.
    Position(Offset),
    /// At an offset that the source gave out.
    Offset(StreamOffset),
}

impl ForkPoint {
    /// The position in `source`.
    fn position(self, source: &Log) -> Result<Offset, ReadError> {
        match self {
            Self::Position(position) => Ok(position),
            Self::Offset(offset) => source.position(offset),
        }
    }
}

/// Why a fork can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// There is no such source (404).
    #[error("there is no stream `{0}` to fork")]
    NoSource(StreamName),
    /// The source was deleted and is kept for its forks only (409).
    #[error(
        "the stream `{0}` was deleted: it is kept for its existing forks only, and can't be forked again"
    )]
    SourceHidden(StreamName),
    /// The content type is not the source's (409).
    #[error("the source's content type is `{source_type}`, the fork's would be `{asked}`")]
    TypeDiffers {
        /// The source's.
        source_type: String,
        /// What was asked for.
        asked: String,
    },
    /// The position lies beyond the source's tail (400).
    #[error("Stream-Fork-Offset {asked} lies beyond the source's tail {tail}")]
    BeyondTail {
        /// Where the fork was to leave.
        asked: StreamOffset,
        /// Where the source ends.
        tail: StreamOffset,
    },
    /// The sub-offset goes beyond what it may count (400).
    #[error("Stream-Fork-Sub-Offset {asked} is too large: {there} {unit} follow offset {at}")]
    SubBeyond {
        /// What was asked for.
        asked: u64,
        /// What it counts.
        unit: &'static str,
        /// How many there are.
        there: u64,
        /// Where they begin.
        at: StreamOffset,
    },
    /// The fork would descend from too many streams (409).
    #[error("the source descends from {limit} streams, fork of fork, which is the limit")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The position is none that a fork can leave at.
    #[error(transparent)]
    Position(#[from] ReadError),
    /// The fork's own first content can't be appended (400).
    #[error(transparent)]
    Payload(PayloadError),
}

/// Counts a fork that is being made at its source; when dropped, the fork is no longer counted.
#[derive(Debug)]
pub(super) struct ForkReservation {
    streams: Streams,
    source: Option<Arc<Log>>,
}

impl ForkReservation {
    /// `None` when the source is being deleted.
    fn by(streams: &Streams, source: &Arc<Log>) -> Option<Self> {
        source.fork_refs.add().then(|| Self {
            streams: streams.clone(),
            source: Some(Arc::clone(source)),
        })
    }

    /// The fork is made, and counts from now on.
    pub(super) fn keep(mut self) -> Option<Arc<Log>> {
        self.source.take()
    }
}

impl Drop for ForkReservation {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            self.streams.release(&source);
        }
    }
}

/// Where a fork leaves its source.
#[derive(Debug, PartialEq, Eq)]
struct ForkCut {
    /// A message boundary of the source.
    at: Offset,
    /// The beginning of the message behind it that the fork gets as its own.
    piece: Bytes,
}

impl Streams {
    /// Makes a fork, or finds it when it is there as asked.
    ///
    /// Dropping the future undoes nothing: what was submitted is done, and the name stays locked until then.
    ///
    /// # Errors
    /// All of [`CreateError`]; then nothing was created.
    ///
    /// Source: Durable Streams protocol, section 4.2.
    pub async fn fork(
        &self,
        name: &StreamName,
        request: ForkRequest,
    ) -> Result<Created, CreateError> {
        let (lock, there) = self.remove_ended(self.lock_name(name).await).await?;
        if let Some(log) = there {
            return same_fork(log, &request).await;
        }
        let source = self
            .lookup(&request.source)
            .map_err(|absent| match absent {
                Absent::Unknown => ForkError::NoSource(request.source.clone()),
                Absent::Hidden => ForkError::SourceHidden(request.source.clone()),
            })?;
        let config = inherit(source.config(), &request);
        check_source(&source, &config)?;
        // From here on the source keeps everything that it has.
        let Some(reservation) = ForkReservation::by(self, &source) else {
            return Err(ForkError::NoSource(request.source).into());
        };
        let at = request
            .at
            .map(|at| at.position(&source))
            .transpose()
            .map_err(ForkError::from)?;
        let cut = fork_cut(&source, at, request.sub).await?;
        let first = self
            .first(config.kind(), &cut.piece, request.body)
            .await
            .map_err(ForkError::Payload)?;
        let fork = Fork {
            source: source.id(),
            source_name: request.source,
            at: cut.at,
            sub: cut.piece.len() as u64,
        };
        let config = StreamConfig {
            fork: Some(fork),
            ..config
        };
        let life = self.deleted.next_life(name);
        let new = StreamCreation {
            name: name.clone(),
            life,
            config,
            first,
            closed: request.closed,
            at: self.wall.now(),
        };
        let created = self
            .submit_creation(lock, new, Some(reservation))?
            .await
            .unwrap_or(Err(StoreError::NoStream));
        Ok(Created {
            log: created?,
            is_new: true,
        })
    }

    /// A fork's own first content: the piece of a message that it inherits, and the request's body.
    async fn first(
        &self,
        kind: ContentKind,
        piece: &Bytes,
        body: Bytes,
    ) -> Result<Option<Payload>, PayloadError> {
        if piece.is_empty() {
            return self.first_payload(kind, body).await;
        }
        let mut whole = BytesMut::from(&piece[..]);
        whole.extend_from_slice(&body);
        self.first_payload(kind, whole.freeze()).await
    }
}

/// Checks that a stream can be the source of a fork with this configuration.
fn check_source(source: &Log, config: &StreamConfig) -> Result<(), ForkError> {
    if !source.config().same_type(&config.content_type) {
        return Err(ForkError::TypeDiffers {
            source_type: source.config().content_type.to_string(),
            asked: config.content_type.to_string(),
        });
    }
    if source.lineage.generation() >= Lineage::GENERATIONS_MAX {
        return Err(ForkError::TooDeep {
            limit: Lineage::GENERATIONS_MAX,
        });
    }
    Ok(())
}

/// The configuration of a fork: what it asks for, and else what its source has.
///
/// Source: Durable Streams protocol, section 4.2, the table of expiries; retention follows the same rule.
fn inherit(source: &StreamConfig, request: &ForkRequest) -> StreamConfig {
    StreamConfig {
        content_type: request
            .content_type
            .as_deref()
            .map_or_else(|| Arc::clone(&source.content_type), Into::into),
        expiry: request.expiry.or(source.expiry),
        keep_bytes: request.keep_bytes.or(source.keep_bytes),
        keep_age: request.keep_age.or(source.keep_age),
        fork: None,
    }
}

/// The stream that is there, if it is the fork that is asked for. Where no position is asked for, any is right: the
/// source's tail has moved on since the first time.
async fn same_fork(log: Arc<Log>, request: &ForkRequest) -> Result<Created, CreateError> {
    let config = inherit(
        log.source().map_or(log.config(), |source| source.config()),
        request,
    );
    let source = log.source().unwrap_or(&log);
    let at = request
        .at
        .map(|at| at.position(source))
        .transpose()
        .map_err(ForkError::from)?;
    let fork = match &log.config().fork {
        Some(fork)
            if fork.source_name == request.source
                && leaves_at(&log, fork, at, request.sub).await =>
        {
            Some(fork.clone())
        }
        other => {
            let (source_name, at) = (request.source.clone(), at.unwrap_or_default());
            // Its number is not looked at: what differs is the name or the position.
            let source = other.as_ref().map_or(log.id(), |fork| fork.source);
            Some(Fork {
                source,
                source_name,
                at,
                sub: request.sub,
            })
        }
    };
    let closed = request.closed;
    same(log, &StreamConfig { fork, ..config }, closed)
}

/// Whether `fork` left its source `sub` beyond `at`, whichever way it is said.
async fn leaves_at(log: &Arc<Log>, fork: &Fork, at: Option<Offset>, sub: u64) -> bool {
    let Some(at) = at else { return sub == 0 };
    if log.kind() == ContentKind::Json && sub > 0 {
        return fork_cut(log, Some(at), sub)
            .await
            .is_ok_and(|cut| cut.at == fork.at);
    }
    at.bytes().checked_add(sub) == fork.at.bytes().checked_add(fork.sub)
}

/// Where a fork leaves `source`: `sub` messages (JSON) or bytes behind `at`.
async fn fork_cut(source: &Log, at: Option<Offset>, sub: u64) -> Result<ForkCut, ForkError> {
    let tail = source.tail_now().next;
    let at = at.unwrap_or(tail);
    if at > tail {
        return Err(ForkError::BeyondTail {
            asked: source.offset(at),
            tail: source.offset(tail),
        });
    }
    let is_json = source.config().kind() == ContentKind::Json;
    let unit = if is_json {
        "messages"
    } else {
        "bytes of one message"
    };
    let beyond = |there: u64| ForkError::SubBeyond {
        asked: sub,
        unit,
        there,
        at: source.offset(at),
    };
    if is_json && sub > 0 {
        return position_after(source, at, tail, sub)
            .await?
            .map_err(beyond)
            .map(|at| ForkCut {
                at,
                piece: Bytes::new(),
            });
    }
    // One message, also to see that one begins here.
    let message = source.read(at, 1).await?.data;
    let len = message.len() as u64;
    match usize::try_from(sub) {
        Ok(0) => Ok(ForkCut {
            at,
            piece: Bytes::new(),
        }),
        Ok(sub) if sub < message.len() => Ok(ForkCut {
            at,
            piece: message.slice(..sub),
        }),
        Ok(sub) if sub == message.len() => Ok(ForkCut {
            at: at.advance(sub).unwrap_or(tail),
            piece: Bytes::new(),
        }),
        _ => Err(beyond(len)),
    }
}

/// The position `count` JSON messages behind `at`, or how many there are if they are fewer.
async fn position_after(
    source: &Log,
    at: Offset,
    tail: Offset,
    count: u64,
) -> Result<Result<Offset, u64>, ReadError> {
    let (mut at, mut seen) = (at, 0);
    while at < tail {
        let page = source.read(at, PAGE_BYTES).await?.data;
        for len in lengths(&page)? {
            at = at.advance(len).unwrap_or(tail);
            seen += 1;
            if seen == count {
                return Ok(Ok(at));
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(Err(seen))
}

/// How many bytes each message of a JSON page takes, its comma included.
fn lengths(page: &[u8]) -> Result<Vec<usize>, ReadError> {
    let array = [b"[", page.strip_suffix(b",").unwrap_or(page), b"]"].concat();
    let messages: Result<Vec<&RawValue>, _> = serde_json::from_slice(&array);
    let damaged =
        |error: serde_json::Error| ReadError::Store(StoreError::Damaged(error.to_string()));
    messages
        .map(|all| all.iter().map(|message| message.get().len() + 1).collect())
        .map_err(damaged)
}
