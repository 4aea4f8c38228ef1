//! Appends: checked against the staged state, submitted to the store, and applied when committed.

use super::append_state::{AppendDecision, AppendStep};
use super::{Log, lock};
use crate::model::{Accepted, Payload, Producer, StreamSeq, Tail};
use crate::store::{Change, Commit, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tailwater_protocol::{Offset, StreamOffset};
use tokio::sync::oneshot;

/// An append request with `payload`, `close`, or both.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// The messages to append.
    pub payload: Option<Payload>,
    /// Whether to close the stream after the append.
    pub close: bool,
    /// The sequence string of the writer (`Stream-Seq`), which must increase in byte order within
    /// the stream.
    pub seq: Option<StreamSeq>,
    /// The idempotent producer of the append.
    pub producer: Option<Producer>,
    /// The expected tail (`If-Match`): the append fails if the stream ends elsewhere.
    pub only_at: Option<StreamOffset>,
}

/// The result of a successful append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The tail after the append; for a duplicate, the current tail.
    pub tail: Tail,
    /// The position of the producer after the append.
    pub producer: Option<Accepted>,
    /// Whether the append is new; false for a duplicate.
    pub is_new: bool,
}

/// Why an append failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is closed (409).
    #[error("the stream is closed at {}: nothing can be appended", tail.offset())]
    Closed {
        /// The end of the stream.
        tail: Tail,
    },
    /// The stream was deleted (404).
    #[error("the stream was deleted")]
    Deleted,
    /// `Stream-Seq` is not greater than the last one (409).
    #[error("Stream-Seq `{received}` does not follow `{last}`: it must increase in byte order")]
    SeqNotRising {
        /// The last accepted `Stream-Seq`.
        last: String,
        /// The received `Stream-Seq`.
        received: String,
    },
    /// The epoch of the producer is older than its current one (403).
    #[error("the producer's epoch {received} is stale: the current one is {current}")]
    StaleEpoch {
        /// The current epoch.
        current: u64,
        /// The received epoch.
        received: u64,
    },
    /// The sequence number is not the next one of the producer (409).
    #[error("the producer's append has sequence number {received}: expected {expected}")]
    Gap {
        /// The expected sequence number.
        expected: u64,
        /// The received sequence number.
        received: u64,
    },
    /// The first append of a new epoch does not have sequence number 0 (400).
    #[error("the producer's new epoch {epoch} must start with sequence number 0, not {seq}")]
    EpochStart {
        /// The new epoch.
        epoch: u64,
        /// The received sequence number.
        seq: u64,
    },
    /// The stream has the maximum number of producers (429).
    #[error(
        "the stream has reached the limit of {limit} producers: use one producer for many appends"
    )]
    TooManyProducers {
        /// The maximum number of producers.
        limit: usize,
    },
    /// The stream does not end at the offset of `If-Match` (412).
    #[error("If-Match expects offset {expected}, but the stream ends at {}", tail.offset())]
    NotAtTail {
        /// The expected end.
        expected: StreamOffset,
        /// The current end.
        tail: Tail,
    },
    /// The append would exceed the largest offset (507).
    #[error("the stream has reached the largest offset")]
    TooLong,
    /// The store failed; nothing was appended.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The immediate outcome of submitting an append.
pub(crate) enum Submission {
    /// The append is a duplicate of a committed append.
    Duplicate(Appended),
    /// The append was submitted; the receiver returns the tail after it.
    Submitted(oneshot::Receiver<Result<Tail, StoreError>>),
    /// The outcome depends on pending appends; it must be submitted again when the receiver returns.
    Blocked(oneshot::Receiver<Result<Tail, StoreError>>),
}

impl Log {
    /// Appends messages, closes the stream, or both; returns when the append is committed.
    ///
    /// Closing a closed stream again without data succeeds, and so does a retry of a producer's
    /// append. Dropping the future does not cancel a submitted append.
    ///
    /// # Errors
    /// All of [`AppendError`]; nothing was appended.
    ///
    /// Source: Durable Streams protocol, sections 5.2 and 5.3.
    pub async fn append(self: &Arc<Self>, mut append: Append) -> Result<Appended, AppendError> {
        if self.is_expired() || !self.renew() {
            return Err(AppendError::Deleted);
        }
        // For a fork, the expected tail may be given as an offset of the source.
        append.only_at = append.only_at.map(|at| {
            self.position(at)
                .map_or(at, |position| self.offset(position))
        });
        loop {
            match self.submit(&mut append)? {
                Submission::Duplicate(appended) => return Ok(appended),
                Submission::Submitted(outcome) => {
                    let tail = outcome.await.map_err(|_| AppendError::Deleted)??;
                    self.enforce_byte_limit().await;
                    return Ok(Appended {
                        tail,
                        producer: append.producer.map(|it| it.at),
                        is_new: true,
                    });
                }
                // If the pending append failed, the next submission starts from the committed state.
                Submission::Blocked(settled) => {
                    drop(settled.await.map_err(|_| AppendError::Deleted)?);
                }
            }
        }
    }

    /// Checks an append against the staged state, and submits it to the store if it is new.
    ///
    /// - `append`: the payload is moved out if the append is submitted.
    pub(crate) fn submit(self: &Arc<Self>, append: &mut Append) -> Result<Submission, AppendError> {
        let mut staged = lock(&self.staged);
        if self.has_failed.swap(false, Ordering::AcqRel) {
            *staged = lock(&self.committed).clone();
        }
        match staged.check(append) {
            Ok(AppendDecision::Append(step)) => {
                let at = staged.tail().next;
                staged.apply(step.clone());
                Ok(Submission::Submitted(self.commit(
                    at,
                    append.payload.take(),
                    Some(step),
                )))
            }
            // Duplicates and errors must depend only on committed appends, because a pending append
            // may still fail.
            _ => {
                let committed = lock(&self.committed);
                match committed.check(append) {
                    Err(refusal) => Err(refusal),
                    Ok(AppendDecision::AlreadyDone(producer)) => {
                        Ok(Submission::Duplicate(Appended {
                            tail: committed.tail(),
                            producer,
                            is_new: false,
                        }))
                    }
                    Ok(AppendDecision::Append(_)) => {
                        drop(committed);
                        Ok(Submission::Blocked(self.commit(
                            staged.tail().next,
                            None,
                            None,
                        )))
                    }
                }
            }
        }
    }

    /// Submits a step to the store, or an empty append that completes after all appends before it.
    ///
    /// The caller must hold the lock on `staged`, so that steps are submitted in order.
    fn commit(
        self: &Arc<Self>,
        at: Offset,
        payload: Option<Payload>,
        step: Option<AppendStep>,
    ) -> oneshot::Receiver<Result<Tail, StoreError>> {
        let (acknowledge, outcome) = oneshot::channel();
        let log = Arc::clone(self);
        let progress = step
            .as_ref()
            .map(|step| step.progress.clone())
            .unwrap_or_default();
        let close = step.as_ref().is_some_and(|step| step.tail.closed());
        let change = Change::Append {
            at,
            payload,
            close,
            progress,
            now: self.wall.now(),
        };
        self.store.commit(
            Commit {
                stream: self.id,
                change,
            },
            Box::new(move |result| {
                let result = result
                    .map(|()| log.advance(step))
                    .inspect_err(|error| log.record_failure(error));
                // The receiver is dropped if the client has disconnected; the append is still valid.
                let _left = acknowledge.send(result);
            }),
        );
        outcome
    }

    /// Applies a committed step and advances the tail. Returns the tail after the step.
    fn advance(&self, step: Option<AppendStep>) -> Tail {
        let mut committed = lock(&self.committed);
        let Some(step) = step else {
            return committed.tail();
        };
        let after = step.tail;
        committed.apply(step);
        let tail = committed.tail();
        // While the lock is held, so that the tail advances in the order of the commits.
        let has_moved = self
            .tail
            .send_if_modified(|now| std::mem::replace(now, tail) != tail);
        drop(committed);
        if has_moved {
            self.observed.notify(&self.name);
        }
        after
    }

    fn record_failure(&self, error: &StoreError) {
        // An append out of step follows an append that failed and was recorded.
        if *error != StoreError::OutOfStep {
            self.has_failed.store(true, Ordering::Release);
        }
    }
}
