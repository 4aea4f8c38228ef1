//! What the next append is checked against: where the stream ends, and how far its writers came. Pure.

use super::producers::Producers;
use super::{Append, AppendError};
use crate::model::{Accepted, Payload, ProducerId, Tail, TailState};
use crate::store::{Marks, Recovered};

/// A stream's end, with what its writers left behind.
#[derive(Debug, Clone)]
pub(super) struct AppendState {
    tail: Tail,
    seq: Option<String>,
    producers: Producers,
    closed_by: Option<(ProducerId, Accepted)>,
}

/// What one append changes.
#[derive(Debug, Clone)]
pub(super) struct AppendStep {
    /// The tail after it.
    pub(super) tail: Tail,
    /// What it leaves behind for later appends.
    pub(super) marks: Marks,
}

/// The decision about an append that is not refused.
#[derive(Debug, Clone)]
pub(super) enum AppendDecision {
    /// It takes effect.
    Append(AppendStep),
    /// Everything that it asks for has been done before; the producer's position, if a producer sent it.
    AlreadyDone(Option<Accepted>),
}

impl AppendState {
    /// A stream as its store knows it.
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
                life: known.life,
                state,
            },
            seq: known.seq.clone(),
            producers,
            closed_by: known.closed.clone().flatten(),
        }
    }

    /// Where the stream ends.
    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// How far each producer came, in no order.
    pub(super) fn producers(&self) -> impl Iterator<Item = (&ProducerId, Accepted)> {
        self.producers.iter()
    }

    /// The stream is deleted: every append is refused from now on.
    pub(super) fn delete(&mut self) {
        self.tail.state = TailState::Deleted;
    }

    /// Whether `append` takes effect here, and how.
    ///
    /// A producer's retry is recognised before anything else is checked: whatever came after it, it must not be refused
    /// or appended twice. `If-Match` comes last, as a condition on what would otherwise succeed.
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
        if let (Some(came), Some(last)) = (&append.seq, &self.seq)
            && came.as_str().as_bytes() <= last.as_bytes()
        {
            return Err(AppendError::SeqNotRising {
                last: last.clone(),
                came: came.as_str().to_owned(),
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
            marks: Marks {
                seq: append.seq.as_ref().map(|seq| seq.as_str().to_owned()),
                producer,
            },
        }))
    }

    /// On a closed stream only what closed it, or closing it again without data, is no error.
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

    /// Applies the step that [`AppendState::check`] allowed here or on an equal state.
    pub(super) fn apply(&mut self, step: AppendStep) {
        let AppendStep { tail, marks } = step;
        self.tail.next = self.tail.next.max(tail.next);
        self.tail.state = self.tail.state.max(tail.state);
        if let Some(seq) = marks.seq {
            self.seq = Some(seq);
        }
        if let Some((id, at)) = marks.producer {
            if tail.closed() {
                self.closed_by = Some((id.clone(), at));
            }
            self.producers.accept(id, at);
        }
    }
}
