//! Readers of one stream at one position in one encoding: each batch is encoded once and offered to
//! all.

use super::encoding::{EncodedPiece, Encoding, Heads, ReportState};
use super::follow::{Follow, NextStep};
use super::outlet::{Outlet, UnsentBytes, poll_receive};
use super::seat::{AfterDelivery, Offered, ReaderState, Seat, SeatState};
use super::terms::LiveTerms;
use crate::api::{Cursors, Exhausted, FREE_BYTES, LongPollWait};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tailwater_core::{Batch, Log, StreamId};
use tailwater_protocol::Offset;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{consume_budget, spawn_local, yield_now};
use tokio::time::{Instant, sleep_until};

/// Seats served before the task yields to others on this worker.
const WRITES_AT_ONCE: usize = 64;

/// Size of the worker's read buffer in bytes.
pub(super) const SCRATCH_BYTES: usize = 16 << 10;

/// Number of seats below which vacant ones are not removed before the next delivery.
const SEATS_PRUNED_MIN: usize = 64;

/// Minimum time between two checks for expired seats.
const DEADLINE_STEP: Duration = Duration::from_millis(50);

/// The groups of one worker.
pub struct Groups {
    all: RefCell<HashMap<(StreamId, Encoding), Rc<Group>>>,
    terms: LiveTerms,
    heads: Heads,
    /// Buffer for one read from any socket.
    scratch: RefCell<Box<[u8]>>,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("count", &self.all.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Cleans up when a group's task ends, whether it returns or panics, so that no reader waits for
/// it.
struct GroupEnding<'g> {
    group: &'g Group,
    groups: &'g Groups,
}

impl Drop for GroupEnding<'_> {
    fn drop(&mut self) {
        self.groups
            .all
            .borrow_mut()
            .remove(&(self.group.log.id(), self.group.encoding));
        // Readers that were seated after the last delivery continue by themselves.
        self.group.unseat_all();
    }
}

/// One group. It exists as long as its task, which ends when no reader is left or the stream has
/// ended.
pub(super) struct Group {
    log: Arc<Log>,
    encoding: Encoding,
    seats: RefCell<Vec<Rc<SeatState>>>,
    /// Number of seats at which vacant ones are removed.
    prune_at: Cell<usize>,
    /// Everything before it was offered to every seated reader.
    at_bytes: Cell<u64>,
    /// Whether the seated readers were last reported up to date.
    reported_up_to_date: Cell<bool>,
    /// Whether a delivery is under way, during which no reader can be seated.
    is_delivering: Cell<bool>,
    /// Wakes readers waiting for a seat when the group moves or ends.
    moved: Notify,
    /// The earliest deadline of the seats.
    first_deadline: Cell<Option<Instant>>,
    /// Wakes the group's task when that becomes earlier.
    deadline_moved: Notify,
}

impl Groups {
    /// No groups yet.
    pub fn new(terms: LiveTerms) -> Rc<Self> {
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES].into());
        Rc::new(Self {
            all: RefCell::default(),
            terms,
            heads: Heads::default(),
            scratch,
        })
    }

    /// How readers are served.
    pub fn terms(&self) -> &LiveTerms {
        &self.terms
    }

    /// Writes the response heads of this worker.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The group that reads `log` in `encoding`, if there is one.
    pub(super) fn find(&self, log: &Log, encoding: Encoding) -> Option<Rc<Group>> {
        self.all.borrow().get(&(log.id(), encoding)).cloned()
    }

    /// The same; if there is none, a new one at `from` whose members were last reported
    /// `up_to_date`.
    pub(super) fn find_or_create(
        self: &Rc<Self>,
        log: &Arc<Log>,
        encoding: Encoding,
        from: Offset,
        up_to_date: bool,
    ) -> Rc<Group> {
        if let Some(group) = self.find(log, encoding) {
            return group;
        }
        let group = Rc::new(Group {
            log: Arc::clone(log),
            encoding,
            seats: RefCell::default(),
            prune_at: Cell::new(SEATS_PRUNED_MIN),
            at_bytes: Cell::new(from.bytes()),
            reported_up_to_date: Cell::new(up_to_date),
            is_delivering: Cell::new(false),
            moved: Notify::new(),
            first_deadline: Cell::new(None),
            deadline_moved: Notify::new(),
        });
        self.all
            .borrow_mut()
            .insert((log.id(), encoding), Rc::clone(&group));
        let (groups, running) = (Rc::clone(self), Rc::clone(&group));
        spawn_local(async move { running.run(&groups).await });
        group
    }

    /// Seats a long-poll; `None` when it can be answered already.
    pub async fn seat_wait(
        self: &Rc<Self>,
        wait: &mut LongPollWait,
        encoding: Encoding,
        outlet: Outlet,
    ) -> Option<Seat> {
        let presence = wait.presence.take()?;
        let mut reader = ReaderState {
            outlet,
            cursors: wait.cursors,
            until: Some(wait.until),
            presence,
        };
        loop {
            let group = self.find_or_create(&wait.log, encoding, wait.at, true);
            if wait.at < group.at() {
                return None;
            }
            match group.seat(reader, wait.at) {
                Ok(seat) => return Some(seat),
                Err(returned) => reader = returned,
            }
            Box::pin(group.moved()).await;
        }
    }

    /// Appends the next bytes from a socket of this worker to `out`. Returns their number, 0 at its
    /// end.
    ///
    /// # Errors
    /// When the connection failed.
    pub fn poll_receive(
        &self,
        socket: &TcpStream,
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        poll_receive(socket, &mut self.scratch.borrow_mut(), out, context)
    }
}

impl Group {
    /// Everything before it was offered to every seated reader.
    pub(super) fn at(&self) -> Offset {
        Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX)
    }

    /// Whether the seated readers were last reported up to date.
    pub(super) fn reported_up_to_date(&self) -> bool {
        self.reported_up_to_date.get()
    }

    /// Seats a reader that was sent everything before `at`; returns it when the group is at another
    /// position or busy.
    pub(super) fn seat(&self, reader: ReaderState, at: Offset) -> Result<Seat, ReaderState> {
        if self.is_delivering.get() || at != self.at() {
            return Err(reader);
        }
        self.note_deadline(reader.until);
        let state = Rc::new(SeatState::new(reader, at, self.reported_up_to_date.get()));
        let mut seats = self.seats.borrow_mut();
        if seats.len() >= self.prune_at.get() {
            seats.retain(|seat| seat.is_taken());
            self.prune_at.set((2 * seats.len()).max(SEATS_PRUNED_MIN));
        }
        seats.push(Rc::clone(&state));
        Ok(Seat::new(state))
    }

    /// Waits until the group has moved or ended.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Serves the seated readers until the group ends.
    async fn run(&self, groups: &Groups) {
        let _ending = GroupEnding {
            group: self,
            groups,
        };
        let mut follow = Follow::new(Arc::clone(&self.log), self.at(), groups.terms.clone());
        let mut deadline = pin!(self.deadline());
        loop {
            let step = {
                // Deadlines are still met during a slow read.
                let mut next = pin!(follow.next());
                loop {
                    tokio::select! {
                        biased;
                        step = next.as_mut() => break step,
                        () = deadline.as_mut() => {
                            self.unseat_overdue();
                            deadline.set(self.deadline());
                        }
                    }
                }
            };
            let was_empty = self.seats.borrow().is_empty();
            let is_heartbeat = matches!(step, NextStep::Heartbeat);
            let is_last = match step {
                NextStep::Batch(batch) => {
                    self.deliver_batch(&batch, follow.at(), groups).await;
                    batch.closed()
                }
                NextStep::Heartbeat if self.encoding.is_streaming() => {
                    self.deliver(&self.encoding.heartbeat(), follow.at(), AfterDelivery::Stay)
                        .await;
                    false
                }
                NextStep::Heartbeat => {
                    self.seats.borrow_mut().retain(|seat| seat.is_taken());
                    false
                }
                NextStep::End if self.encoding.is_streaming() => {
                    self.deliver(
                        &self.encoding.reconnect_notice(),
                        follow.at(),
                        AfterDelivery::End,
                    )
                    .await;
                    true
                }
                // Each long-poll responds by itself.
                NextStep::End => true,
            };
            // Under continuous appends the deadline branch above would never run.
            if self
                .first_deadline
                .get()
                .is_some_and(|first| first <= Instant::now())
            {
                self.unseat_overdue();
            }
            consume_budget().await;
            // Long-polls return after each delivery: their group waits for them, but not
            // indefinitely.
            let may_end = self.encoding.is_streaming() || was_empty || is_heartbeat;
            if is_last || may_end && self.seats.borrow().is_empty() {
                break;
            }
        }
    }

    /// Delivers a batch to the seated readers, which are at `at` afterwards.
    async fn deliver_batch(&self, batch: &Batch, at: Offset, groups: &Groups) {
        let after = match self.encoding.is_streaming() {
            true if batch.closed() => AfterDelivery::End,
            true => AfterDelivery::Stay,
            false => AfterDelivery::Answered,
        };
        match self.piece(batch, groups) {
            Ok(piece) => self.deliver(&piece, at, after).await,
            Err(Exhausted { .. }) => {
                self.at_bytes.set(at.bytes());
                self.unseat_all();
            }
        }
    }

    /// Encodes a batch for the seated readers. It is charged to the budget, as readers that can't
    /// accept it at once hold it.
    ///
    /// # Errors
    /// When the budget is exhausted.
    fn piece(&self, batch: &Batch, groups: &Groups) -> Result<EncodedPiece, Exhausted> {
        let mut piece = if self.encoding.is_streaming() {
            let now = batch.up_to_date();
            let report = ReportState {
                before: Some(self.reported_up_to_date.replace(now)),
                now,
                cursor: Cursors::common().now(),
            };
            self.encoding.batch(self.log.kind(), batch, report)
        } else {
            self.encoding.page(&self.log, batch, &groups.heads)
        };
        if piece.wire.len() > FREE_BYTES {
            let mut charge = groups.terms.budget.charge();
            charge.settle(piece.wire.len())?;
            piece.charge = Some(Rc::new(charge));
        }
        Ok(piece)
    }

    /// Removes all readers from the group; each continues by itself from its position.
    fn unseat_all(&self) {
        for seat in self.seats.take() {
            seat.unseat(UnsentBytes::default(), false);
        }
        self.moved.notify_waiters();
    }

    /// Waits until the earliest deadline.
    async fn deadline(&self) {
        loop {
            match self.first_deadline.get() {
                None => self.deadline_moved.notified().await,
                Some(first) => tokio::select! {
                    () = sleep_until(first) => return,
                    () = self.deadline_moved.notified() => {}
                },
            }
        }
    }

    /// Records the deadline of a seat.
    fn note_deadline(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self
            .first_deadline
            .get()
            .is_none_or(|first| deadline < first)
        {
            self.first_deadline.set(Some(deadline));
            self.deadline_moved.notify_one();
        }
    }

    /// Unseats readers whose deadline has passed. The next check is delayed, since many deadlines
    /// are close together.
    fn unseat_overdue(&self) {
        self.first_deadline.set(None);
        let (now, reconnect_notice) = (Instant::now(), self.encoding.reconnect_notice());
        self.seats.borrow_mut().retain(|seat| match seat.until() {
            Some(until) if until > now => {
                self.note_deadline(Some(until.max(now + DEADLINE_STEP)));
                true
            }
            Some(_) => {
                seat.unseat_with(&reconnect_notice);
                false
            }
            None => true,
        });
    }

    /// Offers `piece` to every seated reader; those that can't accept it whole are unseated.
    async fn deliver(&self, piece: &EncodedPiece, at: Offset, after: AfterDelivery) {
        self.is_delivering.set(true);
        self.at_bytes.set(at.bytes());
        let reported_up_to_date = self.reported_up_to_date.get();
        let delivery = Offered {
            piece,
            at,
            reported_up_to_date,
            after,
            now: Instant::now(),
        };
        let mut seats = self.seats.take();
        let (mut retained, mut served) = (0, 0);
        for number in 0..seats.len() {
            if seats[number].serve(&delivery) {
                seats.swap(retained, number);
                retained += 1;
            }
            served += 1;
            if served % WRITES_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        seats.truncate(retained);
        self.seats.replace(seats);
        self.is_delivering.set(false);
        self.moved.notify_waiters();
    }
}
