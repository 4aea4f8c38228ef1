//! Readers of one stream at the same position in the same encoding: what comes is encoded once and offered to each.

use super::encoding::{EncodedPiece, Encoding, Heads, TellState};
use super::follow::{Follow, NextStep};
use super::outlet::{Outlet, Rest, poll_receive};
use super::seat::{After, Offered, ReaderState, Seat, SeatState};
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

/// Seats served before others on this worker get their turn.
const WRITES_AT_ONCE: usize = 64;

/// Read at once from any connection of a worker.
pub(super) const SCRATCH_BYTES: usize = 16 << 10;

/// Seats up to which those that were left may stand until the next delivery.
const SEATS_PRUNED_MIN: usize = 64;

/// The least time between two looks for seats whose time is over.
const DEADLINE_STEP: Duration = Duration::from_millis(50);

/// The groups of one worker.
pub struct Groups {
    all: RefCell<HashMap<(StreamId, Encoding), Rc<Group>>>,
    terms: LiveTerms,
    heads: Heads,
    /// Room for one read from any socket.
    scratch: RefCell<Box<[u8]>>,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("count", &self.all.borrow().len())
            .finish_non_exhaustive()
    }
}

/// The end of a group's task, whether it returns or panics: nobody is left waiting for it.
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
        // Who was seated since the end was told goes on by itself.
        self.group.unseat_all();
    }
}

/// One group; it lives as long as its task, which ends when nobody is left or nothing will come.
pub(super) struct Group {
    log: Arc<Log>,
    encoding: Encoding,
    seats: RefCell<Vec<Rc<SeatState>>>,
    /// With so many seats it is time to remove those that were left.
    prune_at: Cell<usize>,
    /// Everything before it was offered to everybody seated.
    at_bytes: Cell<u64>,
    /// Whether everybody seated was last told to be at the tail.
    told_up_to_date: Cell<bool>,
    /// Whether seats are being served, when nobody can be seated.
    is_delivering: Cell<bool>,
    /// Tells those who wait for a seat that the group moved, or ended.
    moved: Notify,
    /// When the first of the seats' times is over.
    first_deadline: Cell<Option<Instant>>,
    /// Tells the group's task that this is sooner now.
    sooner: Notify,
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

    /// What their readers are served with.
    pub fn terms(&self) -> &LiveTerms {
        &self.terms
    }

    /// The heads of answers on this worker.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The group of those who read `log` in `encoding`, if there is one.
    pub(super) fn find(&self, log: &Log, encoding: Encoding) -> Option<Rc<Group>> {
        self.all.borrow().get(&(log.id(), encoding)).cloned()
    }

    /// The same; a new one at `from`, whose members were all told `up_to_date`, if there is none.
    pub(super) fn find_or_begin(
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
            told_up_to_date: Cell::new(up_to_date),
            is_delivering: Cell::new(false),
            moved: Notify::new(),
            first_deadline: Cell::new(None),
            sooner: Notify::new(),
        });
        self.all
            .borrow_mut()
            .insert((log.id(), encoding), Rc::clone(&group));
        let (groups, running) = (Rc::clone(self), Rc::clone(&group));
        spawn_local(async move { running.run(&groups).await });
        group
    }

    /// A seat for a long-poll; `None` when there is something to answer already.
    pub async fn seat_wait(
        self: &Rc<Self>,
        wait: &mut LongPollWait,
        encoding: Encoding,
        outlet: Outlet,
    ) -> Option<Seat> {
        let presence = wait.presence.take()?;
        let mut held = ReaderState {
            outlet,
            cursors: wait.cursors,
            until: Some(wait.until),
            presence,
        };
        loop {
            let group = self.find_or_begin(&wait.log, encoding, wait.at, true);
            if wait.at < group.at() {
                return None;
            }
            match group.seat(held, wait.at) {
                Ok(seat) => return Some(seat),
                Err(back) => held = back,
            }
            Box::pin(group.moved()).await;
        }
    }

    /// Appends the next bytes from a socket of this worker to `out`; how many, 0 at its end.
    ///
    /// # Errors
    /// When the connection broke.
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
    /// Everything before it was offered to everybody seated.
    pub(super) fn at(&self) -> Offset {
        Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX)
    }

    /// Whether everybody seated was last told to be at the tail.
    pub(super) fn told_up_to_date(&self) -> bool {
        self.told_up_to_date.get()
    }

    /// Seats a reader that was given everything before `at`; gives it back when the group is elsewhere or busy.
    pub(super) fn seat(&self, held: ReaderState, at: Offset) -> Result<Seat, ReaderState> {
        if self.is_delivering.get() || at != self.at() {
            return Err(held);
        }
        self.note_deadline(held.until);
        let state = Rc::new(SeatState::new(held, at, self.told_up_to_date.get()));
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

    /// Serves everybody seated, to the end.
    async fn run(&self, groups: &Groups) {
        let _ending = GroupEnding {
            group: self,
            groups,
        };
        let mut follow = Follow::new(Arc::clone(&self.log), self.at(), groups.terms.clone());
        let mut deadline = pin!(self.deadline());
        loop {
            let step = {
                // A read that is slow goes on beside the deadlines.
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
                    let is_last = batch.closed();
                    let after = match self.encoding.goes_on() {
                        true if is_last => After::End,
                        true => After::Stay,
                        false => After::Part,
                    };
                    match self.piece(&batch, groups) {
                        Ok(piece) => self.deliver(&piece, follow.at(), after).await,
                        Err(Exhausted { .. }) => {
                            self.at_bytes.set(follow.at().bytes());
                            self.unseat_all();
                        }
                    }
                    is_last
                }
                NextStep::Heartbeat if self.encoding.goes_on() => {
                    self.deliver(&self.encoding.heartbeat(), follow.at(), After::Stay)
                        .await;
                    false
                }
                NextStep::Heartbeat => {
                    self.seats.borrow_mut().retain(|seat| seat.is_taken());
                    false
                }
                NextStep::Leave if self.encoding.goes_on() => {
                    self.deliver(&self.encoding.farewell(), follow.at(), After::End)
                        .await;
                    true
                }
                // Each answers by itself.
                NextStep::Leave => true,
            };
            // Where something new is always there, nothing else would have its turn.
            if self
                .first_deadline
                .get()
                .is_some_and(|first| first <= Instant::now())
            {
                self.unseat_overdue();
            }
            consume_budget().await;
            // Long-polls come back after each delivery: their group waits for them, but not for ever.
            let is_left = self.encoding.goes_on() || was_empty || is_heartbeat;
            if is_last || is_left && self.seats.borrow().is_empty() {
                break;
            }
        }
    }

    /// What everybody seated is told of a batch, charged to the budget as those who do not take it at once will hold it.
    ///
    /// # Errors
    /// When the budget has no room.
    fn piece(&self, batch: &Batch, groups: &Groups) -> Result<EncodedPiece, Exhausted> {
        let mut piece = if self.encoding.goes_on() {
            let now = batch.up_to_date();
            let told = TellState {
                before: Some(self.told_up_to_date.replace(now)),
                now,
                cursor: Cursors::common().now(),
            };
            self.encoding.batch(self.log.kind(), batch, told)
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

    /// Has everybody seated go on alone from where each is.
    fn unseat_all(&self) {
        for seat in self.seats.take() {
            seat.unseat(Rest::default(), false);
        }
        self.moved.notify_waiters();
    }

    /// Waits until somebody's time is over.
    async fn deadline(&self) {
        loop {
            match self.first_deadline.get() {
                None => self.sooner.notified().await,
                Some(first) => tokio::select! {
                    () = sleep_until(first) => return,
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    /// Notes that somebody's time is over at `deadline`.
    fn note_deadline(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self
            .first_deadline
            .get()
            .is_none_or(|first| deadline < first)
        {
            self.first_deadline.set(Some(deadline));
            self.sooner.notify_one();
        }
    }

    /// Unseats those whose time is over; the next look is not at once, for many end at about the same time.
    fn unseat_overdue(&self) {
        self.first_deadline.set(None);
        let (now, farewell) = (Instant::now(), self.encoding.farewell());
        self.seats.borrow_mut().retain(|seat| match seat.until() {
            Some(until) if until > now => {
                self.note_deadline(Some(until.max(now + DEADLINE_STEP)));
                true
            }
            Some(_) => {
                seat.unseat_with(&farewell);
                false
            }
            None => true,
        });
    }

    /// Offers `piece` to everybody seated; who does not take it whole is unseated.
    async fn deliver(&self, piece: &EncodedPiece, at: Offset, after: After) {
        self.is_delivering.set(true);
        self.at_bytes.set(at.bytes());
        let told_up_to_date = self.told_up_to_date.get();
        let delivery = Offered {
            piece,
            at,
            told_up_to_date,
            after,
            now: Instant::now(),
        };
        let mut seats = self.seats.take();
        let (mut kept, mut served) = (0, 0);
        for number in 0..seats.len() {
            if seats[number].serve(&delivery) {
                seats.swap(kept, number);
                kept += 1;
            }
            served += 1;
            if served % WRITES_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        seats.truncate(kept);
        self.seats.replace(seats);
        self.is_delivering.set(false);
        self.moved.notify_waiters();
    }
}
