//! A connection that sends requests like those before: polls, long-polls and appends, answered without a dispatcher.

use super::answers::Asked;
use super::connection::{BEYOND_MAX, Commons, Connected, Returned, write};
use super::group::{Group, Holding, PutOut, Riding, Voice};
use super::pattern::{Fitting, Method, Pattern};
use crate::cursor::Cursors;
use crate::http::{Page, Pieces, ReadQuery, put_append_fields};
use crate::log::{Append, Batch, Log, ReaderGuard, Start, StreamName};
use crate::techniques::{Place, poll};
use actix_web::http::StatusCode;
use bytes::{Buf, Bytes};
use futures_util::future::LocalBoxFuture;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tailwater_protocol::{Offset, Technique};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bodies up to here are written in one piece with their head.
const JOINED_MAX: usize = 4 << 10;

/// A connection between two requests.
struct Connection {
    commons: Rc<Commons>,
    pattern: Rc<Pattern>,
    socket: Rc<TcpStream>,
    /// Received and not answered yet.
    unread: Vec<u8>,
    /// Fires at the next deadline or before it; setting it anew for each request would cost more than to look again.
    timer: Pin<Box<Sleep>>,
    /// The stream of the last request, as its path spelled it.
    last_log: Option<(String, Arc<Log>)>,
    /// The group of the last long-poll.
    last_group: Option<Rc<Group>>,
}

/// What became of a request.
enum Outcome {
    /// It was answered.
    Answered,
    /// It is none of ours: a dispatcher has to look at it. Nothing was done.
    Other,
    /// The connection has ended, or ends now.
    Ended,
    /// Its answer is not there yet.
    Waits(Box<Wait>),
}

/// What happens to a long-poll in its group.
enum Event {
    PutOut(Box<PutOut>),
    /// So many bytes came; 0 at the end of what the client sends.
    Came(io::Result<usize>),
    Timer,
    /// The server stops.
    Stopped,
}

/// A long-poll that has to wait.
struct Wait {
    /// Bytes of its request, which is unread until it is answered.
    length: usize,
    log: Arc<Log>,
    at: Offset,
    cursors: Cursors,
    until: Instant,
    /// Given away while it waits; on the heap, for that is most of the time.
    place: Option<Box<Place>>,
}

/// Answers requests that fit `pattern`; returns the connection with the first one that does not.
///
/// - `unread`: requests that were received and not answered.
pub(super) fn attend(
    commons: Rc<Commons>,
    stream: TcpStream,
    pattern: Pattern,
    unread: Vec<u8>,
) -> LocalBoxFuture<'static, Option<Returned>> {
    let pattern = commons.pattern(pattern);
    let timer = Box::pin(sleep(commons.keep_alive));
    let (last_log, last_group) = (None, None);
    let mut connection = Connection { commons, pattern, socket: Rc::new(stream), unread, timer, last_log, last_group };
    Box::pin(async move {
        if !connection.serve().await {
            return None;
        }
        let stream = Rc::into_inner(connection.socket)?;
        Some(Box::new(Connected { stream, before: connection.unread.into() }))
    })
}

impl Connection {
    /// Answers requests; whether there is one at the end that somebody else has to answer.
    async fn serve(&mut self) -> bool {
        let mut stop = self.commons.app.stop.clone();
        let mut stopped = std::pin::pin!(stop.wait_for(|stop| *stop));
        let mut idle_since = Instant::now();
        loop {
            while !self.unread.is_empty() {
                // On the heap, and only as long as it lasts; while a long-poll waits there is no such thing.
                let outcome = match Box::pin(self.next()).await {
                    Outcome::Waits(wait) => self.wait(wait, stopped.as_mut()).await,
                    outcome => outcome,
                };
                match outcome {
                    Outcome::Answered => {}
                    Outcome::Other | Outcome::Waits(_) => return true,
                    Outcome::Ended => return false,
                }
                idle_since = Instant::now();
            }
            tokio::select! {
                biased;
                received = poll_fn(|context| self.commons.poll_receive(&self.socket, &mut self.unread, context)) => {
                    if received.unwrap_or(0) == 0 {
                        return false;
                    }
                }
                _ = stopped.as_mut() => return false,
                () = &mut self.timer => {
                    if self.is_due(idle_since + self.commons.keep_alive) {
                        return false;
                    }
                }
            }
        }
    }

    /// Answers the request at the beginning of what is unread.
    async fn next(&mut self) -> Outcome {
        let mut unread = std::mem::take(&mut self.unread);
        let Some(fitting) = self.pattern.fit(&unread) else {
            self.unread = unread;
            return Outcome::Other;
        };
        let length = fitting.length;
        let outcome = match self.pattern.method() {
            _ if fitting.head_length as u64 > self.commons.app.config.head_max => Outcome::Other,
            Method::Get => match self.known(&fitting) {
                Some(answer) => outcome(&write(&self.socket, answer, self.commons.write_silence_max).await),
                None => self.get(&fitting).await,
            },
            Method::Post { .. } => self.post(&fitting).await,
        };
        if matches!(outcome, Outcome::Answered) {
            unread.drain(..length);
        }
        self.unread = unread;
        outcome
    }

    fn asked<'r>(&'r self, fitting: &Fitting<'r>) -> Asked<'r> {
        let Fitting { target, if_none_match, .. } = *fitting;
        Asked { target, if_none_match, standing: &self.pattern.standing, second: self.commons.heads.second() }
    }

    /// The answer to a poll that was just answered.
    fn known(&self, fitting: &Fitting<'_>) -> Option<Bytes> {
        let is_poll = memchr::memmem::find(fitting.query.as_bytes(), b"live=").is_none();
        if !is_poll || self.is_stopping() { None } else { self.commons.answers.find(self.asked(fitting)) }
    }

    /// The stream that a request names, if it is there.
    fn log(&mut self, fitting: &Fitting<'_>) -> Option<Arc<Log>> {
        if let Some((path, log)) = &self.last_log
            && path == fitting.path
            && log.is_there()
        {
            return Some(Arc::clone(log));
        }
        let name = StreamName::parse(fitting.path).ok().filter(|name| !name.is_reserved())?;
        let log = self.commons.app.streams.lookup(&name).ok()?;
        self.last_log = Some((fitting.path.to_owned(), Arc::clone(&log)));
        Some(log)
    }

    /// Whether a deadline has come; if not, the timer is set to it.
    fn is_due(&mut self, deadline: Instant) -> bool {
        let is_due = deadline <= Instant::now();
        if !is_due {
            self.timer.as_mut().reset(deadline);
        }
        is_due
    }

    /// The group that waits at the tail of `log`; a new one at `at` if there is none.
    fn group(&mut self, log: &Arc<Log>, at: Offset) -> Rc<Group> {
        let last = self.last_group.take().filter(|group| group.is_of(log));
        let group = last.unwrap_or_else(|| {
            let voice = Voice::Page(Rc::clone(&self.pattern.standing));
            self.commons.groups.find(log, &voice, at)
        });
        self.last_group = Some(Rc::clone(&group));
        group
    }

    async fn get(&mut self, fitting: &Fitting<'_>) -> Outcome {
        let (Some(log), Ok(query)) = (self.log(fitting), ReadQuery::parse(fitting.query)) else {
            return Outcome::Other;
        };
        let (app, page_max) = (Arc::clone(&self.commons.app), self.commons.page_max());
        let cursor = match query.technique {
            Technique::Poll => None,
            Technique::LongPoll => Some(Cursors::after(query.cursor, rand::random())),
            Technique::Ndjson | Technique::Sse | Technique::Websocket => return Outcome::Other,
        };
        if !log.renew() {
            return Outcome::Other;
        }
        let batch = match cursor {
            None => poll::read(&log, query.from, page_max).await,
            Some(_) => log.read_from(query.from, page_max).await,
        };
        let Ok(batch) = batch else { return Outcome::Other };
        match cursor {
            None => {
                let page = Page::new(&log, &batch, query.from, None, fitting.if_none_match.into_iter());
                let keep = |answer: &[u8]| self.commons.answers.keep(self.asked(fitting), &log, batch.tail, answer);
                self.send(page.status(), |head| page.put_fields(head), page.body(), keep).await
            }
            Some(cursors) if batch.data.is_empty() && !batch.closed() && !self.is_stopping() => {
                let (false, None, Ok(permit)) = (query.from == Start::Now, fitting.if_none_match, app.place()) else {
                    return Outcome::Other;
                };
                let counted = ReaderGuard::new(Arc::clone(&log), Technique::LongPoll, batch.next);
                let place = Some(Box::new(Place { counted, cursors, recycle_at: None, permit }));
                let until = Instant::now() + app.hold(&query);
                let length = fitting.length;
                Outcome::Waits(Box::new(Wait { length, log, at: batch.next, cursors, until, place }))
            }
            Some(cursors) => self.page(&log, &batch, query.from, cursors, fitting.if_none_match).await,
        }
    }

    /// Waits in a group for the first thing to come, or for the end of the hold.
    async fn wait(&mut self, mut wait: Box<Wait>, mut stopped: Pin<&mut impl Future>) -> Outcome {
        let Some(riding) = self.board(&mut wait).await else { return self.page_now(&wait).await };
        if self.timer.deadline() > wait.until {
            self.timer.as_mut().reset(wait.until);
        }
        let put_out = loop {
            match poll_fn(|context| self.poll_event(&riding, stopped.as_mut(), context)).await {
                Event::PutOut(put_out) => break put_out,
                // The next request: so the answer has come.
                Event::Came(Ok(1..)) if riding.was_served() => return self.answered(wait.length),
                Event::Came(Ok(1..)) if self.unread.len() <= BEYOND_MAX => {}
                Event::Came(_) => return Outcome::Ended,
                Event::Timer if riding.was_served() => {
                    self.timer.as_mut().reset(Instant::now() + self.commons.keep_alive);
                    return self.answered(wait.length);
                }
                Event::Timer if self.is_due(wait.until) => match riding.leave() {
                    Some(left) if left.rest.is_empty() => {
                        drop(left);
                        return self.page_now(&wait).await;
                    }
                    Some(left) => break left,
                    None => return self.answered(wait.length),
                },
                Event::Timer => {}
                Event::Stopped => {
                    return match riding.leave() {
                        Some(left) if left.rest.is_empty() => {
                            drop(left);
                            self.page_now(&wait).await
                        }
                        Some(left) => {
                            let _gone_either_way = self.write_rest(&left).await;
                            Outcome::Ended
                        }
                        // It was served, and its task has not heard of it yet.
                        None => Outcome::Ended,
                    };
                }
            }
        };
        if put_out.is_last {
            drop(put_out);
            return self.page_now(&wait).await;
        }
        let rest = self.write_rest(&put_out);
        drop(put_out);
        match rest.await {
            Ok(()) => self.answered(wait.length),
            Err(_) => Outcome::Ended,
        }
    }

    /// Writes what did not go out in its group. On the heap, for most of those who wait never need it.
    fn write_rest(&self, put_out: &PutOut) -> LocalBoxFuture<'_, io::Result<()>> {
        Box::pin(write(&self.socket, put_out.rest.clone(), self.commons.write_silence_max))
    }

    /// A seat in the group that waits where `wait` does; `None` when there is something to answer already.
    async fn board(&mut self, wait: &mut Wait) -> Option<Riding> {
        loop {
            let group = self.group(&wait.log, wait.at);
            if wait.at < group.at() {
                return None;
            }
            if wait.at == group.at() {
                let holding = Holding { socket: Rc::clone(&self.socket), place: *wait.place.take()? };
                match group.board(holding, wait.at) {
                    Ok(riding) => return Some(riding),
                    Err(holding) => wait.place = Some(Box::new(holding.place)),
                }
            }
            Box::pin(group.moved()).await;
        }
    }

    /// The next thing to happen while it waits in a group.
    fn poll_event(
        &mut self,
        riding: &Riding,
        stopped: Pin<&mut impl Future>,
        context: &mut Context<'_>,
    ) -> Poll<Event> {
        if let Poll::Ready(put_out) = riding.poll_put_out(context) {
            return Poll::Ready(Event::PutOut(put_out));
        }
        if let Poll::Ready(came) = self.commons.poll_receive(&self.socket, &mut self.unread, context) {
            return Poll::Ready(Event::Came(came));
        }
        if stopped.poll(context).is_ready() {
            return Poll::Ready(Event::Stopped);
        }
        self.timer.as_mut().poll(context).map(|()| Event::Timer)
    }

    /// The request of so many bytes has its answer.
    fn answered(&mut self, length: usize) -> Outcome {
        self.unread.drain(..length);
        Outcome::Answered
    }

    /// Answers a long-poll with what is there.
    fn page_now<'s>(&'s mut self, wait: &'s Wait) -> LocalBoxFuture<'s, Outcome> {
        Box::pin(async move {
            let Ok(batch) = wait.log.read(wait.at, self.commons.page_max()).await else { return Outcome::Other };
            match self.page(&wait.log, &batch, Start::At(wait.at), wait.cursors, None).await {
                Outcome::Answered => self.answered(wait.length),
                outcome => outcome,
            }
        })
    }

    /// Answers a long-poll with a page.
    async fn page(
        &self,
        log: &Log,
        batch: &Batch,
        asked: Start,
        cursors: Cursors,
        if_none_match: Option<&str>,
    ) -> Outcome {
        let page = Page::new(log, batch, asked, Some(cursors.now()), if_none_match.into_iter());
        self.send(page.status(), |head| page.put_fields(head), page.body(), |_| {}).await
    }

    /// Appends a body that came whole with its head.
    async fn post(&mut self, fitting: &Fitting<'_>) -> Outcome {
        let Some(log) = self.log(fitting) else { return Outcome::Other };
        let Method::Post { content_type } = self.pattern.method() else { return Outcome::Other };
        let is_ours = fitting.query.is_empty()
            && !fitting.body.is_empty()
            && fitting.body.len() as u64 <= self.commons.app.config.body_max
            && !log.tail_now().closed()
            && log.config().same_type(content_type);
        if !is_ours {
            return Outcome::Other;
        }
        let Ok(payload) = log.payload(Bytes::copy_from_slice(fitting.body)).await else {
            return Outcome::Other;
        };
        // Refused, it changed nothing, and will be refused in words.
        match log.append(Append { payload: Some(payload), ..Append::default() }).await {
            Ok(appended) => {
                self.send(StatusCode::NO_CONTENT, |head| put_append_fields(appended, head), None, |_| {}).await
            }
            Err(_) => Outcome::Other,
        }
    }

    fn is_stopping(&self) -> bool {
        *self.commons.app.stop.borrow()
    }

    /// Sends an answer; when the server stops, it is the connection's last.
    ///
    /// - `keep`: sees it before, when it is of one piece and others may get it, too.
    async fn send(
        &self,
        status: StatusCode,
        fields: impl FnOnce(&mut Vec<u8>),
        body: Option<Pieces>,
        keep: impl FnOnce(&[u8]),
    ) -> Outcome {
        let (closes, standing) = (self.is_stopping(), &self.pattern.standing);
        let mut head = self.commons.heads.borrow_buffer();
        self.commons.heads.write(&mut head, status, fields, standing, body.as_ref().map(Pieces::len), closes);
        let mut parts = body.map(Pieces::into_parts).unwrap_or_default();
        if parts.iter().map(Bytes::len).sum::<usize>() <= JOINED_MAX {
            parts.iter_mut().for_each(|part| head.extend_from_slice(&std::mem::take(part)));
            if !closes {
                keep(&head);
            }
        }
        let slices = [&head[..], &parts[0], &parts[1], &parts[2]].map(IoSlice::new);
        let written = match self.socket.try_write_vectored(&slices) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Outcome::Ended,
        };
        let whole = head.len() + parts.iter().map(Bytes::len).sum::<usize>();
        if written < whole {
            let head = Bytes::copy_from_slice(&head);
            let [first, messages, last] = parts;
            // On the heap, for most answers are short and gone by now.
            let rest = Box::pin(self.send_rest([head, first, messages, last], written));
            if rest.await.is_err() {
                return Outcome::Ended;
            }
        }
        self.commons.heads.give_back(head);
        if closes { Outcome::Ended } else { Outcome::Answered }
    }

    /// Sends what comes after the first `written` bytes of `parts`.
    async fn send_rest(&self, parts: [Bytes; 4], mut written: usize) -> io::Result<()> {
        for mut part in parts {
            let passed = written.min(part.len());
            part.advance(passed);
            written -= passed;
            write(&self.socket, part, self.commons.write_silence_max).await?;
        }
        Ok(())
    }
}

fn outcome(written: &io::Result<()>) -> Outcome {
    if written.is_ok() { Outcome::Answered } else { Outcome::Ended }
}
