//! One connection that left its dispatcher: in its group while it keeps up, by itself while it does not, and back again.

use super::answers::Answers;
use super::group::{Groups, Holding, PutOut, Riding, Voice};
use super::head::Heads;
use super::pattern::Pattern;
use crate::cursor::Cursors;
use crate::dialect::{Dialect, Framing};
use crate::http::{App, explain};
use crate::log::Log;
use crate::techniques::websocket::{self, Inbox, Reply};
use crate::techniques::{Live, LiveParts, Step};
use bytes::{Buf, Bytes};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tailwater_protocol::{Offset, Technique};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a client may send ahead of the end of its answer.
pub(super) const BEYOND_MAX: usize = 64 << 10;
/// Read at once from any connection of a worker.
const SCRATCH_BYTES: usize = 16 << 10;
/// Kinds of requests that are remembered.
const PATTERNS_MAX: usize = 256;
/// How long a WebSocket that is closed waits for the client to close it, too.
const LINGER: Duration = Duration::from_secs(2);

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct Commons {
    pub(super) app: Arc<App>,
    pub(super) groups: Rc<Groups>,
    pub(super) heads: Rc<Heads>,
    /// Idle time after which a connection is closed.
    pub(super) keep_alive: Duration,
    /// Silence after which a client that does not read is given up.
    pub(super) write_silence_max: Duration,
    pub(super) answers: Answers,
    /// What requests look like, one of each kind: most clients of a kind send the same to the byte.
    patterns: RefCell<HashSet<Rc<Pattern>>>,
    scratch: RefCell<Box<[u8]>>,
}

/// What a dispatcher goes on with. On the heap, for most tasks hold none most of the time.
pub(super) type Returned = Box<Connected>;

/// A connection, and what was read from it already.
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) before: Bytes,
}

struct Reader {
    commons: Rc<Commons>,
    log: Arc<Log>,
    technique: Technique,
    dialect: &'static Dialect,
    socket: Rc<TcpStream>,
    /// What came after the request on a connection that is no WebSocket.
    beyond: Vec<u8>,
    /// What came on a WebSocket and is not answered yet.
    inbox: Option<Box<Inbox>>,
}

/// How a reader's time by itself ends.
enum Alone {
    /// It is in a group.
    Aboard(Riding),
    /// Its answer is written to the end.
    Done,
    /// The client left, or does not read.
    Gone,
}

impl Commons {
    pub(super) fn new(app: Arc<App>) -> Self {
        let heads = Rc::<Heads>::default();
        Self {
            groups: Rc::new(Groups::new(app.terms(), Rc::clone(&heads))),
            heads,
            keep_alive: app.config.keep_alive,
            write_silence_max: app.config.write_silence_max,
            answers: Answers::default(),
            patterns: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
            app,
        }
    }

    /// Largest page of a plain read or long-poll in bytes.
    pub(super) fn page_max(&self) -> usize {
        usize::try_from(self.app.config.page_max).unwrap_or(usize::MAX)
    }

    fn message_max(&self) -> usize {
        usize::try_from(self.app.config.body_max).unwrap_or(usize::MAX)
    }

    /// Appends the next bytes from a connection to `out`; how many, 0 at its end.
    pub(super) fn poll_receive(
        &self,
        socket: &TcpStream,
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = self.scratch.borrow_mut();
        loop {
            ready!(socket.poll_read_ready(context))?;
            let mut received = None;
            let tried = socket.try_io(Interest::READABLE, || {
                let bytes = socket.try_read(&mut scratch)?;
                received = Some(bytes);
                // What comes short was the last there is: to say so spares asking again.
                if (1..scratch.len()).contains(&bytes) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (received, tried) {
                (Some(bytes), _) => {
                    out.extend_from_slice(&scratch[..bytes]);
                    return Poll::Ready(Ok(bytes));
                }
                (None, Err(error)) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                (None, _) => {}
            }
        }
    }

    /// The one that stands for all that are equal.
    pub(super) fn pattern(&self, pattern: Pattern) -> Rc<Pattern> {
        let mut all = self.patterns.borrow_mut();
        if let Some(same) = all.get(&pattern) {
            return Rc::clone(same);
        }
        if all.len() >= PATTERNS_MAX {
            all.clear();
        }
        let pattern = Rc::new(pattern);
        all.insert(Rc::clone(&pattern));
        pattern
    }
}

/// What happens to a reader in its group.
enum Event {
    PutOut(Box<PutOut>),
    /// So many bytes came; 0 at the end of what the client sends.
    Came(io::Result<usize>),
}

/// Serves a reader to the end of its answer; returns the connection when it may serve another request.
///
/// - `keep_alive`: whether it may.
/// - `beyond`: what the client sent after its request.
pub(super) fn attend(
    commons: Rc<Commons>,
    stream: TcpStream,
    live: Live,
    keep_alive: bool,
    beyond: &[u8],
) -> LocalBoxFuture<'static, Option<Returned>> {
    let (mut reader, put_out) = Reader::new(commons, stream, live, beyond);
    let mut put_out = Some(Box::new(put_out));
    // What is held here is held by every reader that waits.
    Box::pin(async move {
        while let Some(held) = put_out.take() {
            let riding = match reader.alone(held).await {
                Alone::Aboard(riding) => riding,
                Alone::Done => return reader.part(keep_alive).await,
                Alone::Gone => return None,
            };
            while put_out.is_none() {
                match poll_fn(|context| reader.poll_event(&riding, context)).await {
                    Event::PutOut(held) => put_out = Some(held),
                    Event::Came(Ok(1..)) if reader.beyond.len() <= BEYOND_MAX => {
                        if reader.inbox.is_some() {
                            put_out = Some(riding.leave()?);
                        }
                    }
                    Event::Came(_) => return None,
                }
            }
        }
        None
    })
}

impl Reader {
    fn new(commons: Rc<Commons>, stream: TcpStream, live: Live, beyond: &[u8]) -> (Self, PutOut) {
        let LiveParts { log, at, place, technique, dialect } = live.into_parts();
        let socket = Rc::new(stream);
        let holding = Holding { socket: Rc::clone(&socket), place };
        let mut reader = Self { commons, log, technique, dialect, socket, beyond: Vec::new(), inbox: None };
        reader.take(beyond);
        (reader, PutOut { holding, rest: Bytes::new(), at, is_last: false })
    }

    /// The next thing to happen while it is in its group.
    fn poll_event(&mut self, riding: &Riding, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(put_out) = riding.poll_put_out(context) {
            return Poll::Ready(Event::PutOut(put_out));
        }
        self.poll_receive(context).map(Event::Came)
    }

    /// Until it has caught up and is in a group, or at the end of its answer. On the heap, and only for as long as it lasts:
    /// most readers are in a group most of the time.
    #[expect(clippy::boxed_local, reason = "a box emptied by the caller would last as long as the wait")]
    fn alone(&mut self, put_out: Box<PutOut>) -> LocalBoxFuture<'_, Alone> {
        Box::pin(self.catch_up(*put_out))
    }

    async fn catch_up(&mut self, put_out: PutOut) -> Alone {
        let PutOut { mut holding, mut rest, mut at, mut is_last } = put_out;
        loop {
            if write(&holding.socket, rest, self.commons.write_silence_max).await.is_err() {
                return Alone::Gone;
            }
            if is_last {
                return Alone::Done;
            }
            if let Some(reply) = self.answer().await {
                (rest, is_last) = match reply {
                    Reply::Frame(frame) => (frame, false),
                    Reply::Last(frame) => (frame, true),
                };
                continue;
            }
            rest = Bytes::new();
            let voice = Voice::Live(self.technique, self.dialect);
            let group = self.commons.groups.find(&self.log, &voice, at);
            match at.cmp(&group.at()) {
                Ordering::Less => {
                    (rest, at, is_last) = self.next_page(at, group.at(), holding.place.cursors).await;
                    holding.place.counted.is_at(at);
                }
                Ordering::Greater => group.moved().await,
                Ordering::Equal => match group.board(holding, at) {
                    Ok(riding) => return Alone::Aboard(riding),
                    Err(back) => {
                        holding = back;
                        group.moved().await;
                    }
                },
            }
        }
    }

    /// What lies between its position and its group's, the position after it, and whether the answer ends with it.
    async fn next_page(&self, at: Offset, until: Offset, cursors: Cursors) -> (Bytes, Offset, bool) {
        let page_max = self.commons.groups.terms().page_max;
        match self.log.read_until(at, until, page_max).await {
            Ok(batch) => {
                let (next, kind) = (batch.next, self.log.kind());
                let piece = self.dialect.piece_on_http1(kind, &Step::Batch(batch), cursors.now());
                (piece, next, false)
            }
            Err(error) => {
                tracing::debug!("stream {}: a live answer ends at {at}: {error}", self.log.name());
                (self.dialect.closing_on_http1(&Step::Leave), at, true)
            }
        }
    }

    /// What a client's message is answered with; `None` when there is none.
    async fn answer(&mut self) -> Option<Reply> {
        let inbox = self.inbox.as_deref_mut()?;
        let reply = websocket::answer(&self.log, inbox, explain).await;
        if inbox.is_empty() {
            self.inbox = None;
        }
        reply
    }

    /// Takes what the client sends; how many bytes that were, 0 when it has left.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = Vec::new();
        let received = ready!(self.commons.poll_receive(&self.socket, &mut piece, context));
        self.take(&piece);
        Poll::Ready(received)
    }

    fn take(&mut self, piece: &[u8]) {
        if self.dialect.framing_on_http1() != Framing::TextFrame {
            self.beyond.extend_from_slice(piece);
        } else if !piece.is_empty() {
            let message_max = self.commons.message_max();
            self.inbox.get_or_insert_with(|| Box::new(Inbox::new(message_max))).push(piece);
        }
    }

    /// The end of the answer: on to the next request, or goodbye.
    fn part(self, keep_alive: bool) -> LocalBoxFuture<'static, Option<Returned>> {
        Box::pin(self.say_goodbye(keep_alive))
    }

    async fn say_goodbye(mut self, keep_alive: bool) -> Option<Returned> {
        let is_stopping = *self.commons.groups.terms().stop.borrow();
        if self.dialect.framing_on_http1() == Framing::Chunk {
            if !keep_alive || is_stopping {
                return None;
            }
            let stream = Rc::into_inner(self.socket)?;
            return Some(Box::new(Connected { stream, before: self.beyond.into() }));
        }
        // A WebSocket's client still answers, which would take the end away from it if nobody read that any more.
        let goodbye = async {
            Rc::get_mut(&mut self.socket).ok_or(ErrorKind::NotConnected)?.shutdown().await?;
            while poll_fn(|context| self.poll_receive(context)).await? > 0 {
                self.inbox = None;
            }
            io::Result::Ok(())
        };
        let _gone_either_way = timeout(LINGER, goodbye).await;
        None
    }
}

/// Writes all of `bytes`; usually at once.
///
/// # Errors
/// When the client has left, or takes nothing for `silence_max`.
pub(super) async fn write(socket: &TcpStream, mut bytes: Bytes, silence_max: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(&bytes) {
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // On the heap, for few have to wait.
                let writable = Box::pin(timeout(silence_max, socket.writable()));
                writable.await.map_err(|_| ErrorKind::TimedOut)??;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
