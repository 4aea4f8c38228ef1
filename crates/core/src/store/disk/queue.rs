//! The queue of changes for the committer, with a limit on its bytes. Changes are taken in order, many at once.

use super::super::{Change, Commit, CommitCallback, StoreError};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The maximum number of bytes of waiting changes; further changes are refused.
const WAITING_BYTES_MAX: usize = 128 << 20;
/// The limits of one commit, so that later changes do not wait too long for it.
const COMMIT_BYTES_MAX: usize = 8 << 20;
const COMMIT_CHANGES_MAX: usize = 4_096;
/// The overhead of a waiting change in bytes.
const CHANGE_OVERHEAD_BYTES: usize = 256;

/// Work for the committer.
pub(super) enum QueuedWork {
    /// A change of a stream.
    Change(Commit),
    /// A note to be stored or removed.
    Note(String, Option<Bytes>),
    /// A change that was refused. It is queued so that callbacks are called in the order of submission.
    Refused(StoreError),
}

/// Queued work with its callback.
pub(super) struct QueuedCommit {
    pub(super) work: QueuedWork,
    pub(super) done: CommitCallback,
    bytes: usize,
}

/// The result of waiting for work.
pub(super) enum NextWork {
    /// Work for one commit.
    Work(Vec<QueuedCommit>),
    /// There was no work until the deadline.
    Timeout,
    /// The queue is closed and empty.
    End,
}

/// The queue of the committer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<QueuedCommit>,
    bytes: usize,
    is_closed: bool,
    /// Whether the committer has stopped.
    is_over: bool,
}

impl fmt::Debug for QueueState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueState")
            .field("waiting", &self.waiting.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// Queues work; never waits.
    pub(super) fn push(&self, work: QueuedWork, done: CommitCallback) {
        let bytes = work.bytes();
        let mut inner = self.lock();
        if inner.is_over {
            drop(inner);
            return done(Err(stopping()));
        }
        let waiting = if inner.is_closed {
            QueuedCommit {
                work: QueuedWork::Refused(stopping()),
                done,
                bytes: 0,
            }
        } else if inner.bytes + bytes > WAITING_BYTES_MAX {
            let busy = format!(
                "it is busy: {} bytes are waiting to be written",
                inner.bytes
            );
            QueuedCommit {
                work: QueuedWork::Refused(StoreError::Unwritable(busy)),
                done,
                bytes: 0,
            }
        } else {
            inner.bytes += bytes;
            QueuedCommit { work, done, bytes }
        };
        inner.waiting.push_back(waiting);
        drop(inner);
        self.arrived.notify_one();
    }

    /// Takes the waiting work, up to the limits of one commit. Waits for work until `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> NextWork {
        let mut inner = self.lock();
        loop {
            if !inner.waiting.is_empty() {
                return NextWork::Work(inner.take());
            }
            if inner.is_closed {
                inner.is_over = true;
                return NextWork::End;
            }
            inner =
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    None => self
                        .arrived
                        .wait(inner)
                        .unwrap_or_else(PoisonError::into_inner),
                    Some(left) if left.is_zero() => return NextWork::Timeout,
                    Some(left) => {
                        self.arrived
                            .wait_timeout(inner, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                };
        }
    }

    /// Refuses further changes. Waiting changes are still committed.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn take(&mut self) -> Vec<QueuedCommit> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < COMMIT_CHANGES_MAX
            && let Some(next) = self.waiting.front()
            && (taken.is_empty() || bytes + next.bytes <= COMMIT_BYTES_MAX)
        {
            bytes += next.bytes;
            taken.extend(self.waiting.pop_front());
        }
        self.bytes -= bytes;
        taken
    }
}

impl QueuedWork {
    fn bytes(&self) -> usize {
        let content = match self {
            Self::Change(Commit { change, .. }) => match change {
                Change::Append { payload, .. } => payload.as_ref(),
                Change::Create(new) => new.first.as_ref(),
                Change::Trim { .. } | Change::Hide | Change::Delete { .. } => None,
            }
            .map_or(0, crate::model::Payload::memory_bytes),
            Self::Note(key, value) => key.len() + value.as_ref().map_or(0, Bytes::len),
            Self::Refused(_) => 0,
        };
        content + CHANGE_OVERHEAD_BYTES
    }
}

fn stopping() -> StoreError {
    StoreError::Unwritable("the server is stopping".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn note(bytes: usize) -> QueuedWork {
        QueuedWork::Note("n".to_owned(), Some(Bytes::from(vec![0; bytes])))
    }

    #[test]
    fn a_change_over_the_limit_is_refused_in_its_turn() {
        let queue = Queue::default();
        let (send, outcomes) = mpsc::channel();
        let push = |number: usize, work| {
            let send = send.clone();
            queue.push(
                work,
                Box::new(move |result| send.send((number, result.is_ok())).unwrap()),
            );
        };
        push(0, note(WAITING_BYTES_MAX - 2 * CHANGE_OVERHEAD_BYTES));
        push(1, note(CHANGE_OVERHEAD_BYTES));
        push(2, note(0));
        assert!(
            outcomes.try_recv().is_err(),
            "no callback is called before the committer takes the change"
        );
        let mut count = 0;
        while count < 3 {
            let NextWork::Work(work) = queue.take(None) else {
                panic!("nothing to take")
            };
            for QueuedCommit { work, done, .. } in work {
                count += 1;
                done(if let QueuedWork::Refused(error) = work {
                    Err(error)
                } else {
                    Ok(())
                });
            }
        }
        assert_eq!(
            outcomes.try_iter().collect::<Vec<_>>(),
            [(0, true), (1, false), (2, false)]
        );
    }

    #[test]
    fn a_closed_queue_drains_and_refuses_new_changes() {
        let queue = Queue::default();
        let (send, outcomes) = mpsc::channel();
        let push = || {
            let send = send.clone();
            queue.push(
                note(1),
                Box::new(move |result| send.send(result.is_ok()).unwrap()),
            );
        };
        push();
        queue.close();
        push();
        let NextWork::Work(work) = queue.take(None) else {
            panic!("nothing to take")
        };
        assert!(matches!(
            work[..],
            [
                QueuedCommit {
                    work: QueuedWork::Note(..),
                    ..
                },
                QueuedCommit {
                    work: QueuedWork::Refused(_),
                    ..
                }
            ]
        ));
        assert!(matches!(queue.take(None), NextWork::End));
        push();
        assert_eq!(
            outcomes.try_recv(),
            Ok(false),
            "the callback is called immediately"
        );
    }

    #[test]
    fn one_commit_is_bounded_in_bytes_and_changes() {
        let queue = Queue::default();
        for _ in 0..3 {
            queue.push(note(COMMIT_BYTES_MAX / 2), Box::new(|_| {}));
        }
        for _ in 0..COMMIT_CHANGES_MAX {
            queue.push(note(0), Box::new(|_| {}));
        }
        let taken = || match queue.take(Some(Instant::now())) {
            NextWork::Work(work) => work.len(),
            NextWork::Timeout | NextWork::End => 0,
        };
        let sizes: Vec<_> =
            std::iter::from_fn(|| Some(taken()).filter(|count| *count > 0)).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 3 + COMMIT_CHANGES_MAX);
        assert_eq!(
            sizes[..2],
            [1, 1],
            "two of them with their overhead exceed the limit"
        );
        assert!(sizes.iter().all(|size| *size <= COMMIT_CHANGES_MAX));
    }
}
