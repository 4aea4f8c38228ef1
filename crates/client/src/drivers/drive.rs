//! What both drivers share: the loop between reader, network, clock and owner, and the owner's handle.

use crate::Report;
use crate::reader::{Action, Head, Input, Reader, Request};
use bytes::Bytes;
use futures_util::stream::{Peekable, Stream, StreamExt};
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tailwater_protocol::Technique;

/// What a request's answer brings, in this order: a head, pieces, an end. A fault may take the place of any.
#[derive(Debug)]
pub(super) enum Arrival {
    Head(Head),
    Piece(Bytes),
    End,
    Fault(String),
}

/// A network and a clock.
pub(super) trait Transport {
    /// The answer to one request; dropping it aborts the request.
    type Answer: Stream<Item = Arrival> + Unpin;
    /// Done when a time has come.
    type Sleep: Future<Output = ()> + Unpin;

    /// Monotonic time.
    fn now(&self) -> Duration;
    /// Done as soon as [`Transport::now`] is `at` or later.
    fn sleep_until(&self, at: Duration) -> Self::Sleep;
    /// Sends a request.
    fn send(&self, request: &Request) -> Self::Answer;
}

/// The owner's handle of something that follows a stream. Dropping it aborts what is under way and ends the following.
#[derive(Debug)]
pub struct Follower {
    wishes: Arc<Wishes>,
}

impl Follower {
    pub(super) fn new() -> (Self, Arc<Wishes>) {
        let wishes = Arc::new(Wishes::default());
        (
            Self {
                wishes: Arc::clone(&wishes),
            },
            wishes,
        )
    }

    /// Goes on by `technique` from the same position: nothing is lost and nothing repeated.
    pub fn change(&self, technique: Technique) {
        self.wishes
            .wish(|wanted| wanted.technique = Some(technique));
    }

    /// Polls at another rate.
    ///
    /// - `interval`: from request to request, at least 1 ms.
    pub fn set_poll_interval(&self, interval: Duration) {
        self.wishes
            .wish(|wanted| wanted.poll_interval = Some(interval));
    }

    /// Drops what is under way and asks no more until [`Follower::resume`].
    pub fn pause(&self) {
        self.wishes.wish(|wanted| wanted.paused = Some(true));
    }

    /// Goes on where it paused.
    pub fn resume(&self) {
        self.wishes.wish(|wanted| wanted.paused = Some(false));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.wishes.wish(|wanted| wanted.stopped = true);
    }
}

/// What the owner wishes and the loop has not done yet. Of each kind only the last wish counts, so there is no queue.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wanted: Mutex<Wanted>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Wanted {
    technique: Option<Technique>,
    poll_interval: Option<Duration>,
    paused: Option<bool>,
    stopped: bool,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        self.technique.is_none()
            && self.poll_interval.is_none()
            && self.paused.is_none()
            && !self.stopped
    }
}

impl Wishes {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Only plain assignments happen under the lock, so a panic elsewhere can't have left it half done.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, wish: impl FnOnce(&mut Wanted)) {
        wish(&mut self.lock());
        self.waker.wake();
    }

    /// Passes on what is wished; returns whether to go on at all.
    fn grant(&self, reader: &mut Reader, now: Duration) -> bool {
        let mut wanted = self.lock();
        if wanted.stopped {
            return false;
        }
        if let Some(interval) = wanted.poll_interval.take() {
            reader.set_poll_interval(now, interval);
        }
        if let Some(technique) = wanted.technique.take() {
            reader.change(now, technique);
        }
        match wanted.paused.take() {
            Some(true) => reader.pause(now),
            Some(false) => reader.resume(),
            None => {}
        }
        true
    }

    fn poll_any(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.lock().is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Follows until the end, or until the owner wants no more: it breaks, or drops its [`Follower`].
pub(super) async fn drive<T: Transport>(
    transport: T,
    mut reader: Reader,
    wishes: Arc<Wishes>,
    mut on_report: impl FnMut(Report) -> ControlFlow<()>,
) {
    let mut answer = None;
    // Set anew only when it is due too late: most waits end with an arrival, and timers are not free in a browser.
    let mut alarm: Option<(Duration, T::Sleep)> = None;
    while wishes.grant(&mut reader, transport.now()) {
        match reader.poll(transport.now()) {
            Action::Abort => answer = None,
            Action::Send(request) => {
                let mut sent = Box::pin(transport.send(&request).peekable());
                // A first look sets it going before anything else is done.
                poll_fn(|context| Poll::Ready(sent.as_mut().poll_peek(context).is_ready())).await;
                answer = Some(sent);
            }
            Action::Report(report) => {
                if on_report(report).is_break() {
                    return;
                }
            }
            Action::Done => return,
            Action::Wait(until) => {
                alarm = alarm.filter(|(set, _)| until.is_some_and(|at| *set <= at));
                alarm = alarm.or_else(|| until.map(|at| (at, transport.sleep_until(at))));
                match poll_fn(|context| next(context, &mut answer, &wishes, &mut alarm)).await {
                    Event::Wish => {}
                    Event::Elapsed => {
                        alarm = None;
                        reader.handle(transport.now(), Input::Elapsed);
                    }
                    Event::Arrival(arrival) => hand_on(&mut reader, transport.now(), arrival),
                }
            }
        }
    }
}

enum Event {
    Arrival(Arrival),
    Wish,
    Elapsed,
}

/// The next thing to happen. What has arrived comes before the clock: a late look is not a silent server.
fn next<A: Stream<Item = Arrival>, S: Future<Output = ()> + Unpin>(
    context: &mut Context<'_>,
    answer: &mut Option<Pin<Box<Peekable<A>>>>,
    wishes: &Wishes,
    alarm: &mut Option<(Duration, S)>,
) -> Poll<Event> {
    if wishes.poll_any(context).is_ready() {
        return Poll::Ready(Event::Wish);
    }
    if let Some(some) = answer
        && let Poll::Ready(arrival) = some.as_mut().poll_next(context)
    {
        if !matches!(arrival, Some(Arrival::Head(_) | Arrival::Piece(_))) {
            *answer = None;
        }
        let broke_off = || Arrival::Fault("the answer broke off".to_owned());
        return Poll::Ready(Event::Arrival(arrival.unwrap_or_else(broke_off)));
    }
    match alarm {
        Some((_, sleep)) => Pin::new(sleep).poll(context).map(|()| Event::Elapsed),
        None => Poll::Pending,
    }
}

fn hand_on(reader: &mut Reader, now: Duration, arrival: Arrival) {
    match arrival {
        Arrival::Head(head) => reader.handle(now, Input::Head(head)),
        Arrival::Piece(bytes) => reader.handle(now, Input::Piece(&bytes)),
        Arrival::End => reader.handle(now, Input::End),
        Arrival::Fault(text) => reader.handle(now, Input::Fault(text)),
    }
}

/// `stream_url` with a query behind it.
///
/// - `query`: without `?`; the URL may have one already.
pub(super) fn with_query(stream_url: &str, query: &str) -> String {
    let base = stream_url.split('#').next().unwrap_or_default();
    let separator = if base.contains('?') { '&' } else { '?' };
    format!("{base}{separator}{query}")
}

/// The same URL for an upgrade: `ws` in the place of `http`.
pub(super) fn websocket_url(url: &str) -> String {
    match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => format!("ws:{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => format!("wss:{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_what_they_have() {
        assert_eq!(
            with_query("http://h/a", "offset=-1"),
            "http://h/a?offset=-1"
        );
        assert_eq!(
            with_query("http://h/a?token=x#part", "offset=-1"),
            "http://h/a?token=x&offset=-1"
        );
        assert_eq!(websocket_url("http://h:1/http:a"), "ws://h:1/http:a");
        assert_eq!(websocket_url("HTTPS://h/a"), "wss://h/a");
    }
}
