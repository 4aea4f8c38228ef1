//! The state that appends are checked against: the tail, `Stream-Seq` and the producers. Without I/O.

use super::producers::Producers;
use super::{Append, AppendError};
use crate::model::{Accepted, Payload, ProducerId, Tail, TailState};
use crate::store::{Recovered, WriterProgress};

/// The tail of a stream, and the positions of its writers.
#[derive(Debug, Clone)]
pub(super) struct AppendState {
    tail: Tail,
    seq: Option<String>,
    producers: Producers,
    closed_by: Option<(ProducerId, Accepted)>,
}

/// The change of the state by one append.
#[derive(Debug, Clone)]
pub(super) struct AppendStep {
    /// The tail after the append.
    pub(super) tail: Tail,
    /// The positions of writers after the append.
    pub(super) progress: WriterProgress,
}

/// The decision about a valid append.
#[derive(Debug, Clone)]
pub(super) enum AppendDecision {
    /// The append is new.
    Append(AppendStep),
    /// The append is a duplicate, with the position of its producer, if it has one.
    AlreadyDone(Option<Accepted>),
}

impl AppendState {
    /// The state of a recovered stream.
    pub(super) fn recovered(known: &Recovered) -> Self {
        let state = match known.closed {
            _ if known.hidden => TailState::Deleted,
            Some(_) => TailState::Closed,
            None => TailState::Open,
        };
        let mut producers = Producers::default();
        known
            .producers
            .iter()
            .for_each(|(id, at)| producers.accept(id.clone(), *at));
        Self {
            tail: Tail {
                next: known.next,
                generation: known.generation,
                state,
            },
            seq: known.seq.clone(),
            producers,
            closed_by: known.closed.clone().flatten(),
        }
    }

    /// The tail.
    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// The position of each producer, in no particular order.
    pub(super) fn producers(&self) -> impl Iterator<Item = (&ProducerId, Accepted)> {
        self.producers.iter()
    }

    /// Marks the stream as deleted, so that all further appends fail.
    pub(super) fn delete(&mut self) {
        self.tail.state = TailState::Deleted;
    }

    /// Decides whether an append is new, a duplicate or invalid.
    ///
    /// Retries of producers are recognised first, because a retry must succeed without a second
    /// append, whatever was appended after it. `If-Match` is checked last, because a precondition
    /// applies only to a request that would otherwise succeed.
    ///
    /// Source: Durable Streams protocol, sections 5.2, 5.2.1 and 5.3; RFC 9110, section 13.2.1.
    pub(super) fn check(&self, append: &Append) -> Result<AppendDecision, AppendError> {
        if self.tail.state == TailState::Deleted {
            return Err(AppendError::Deleted);
        }
        let checked = append
            .producer
            .as_ref()
            .map(|it| self.producers.check(&it.id, it.at))
            .transpose();
        if self.tail.closed() {
            return self.check_closed(append, checked);
        }
        if let Some(Some(highest)) = checked? {
            return Ok(AppendDecision::AlreadyDone(Some(highest)));
        }
        if let (Some(received), Some(last)) = (&append.seq, &self.seq)
            && received.as_str().as_bytes() <= last.as_bytes()
        {
            return Err(AppendError::SeqNotRising {
                last: last.clone(),
                received: received.as_str().to_owned(),
            });
        }
        if let Some(expected) = append.only_at
            && expected != self.tail.offset()
        {
            return Err(AppendError::NotAtTail {
                expected,
                tail: self.tail,
            });
        }
        let added = append.payload.as_ref().map_or(0, Payload::len);
        let next = self.tail.next.advance(added).ok_or(AppendError::TooLong)?;
        let state = if append.close {
            TailState::Closed
        } else {
            TailState::Open
        };
        let tail = Tail {
            next,
            state,
            ..self.tail
        };
        let producer = append.producer.as_ref().map(|it| (it.id.clone(), it.at));
        Ok(AppendDecision::Append(AppendStep {
            tail,
            progress: WriterProgress {
                seq: append.seq.as_ref().map(|seq| seq.as_str().to_owned()),
                producer,
            },
        }))
    }

    /// Checks an append to a closed stream: only a retry of the closing append, or closing again
    /// without data, succeeds.
    fn check_closed(
        &self,
        append: &Append,
        checked: Result<Option<Option<Accepted>>, AppendError>,
    ) -> Result<AppendDecision, AppendError> {
        let closing = append.producer.as_ref().map(|it| (&it.id, it.at));
        if closing.is_some() && closing == self.closed_by.as_ref().map(|(id, at)| (id, *at)) {
            return Ok(AppendDecision::AlreadyDone(closing.map(|(_, at)| at)));
        }
        match checked {
            Err(stale @ AppendError::StaleEpoch { .. }) => Err(stale),
            _ if append.close && append.payload.is_none() && append.producer.is_none() => {
                Ok(AppendDecision::AlreadyDone(None))
            }
            _ => Err(AppendError::Closed { tail: self.tail }),
        }
    }

    /// Applies a step that [`AppendState::check`] returned for this or an equal state.
    pub(super) fn apply(&mut self, step: AppendStep) {
        let AppendStep { tail, progress } = step;
        self.tail.next = self.tail.next.max(tail.next);
        self.tail.state = self.tail.state.max(tail.state);
        if let Some(seq) = progress.seq {
            self.seq = Some(seq);
        }
        if let Some((id, at)) = progress.producer {
            if tail.closed() {
                self.closed_by = Some((id.clone(), at));
            }
            self.producers.accept(id, at);
        }
    }
}
