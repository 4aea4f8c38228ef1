//! Appending: checked against what is staged, handed to the store, told when it is committed.

use super::append_state::{AppendDecision, AppendStep};
use super::{Log, lock};
use crate::model::{Accepted, Payload, Producer, StreamSeq, Tail};
use crate::store::{Change, Commit, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tailwater_protocol::{Offset, StreamOffset};
use tokio::sync::oneshot;

/// What an append asks for; `payload`, `close`, or both.
#[derive(Debug, Clone, Default)]
pub struct Append {
    /// What to add.
    pub payload: Option<Payload>,
    /// Close the stream after it.
    pub close: bool,
    /// The writer's own sequence (`Stream-Seq`), which must rise in byte order; one scope per stream.
    pub seq: Option<StreamSeq>,
    /// The idempotent producer that sends it.
    pub producer: Option<Producer>,
    /// Append only if the stream ends here (`If-Match`).
    pub only_at: Option<StreamOffset>,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The tail after it; of a duplicate, the tail now.
    pub tail: Tail,
    /// How far its producer came.
    pub producer: Option<Accepted>,
    /// Whether it took effect now; if not, it did before.
    pub is_new: bool,
}

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is closed (409).
    #[error("the stream is closed at {}: nothing can be appended", tail.offset())]
    Closed {
        /// Where it ends.
        tail: Tail,
    },
    /// The stream was deleted while this was under way (404).
    #[error("the stream was deleted")]
    Deleted,
    /// `Stream-Seq` did not rise (409).
    #[error("Stream-Seq `{came}` does not follow `{last}`: it must rise in byte order")]
    SeqNotRising {
        /// The last one accepted.
        last: String,
        /// What came.
        came: String,
    },
    /// The producer has begun a newer epoch (403).
    #[error("the producer's epoch {came} is stale: the current one is {current}")]
    StaleEpoch {
        /// The epoch that counts.
        current: u64,
        /// The epoch that came.
        came: u64,
    },
    /// An append of the producer is missing before this one (409).
    #[error("the producer's append has sequence number {received}: expected {expected}")]
    Gap {
        /// The sequence number that comes next.
        expected: u64,
        /// The one that came.
        received: u64,
    },
    /// A new epoch begins in its middle (400).
    #[error("the producer's new epoch {epoch} must begin with sequence number 0, not {seq}")]
    EpochStart {
        /// The new epoch.
        epoch: u64,
        /// The sequence number that came.
        seq: u64,
    },
    /// The stream remembers as many producers as it may (429).
    #[error(
        "the stream remembers {limit} producers, which is the limit: use one producer for many appends"
    )]
    TooManyProducers {
        /// The limit.
        limit: usize,
    },
    /// The stream does not end where `If-Match` says (412).
    #[error("If-Match names offset {expected}, but the stream ends at {}", tail.offset())]
    NotAtTail {
        /// Where it was to end.
        expected: StreamOffset,
        /// Where it ends.
        tail: Tail,
    },
    /// The stream is as long as offsets can count (507).
    #[error("the stream has reached the largest offset")]
    TooLong,
    /// The store refused; nothing was appended.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The immediate outcome of an append.
pub(crate) enum Submission {
    /// It was answered by what is committed.
    Answered(Appended),
    /// It is on its way; the tail after it.
    UnderWay(oneshot::Receiver<Result<Tail, StoreError>>),
    /// It depends on appends that are on their way; ask again when this is done.
    Unsettled(oneshot::Receiver<Result<Tail, StoreError>>),
}

impl Log {
    /// Adds messages, closes the stream, or both; returns once it is as durable as the store promises.
    ///
    /// Closing a closed stream again without data is no error, nor is what a producer has sent before. Dropping the future
    /// does not take the append back.
    ///
    /// # Errors
    /// All of [`AppendError`]; then nothing was appended.
    ///
    /// Source: Durable Streams protocol, sections 5.2 and 5.3.
    pub async fn append(self: &Arc<Self>, mut append: Append) -> Result<Appended, AppendError> {
        if self.is_over() || !self.renew() {
            return Err(AppendError::Deleted);
        }
        // A fork can be said to end where its source did.
        append.only_at = append.only_at.map(|at| {
            self.position(at)
                .map_or(at, |position| self.offset(position))
        });
        loop {
            match self.submit(&mut append)? {
                Submission::Answered(appended) => return Ok(appended),
                Submission::UnderWay(outcome) => {
                    let tail = outcome.await.map_err(|_| AppendError::Deleted)??;
                    self.keep_to_bytes().await;
                    return Ok(Appended {
                        tail,
                        producer: append.producer.map(|it| it.at),
                        is_new: true,
                    });
                }
                // What failed meanwhile was noted; the next look begins from what is committed.
                Submission::Unsettled(settled) => {
                    drop(settled.await.map_err(|_| AppendError::Deleted)?);
                }
            }
        }
    }

    /// Checks an append against what is staged, and hands it to the store, its payload taken out, if it takes effect.
    pub(crate) fn submit(self: &Arc<Self>, append: &mut Append) -> Result<Submission, AppendError> {
        let mut staged = lock(&self.staged);
        if self.faulted.swap(false, Ordering::AcqRel) {
            *staged = lock(&self.committed).clone();
        }
        match staged.check(append) {
            Ok(AppendDecision::Append(step)) => {
                let at = staged.tail().next;
                staged.apply(step.clone());
                Ok(Submission::UnderWay(self.commit(
                    at,
                    append.payload.take(),
                    Some(step),
                )))
            }
            // An answer may rest only on what is durable: not on an append that is still under way, and may fail.
            _ => {
                let committed = lock(&self.committed);
                match committed.check(append) {
                    Err(refusal) => Err(refusal),
                    Ok(AppendDecision::AlreadyDone(producer)) => {
                        Ok(Submission::Answered(Appended {
                            tail: committed.tail(),
                            producer,
                            is_new: false,
                        }))
                    }
                    Ok(AppendDecision::Append(_)) => {
                        drop(committed);
                        Ok(Submission::Unsettled(self.commit(
                            staged.tail().next,
                            None,
                            None,
                        )))
                    }
                }
            }
        }
    }

    /// Hands a step to the store, or nothing, to know when all before it is done. The caller holds `staged`, so that steps
    /// are handed over in their order.
    fn commit(
        self: &Arc<Self>,
        at: Offset,
        payload: Option<Payload>,
        step: Option<AppendStep>,
    ) -> oneshot::Receiver<Result<Tail, StoreError>> {
        let (acknowledge, outcome) = oneshot::channel();
        let log = Arc::clone(self);
        let marks = step
            .as_ref()
            .map(|step| step.marks.clone())
            .unwrap_or_default();
        let close = step.as_ref().is_some_and(|step| step.tail.closed());
        let change = Change::Append {
            at,
            payload,
            close,
            marks,
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
                    .inspect_err(|error| log.note_fault(error));
                // Nobody waits any more when the writer has left; the append stands all the same.
                let _left = acknowledge.send(result);
            }),
        );
        outcome
    }

    /// Moves the tail over what was committed, whose data can be read by now. Returns the tail after it.
    fn advance(&self, step: Option<AppendStep>) -> Tail {
        let mut committed = lock(&self.committed);
        let Some(step) = step else {
            return committed.tail();
        };
        let after = step.tail;
        committed.apply(step);
        let tail = committed.tail();
        // Under the lock, so that the tail moves in the order of the commits.
        let has_moved = self
            .tail
            .send_if_modified(|now| std::mem::replace(now, tail) != tail);
        drop(committed);
        if has_moved {
            self.observed.tell(&self.name);
        }
        after
    }

    fn note_fault(&self, error: &StoreError) {
        // What fails only because an earlier change failed was staged before that one was noted.
        if *error != StoreError::OutOfStep {
            self.faulted.store(true, Ordering::Release);
        }
    }
}
