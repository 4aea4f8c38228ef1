//! Creation of forks: streams that share the messages of a source stream up to a position.

use super::{CreateError, Created, Streams, check_same};
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

/// The number of bytes per read when JSON messages are counted.
const PAGE_BYTES: usize = 1 << 20;

/// The request to create a fork. Settings that are absent are inherited from the source.
#[derive(Debug, Clone)]
pub struct ForkRequest {
    /// The name of the source stream.
    pub source: StreamName,
    /// The fork position; `None` is the source's tail.
    pub at: Option<ForkPoint>,
    /// How much to inherit beyond `at`: a number of messages of a JSON stream; otherwise a number of
    /// bytes, at most to the end of one message.
    pub sub: u64,
    /// The content type, which must be the source's.
    pub content_type: Option<String>,
    /// When the fork expires.
    pub expiry: Option<Expiry>,
    /// The number of bytes to retain.
    pub keep_bytes: Option<u64>,
    /// How long messages are retained.
    pub keep_age: Option<Duration>,
    /// The content of the fork after the inherited messages; empty for none.
    pub body: Bytes,
    /// Whether to create the fork closed.
    pub closed: bool,
}

/// The point in the source at which a fork starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkPoint {
    /// A position in the current stream of the source's name.
    Position(Offset),
    /// An offset of the source, with its generation.
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

/// Why a fork cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The source does not exist (404).
    #[error("there is no stream `{0}` to fork")]
    NoSource(StreamName),
    /// The source was deleted and is retained only for its forks (409).
    #[error(
        "the stream `{0}` was deleted: it is retained only for its existing forks and cannot be forked again"
    )]
    SourceHidden(StreamName),
    /// The content type differs from the source's (409).
    #[error("the source's content type is `{source_type}`, the requested one is `{requested}`")]
    TypeDiffers {
        /// The content type of the source.
        source_type: String,
        /// The requested content type.
        requested: String,
    },
    /// The fork position is beyond the source's tail (400).
    #[error("Stream-Fork-Offset {requested} is beyond the source's tail {tail}")]
    BeyondTail {
        /// The requested position.
        requested: StreamOffset,
        /// The tail of the source.
        tail: StreamOffset,
    },
    /// The sub-offset is larger than the number of messages or bytes after the position (400).
    #[error(
        "Stream-Fork-Sub-Offset {requested} is too large: {available} {unit} follow offset {at}"
    )]
    SubBeyond {
        /// The requested sub-offset.
        requested: u64,
        /// The unit of the sub-offset.
        unit: &'static str,
        /// The available number of units.
        available: u64,
        /// The fork position.
        at: StreamOffset,
    },
    /// The chain of forks would be too long (409).
    #[error("the source is at the end of a chain of {limit} forks, which is the limit")]
    TooDeep {
        /// The maximum length of a chain of forks.
        limit: usize,
    },
    /// The fork position is invalid.
    #[error(transparent)]
    Position(#[from] ReadError),
    /// The content of the fork cannot be appended (400).
    #[error(transparent)]
    Payload(PayloadError),
}

/// Counts a fork that is being created at its source; dropping it removes the fork from the count.
#[derive(Debug)]
pub(super) struct ForkReservation {
    streams: Streams,
    source: Option<Arc<Log>>,
}

impl ForkReservation {
    /// `None` if the source is deleted or being deleted.
    fn new(streams: &Streams, source: &Arc<Log>) -> Option<Self> {
        source.fork_refs.add().then(|| Self {
            streams: streams.clone(),
            source: Some(Arc::clone(source)),
        })
    }

    /// Keeps the fork counted after its creation; returns its source.
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

/// The part of the source that a fork inherits.
#[derive(Debug, PartialEq, Eq)]
struct ForkCut {
    /// The fork position, a message boundary of the source.
    at: Offset,
    /// The beginning of the message after it, which becomes part of the fork's own first message.
    piece: Bytes,
}

impl Streams {
    /// Creates a fork, or returns an existing fork that is as requested.
    ///
    /// Dropping the future does not cancel a submitted creation; the name stays locked until it completes.
    ///
    /// # Errors
    /// All of [`CreateError`]; nothing was created.
    ///
    /// Source: Durable Streams protocol, section 4.2.
    pub async fn fork(
        &self,
        name: &StreamName,
        request: ForkRequest,
    ) -> Result<Created, CreateError> {
        let (lock, existing) = self.remove_expired(self.lock_name(name).await).await?;
        if let Some(log) = existing {
            return check_same_fork(log, &request).await;
        }
        let source = self
            .lookup(&request.source)
            .map_err(|absent| match absent {
                Absent::Unknown => ForkError::NoSource(request.source.clone()),
                Absent::Hidden => ForkError::SourceHidden(request.source.clone()),
            })?;
        let config = inherit(source.config(), &request);
        check_source(&source, &config)?;
        // From here on no messages of the source are removed.
        let Some(reservation) = ForkReservation::new(self, &source) else {
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
        let generation = self.deleted.next_generation(name);
        let new = StreamCreation {
            name: name.clone(),
            generation,
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

    /// The first payload of a fork: the inherited part of a message, and the request's body.
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
            requested: config.content_type.to_string(),
        });
    }
    if source.lineage.depth() >= Lineage::DEPTH_MAX {
        return Err(ForkError::TooDeep {
            limit: Lineage::DEPTH_MAX,
        });
    }
    Ok(())
}

/// The configuration of a fork: the requested settings, or those of the source.
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

/// The existing stream `log`, if it is the requested fork. A request without a position matches any
/// position, because the source's tail may have advanced since the fork was created.
async fn check_same_fork(log: Arc<Log>, request: &ForkRequest) -> Result<Created, CreateError> {
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
                && is_forked_at(&log, fork, at, request.sub).await =>
        {
            Some(fork.clone())
        }
        other => {
            let (source_name, at) = (request.source.clone(), at.unwrap_or_default());
            // The source's id is irrelevant for the error: the name or the position differs.
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
    check_same(log, &StreamConfig { fork, ..config }, closed)
}

/// Whether the fork position of `fork` equals `at` plus `sub`.
async fn is_forked_at(log: &Arc<Log>, fork: &Fork, at: Option<Offset>, sub: u64) -> bool {
    let Some(at) = at else { return sub == 0 };
    if log.kind() == ContentKind::Json && sub > 0 {
        return fork_cut(log, Some(at), sub)
            .await
            .is_ok_and(|cut| cut.at == fork.at);
    }
    at.bytes().checked_add(sub) == fork.at.bytes().checked_add(fork.sub)
}

/// The part of `source` that a fork at `at` inherits, with `sub` messages (JSON) or bytes after `at`.
async fn fork_cut(source: &Log, at: Option<Offset>, sub: u64) -> Result<ForkCut, ForkError> {
    let tail = source.tail_now().next;
    let at = at.unwrap_or(tail);
    if at > tail {
        return Err(ForkError::BeyondTail {
            requested: source.offset(at),
            tail: source.offset(tail),
        });
    }
    let is_json = source.config().kind() == ContentKind::Json;
    let unit = if is_json {
        "messages"
    } else {
        "bytes of one message"
    };
    let beyond = |available: u64| ForkError::SubBeyond {
        requested: sub,
        unit,
        available,
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
    // ReadFuture one message also checks that `at` is a message boundary.
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

/// The position `count` JSON messages after `at`, or the number of messages if there are fewer.
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

/// The length of each message of a JSON page, including its comma.
fn lengths(page: &[u8]) -> Result<Vec<usize>, ReadError> {
    let array = [b"[", page.strip_suffix(b",").unwrap_or(page), b"]"].concat();
    let messages: Result<Vec<&RawValue>, _> = serde_json::from_slice(&array);
    let damaged =
        |error: serde_json::Error| ReadError::Store(StoreError::Damaged(error.to_string()));
    messages
        .map(|all| all.iter().map(|message| message.get().len() + 1).collect())
        .map_err(damaged)
}
