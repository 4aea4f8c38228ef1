//! Readers of one stream at the same position by the same technique: what comes is encoded once and written to each.

use super::head::Heads;
use crate::cursor::Cursors;
use crate::dialect::Dialect;
use crate::http::{Page, Pieces};
use crate::log::{Batch, Log, Start, StreamId};
use crate::techniques::{Follow, Place, Step, Terms};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tailwater_protocol::{Offset, Technique};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{consume_budget, spawn_local, yield_now};
use tokio::time::{Instant, sleep_until};

/// Connections written to before others on this worker get their turn.
const WRITES_AT_ONCE: usize = 64;

/// Seats up to which those that were left may stand until the next delivery.
const SEATS_PRUNED_MIN: usize = 64;

/// The least time between two looks for lives that are over.
const LIFE_STEP: Duration = Duration::from_millis(50);

/// The groups of one worker.
pub(super) struct Groups {
    all: RefCell<HashMap<(StreamId, Voice), Rc<Group>>>,
    terms: Terms,
    heads: Rc<Heads>,
}

/// What the readers of a group are told, to the byte.
#[derive(Debug, Clone)]
pub(super) enum Voice {
    /// Pieces of an answer that goes on.
    Live(Technique, &'static Dialect),
    /// A whole answer, to a long-poll; with these header fields, which all answers have.
    Page(Rc<[u8]>),
}

impl Voice {
    fn key(&self) -> (Option<Technique>, &[u8]) {
        match self {
            Self::Live(technique, _) => (Some(*technique), &[]),
            Self::Page(standing) => (None, standing),
        }
    }
}

impl PartialEq for Voice {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Voice {}

impl Hash for Voice {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// One group; it lives as long as its task, which ends when nobody is left or nothing will come.
pub(super) struct Group {
    log: Arc<Log>,
    voice: Voice,
    heads: Rc<Heads>,
    /// The highest of its readers' cursors.
    cursor_min: Cell<u64>,
    seats: RefCell<Vec<Rc<Aboard>>>,
    /// With so many seats it is time to remove those that were left.
    prune_at: Cell<usize>,
    /// Everything before it was written to everybody aboard.
    at_bytes: Cell<u64>,
    /// Whether seats are being served, when nobody can come aboard.
    is_delivering: Cell<bool>,
    /// Tells those who wait to come aboard that it moved, or ended.
    moved: Notify,
    has_ended: Cell<bool>,
    /// When the first of the lives of those aboard is over.
    life_ends: Cell<Option<Instant>>,
    /// Tells the group's task that this is sooner now.
    sooner: Notify,
}

/// What becomes of those aboard after they were served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// They stay.
    Stay,
    /// They have their answer.
    Part,
    /// There will be no more.
    End,
}

/// One reader's seat in a group.
pub(super) struct Aboard {
    /// Gone once the reader has left, or was put out.
    holding: RefCell<Option<Holding>>,
    /// Where it was put out.
    put_out: Cell<Option<Box<PutOut>>>,
    /// Its task's.
    waker: Cell<Option<Waker>>,
    /// Everything before it was written.
    at_bytes: Cell<u64>,
    /// Whether it has its whole answer.
    was_served: Cell<bool>,
}

/// The reader's end of its seat; dropped, it leaves with all that it had.
pub(super) struct Riding(Rc<Aboard>);

/// What a reader has with it.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) socket: Rc<TcpStream>,
    pub(super) place: Place,
}

/// A reader whose connection did not take everything at once, or for which nothing more comes.
#[derive(Debug)]
pub(super) struct PutOut {
    pub(super) holding: Holding,
    /// What is to be written before anything else.
    pub(super) rest: Bytes,
    /// The position after it.
    pub(super) at: Offset,
    /// Whether the answer ends with it.
    pub(super) is_last: bool,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("count", &self.all.borrow().len()).finish_non_exhaustive()
    }
}

impl Groups {
    pub(super) fn new(terms: Terms, heads: Rc<Heads>) -> Self {
        Self { all: RefCell::default(), terms, heads }
    }

    /// What its readers are served with.
    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The group of those who read `log` and are told the same; a new one at `from` if there is none.
    pub(super) fn find(self: &Rc<Self>, log: &Arc<Log>, voice: &Voice, from: Offset) -> Rc<Group> {
        let key = (log.id(), voice.clone());
        if let Some(group) = self.all.borrow().get(&key) {
            return Rc::clone(group);
        }
        let group = Rc::new(Group {
            log: Arc::clone(log),
            voice: voice.clone(),
            heads: Rc::clone(&self.heads),
            cursor_min: Cell::new(0),
            seats: RefCell::default(),
            prune_at: Cell::new(SEATS_PRUNED_MIN),
            at_bytes: Cell::new(from.bytes()),
            is_delivering: Cell::new(false),
            moved: Notify::new(),
            has_ended: Cell::new(false),
            life_ends: Cell::new(None),
            sooner: Notify::new(),
        });
        self.all.borrow_mut().insert(key.clone(), Rc::clone(&group));
        let (groups, running) = (Rc::clone(self), Rc::clone(&group));
        spawn_local(async move {
            running
                .run(groups.terms.clone(), || {
                    groups.all.borrow_mut().remove(&key);
                })
                .await;
        });
        group
    }
}

impl Group {
    /// Whether it follows `log`, and goes on to.
    pub(super) fn is_of(&self, log: &Arc<Log>) -> bool {
        Arc::ptr_eq(&self.log, log) && !self.has_ended.get()
    }

    /// Everything before it was written to everybody aboard.
    pub(super) fn at(&self) -> Offset {
        Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX)
    }

    /// Takes a reader aboard who was given everything before `at`; gives it back when the group is elsewhere or busy.
    pub(super) fn board(&self, holding: Holding, at: Offset) -> Result<Riding, Holding> {
        if self.is_delivering.get() || at != self.at() {
            return Err(holding);
        }
        self.cursor_min.set(self.cursor_min.get().max(holding.place.cursors.now()));
        self.note_life(holding.place.recycle_at);
        let aboard = Rc::new(Aboard {
            holding: RefCell::new(Some(holding)),
            put_out: Cell::default(),
            waker: Cell::default(),
            at_bytes: Cell::new(at.bytes()),
            was_served: Cell::new(false),
        });
        let mut seats = self.seats.borrow_mut();
        if seats.len() >= self.prune_at.get() {
            seats.retain(|seat| seat.is_taken());
            self.prune_at.set((2 * seats.len()).max(SEATS_PRUNED_MIN));
        }
        seats.push(Rc::clone(&aboard));
        Ok(Riding(aboard))
    }

    /// Waits until the group has moved or ended.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Serves everybody aboard, to the end. `remove` makes the group unfindable; nobody comes aboard after it.
    async fn run(&self, terms: Terms, remove: impl FnOnce()) {
        let mut follow = Follow::new(Arc::clone(&self.log), self.at(), false, terms);
        let mut life_over = pin!(self.life_over());
        loop {
            let step = tokio::select! {
                biased;
                step = follow.next() => step,
                () = life_over.as_mut() => {
                    self.end_lives();
                    life_over.set(self.life_over());
                    continue;
                }
            };
            let Some(step) = step else { break };
            match (&self.voice, &step) {
                (Voice::Live(_, dialect), step) => {
                    let piece = self.piece(dialect, step);
                    self.deliver(&piece, follow.at(), if step.is_last() { Then::End } else { Then::Stay }).await;
                }
                (Voice::Page(_), Step::Heartbeat) => {
                    self.seats.borrow_mut().retain(|seat| seat.is_taken());
                }
                (Voice::Page(standing), Step::Batch(batch)) => {
                    let answer = self.answer(standing, batch);
                    self.deliver(&answer, follow.at(), Then::Part).await;
                }
                // There is no news to tell: each says so in its own words.
                (Voice::Page(_), Step::Leave) => self.deliver(&Bytes::new(), follow.at(), Then::End).await,
            }
            // Where something new is always there, nothing else would have its turn.
            if self.life_ends.get().is_some_and(|end| end <= Instant::now()) {
                self.end_lives();
            }
            consume_budget().await;
            if self.seats.borrow().is_empty()
                && (step.is_last() || matches!(step, Step::Heartbeat) || matches!(self.voice, Voice::Live(..)))
            {
                break;
            }
        }
        remove();
        self.has_ended.set(true);
        self.moved.notify_waiters();
    }

    /// Waits until somebody's life is over.
    async fn life_over(&self) {
        loop {
            match self.life_ends.get() {
                None => self.sooner.notified().await,
                Some(end) => tokio::select! {
                    () = sleep_until(end) => return,
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    /// Notes that somebody's life ends at `end`.
    fn note_life(&self, end: Option<Instant>) {
        let Some(end) = end else { return };
        if self.life_ends.get().is_none_or(|first| end < first) {
            self.life_ends.set(Some(end));
            self.sooner.notify_one();
        }
    }

    /// Puts out those whose life is over; the next look is not at once, for many lives end at about the same time.
    fn end_lives(&self) {
        self.life_ends.set(None);
        let Voice::Live(_, dialect) = self.voice else { return };
        let (now, closing) = (Instant::now(), dialect.closing_on_http1(&Step::Leave));
        self.seats.borrow_mut().retain(|seat| match seat.recycle_at() {
            Some(end) if end > now => {
                self.note_life(Some(end.max(now + LIFE_STEP)));
                true
            }
            Some(_) => {
                seat.put_out(closing.clone(), true);
                false
            }
            None => true,
        });
    }

    /// A step of a live answer, its end included.
    fn piece(&self, dialect: &Dialect, step: &Step) -> Bytes {
        let piece = dialect.piece_on_http1(self.log.kind(), step, self.cursor());
        if step.is_last() { [piece, dialect.closing_on_http1(step)].concat().into() } else { piece }
    }

    /// The whole answer to a long-poll.
    fn answer(&self, standing: &[u8], batch: &Batch) -> Bytes {
        let page = Page::new(&self.log, batch, Start::At(batch.from), Some(self.cursor()), std::iter::empty());
        let body = page.body();
        let mut answer = Vec::with_capacity(512 + body.as_ref().map_or(0, Pieces::len));
        let body_bytes = body.as_ref().map(Pieces::len);
        self.heads.write(&mut answer, page.status(), |head| page.put_fields(head), standing, body_bytes, false);
        for part in body.into_iter().flat_map(Pieces::into_parts) {
            answer.extend_from_slice(&part);
        }
        answer.into()
    }

    fn cursor(&self) -> u64 {
        Cursors::common().now().max(self.cursor_min.get())
    }

    /// Writes `piece` to everybody aboard; who can't take it whole is put out.
    async fn deliver(&self, piece: &Bytes, at: Offset, then: Then) {
        self.is_delivering.set(true);
        self.at_bytes.set(at.bytes());
        let mut seats = self.seats.take();
        let (mut kept, mut written) = (0, 0);
        for number in 0..seats.len() {
            if seats[number].serve(piece, at, then) {
                seats.swap(kept, number);
                kept += 1;
            }
            written += 1;
            if written % WRITES_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        seats.truncate(kept);
        self.seats.replace(seats);
        self.is_delivering.set(false);
        self.moved.notify_waiters();
    }
}

impl Riding {
    /// Leaves the group, unless it was put out before; `None` when it was served.
    pub(super) fn leave(&self) -> Option<Box<PutOut>> {
        let at = Offset::new(self.0.at_bytes.get()).unwrap_or(Offset::MAX);
        match self.0.holding.take() {
            Some(holding) => Some(Box::new(PutOut { holding, rest: Bytes::new(), at, is_last: false })),
            None => self.0.put_out.take(),
        }
    }

    /// Whether a long-poll has its whole answer; then it is not put out.
    pub(super) fn was_served(&self) -> bool {
        self.0.was_served.get()
    }

    /// What it is put out with.
    pub(super) fn poll_put_out(&self, context: &mut Context<'_>) -> Poll<Box<PutOut>> {
        if let Some(put_out) = self.0.put_out.take() {
            return Poll::Ready(put_out);
        }
        let waker = self.0.waker.take().filter(|waker| waker.will_wake(context.waker()));
        self.0.waker.set(Some(waker.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Riding {
    fn drop(&mut self) {
        drop(self.0.holding.take());
    }
}

impl Aboard {
    /// Whether it stays.
    fn serve(&self, piece: &Bytes, at: Offset, then: Then) -> bool {
        let mut place = self.holding.borrow_mut();
        let Some(holding) = &*place else { return false };
        let written = match holding.socket.try_write(piece) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            // The reader's own task notices, too; this way it does not come aboard again.
            Err(_) => piece.len(),
        };
        holding.place.counted.is_at(at);
        self.at_bytes.set(at.bytes());
        if written == piece.len() && then == Then::Stay {
            return true;
        }
        if written == piece.len() && then == Then::Part {
            // Its task need not be woken for this: the client will.
            *place = None;
            self.was_served.set(true);
        } else {
            drop(place);
            self.put_out(piece.slice(written..), then == Then::End);
        }
        false
    }

    /// Ends its time aboard; what is left of its answer is for its own task to write.
    fn put_out(&self, rest: Bytes, is_last: bool) {
        let Some(holding) = self.holding.take() else { return };
        let at = Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX);
        self.put_out.set(Some(Box::new(PutOut { holding, rest, at, is_last })));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn is_taken(&self) -> bool {
        self.holding.borrow().is_some()
    }

    fn recycle_at(&self) -> Option<Instant> {
        self.holding.borrow().as_ref().and_then(|holding| holding.place.recycle_at)
    }
}
