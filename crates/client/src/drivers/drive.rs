//! The event loop that both drivers share, and the [`Follower`] handle that controls it.

use crate::FollowReport;
use crate::reader::{ReadRequest, ReaderAction, ReaderInput, StreamReader, StreamResponseHead};
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

/// An event of a response. The order is: head, pieces, end; a fault may replace any of them and is the last event.
#[derive(Debug)]
pub(super) enum TransportEvent {
    Head(StreamResponseHead),
    Piece(Bytes),
    End,
    Fault(String),
}

/// A network and a clock.
pub(super) trait Transport {
    /// The response to one request; dropping it aborts the request.
    type Response: Stream<Item = TransportEvent> + Unpin;
    /// The future of [`Transport::sleep_until`].
    type Sleep: Future<Output = ()> + Unpin;

    /// Monotonic time.
    fn now(&self) -> Duration;
    /// Ready once [`Transport::now`] is `at` or later.
    fn sleep_until(&self, at: Duration) -> Self::Sleep;
    /// Sends a request.
    fn send(&self, request: &ReadRequest) -> Self::Response;
}

/// Controls a reader that follows a stream. Dropping it aborts the current request and stops the reader.
#[derive(Debug)]
pub struct Follower {
    control: Arc<FollowerControl>,
}

impl Follower {
    pub(super) fn new() -> (Self, Arc<FollowerControl>) {
        let control = Arc::new(FollowerControl::default());
        (
            Self {
                control: Arc::clone(&control),
            },
            control,
        )
    }

    /// Switches to `technique` at the current offset; no message is lost or repeated.
    pub fn change(&self, technique: Technique) {
        self.control
            .change(|changes| changes.technique = Some(technique));
    }

    /// Changes the poll interval.
    ///
    /// - `interval`: from request to request, at least 1 ms.
    pub fn set_poll_interval(&self, interval: Duration) {
        self.control
            .change(|changes| changes.poll_interval = Some(interval));
    }

    /// Aborts the current request and sends no more until [`Follower::resume`].
    pub fn pause(&self) {
        self.control.change(|changes| changes.paused = Some(true));
    }

    /// Continues at the current offset.
    pub fn resume(&self) {
        self.control.change(|changes| changes.paused = Some(false));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.control.change(|changes| changes.stopped = true);
    }
}

/// Changes requested through the [`Follower`] that the loop has not applied yet. Only the latest of each kind is kept.
#[derive(Debug, Default)]
pub(super) struct FollowerControl {
    changes: Mutex<FollowerChanges>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct FollowerChanges {
    technique: Option<Technique>,
    poll_interval: Option<Duration>,
    paused: Option<bool>,
    stopped: bool,
}

impl FollowerChanges {
    fn is_empty(&self) -> bool {
        self.technique.is_none()
            && self.poll_interval.is_none()
            && self.paused.is_none()
            && !self.stopped
    }
}

impl FollowerControl {
    fn lock(&self) -> MutexGuard<'_, FollowerChanges> {
        // Only plain assignments happen under the lock, so the value is consistent even if it is poisoned.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut FollowerChanges)) {
        change(&mut self.lock());
        self.waker.wake();
    }

    /// Applies the changes to the reader; returns false if the follower was dropped.
    fn apply(&self, reader: &mut StreamReader, now: Duration) -> bool {
        let mut changes = self.lock();
        if changes.stopped {
            return false;
        }
        if let Some(interval) = changes.poll_interval.take() {
            reader.set_poll_interval(now, interval);
        }
        if let Some(technique) = changes.technique.take() {
            reader.change(now, technique);
        }
        match changes.paused.take() {
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

/// Runs the reader until it is done, `on_report` breaks, or the [`Follower`] is dropped.
pub(super) async fn drive<T: Transport>(
    transport: T,
    mut reader: StreamReader,
    control: Arc<FollowerControl>,
    mut on_report: impl FnMut(FollowReport) -> ControlFlow<()>,
) {
    let mut response = None;
    // Replaced only by an earlier one: most waits end with an event, and timers are expensive in a browser.
    let mut alarm: Option<(Duration, T::Sleep)> = None;
    while control.apply(&mut reader, transport.now()) {
        match reader.poll(transport.now()) {
            ReaderAction::Abort => response = None,
            ReaderAction::Send(request) => {
                let mut sent = Box::pin(transport.send(&request).peekable());
                // The first poll sends the request.
                poll_fn(|context| Poll::Ready(sent.as_mut().poll_peek(context).is_ready())).await;
                response = Some(sent);
            }
            ReaderAction::Report(report) => {
                if on_report(report).is_break() {
                    return;
                }
            }
            ReaderAction::Done => return,
            ReaderAction::Wait(until) => {
                alarm = alarm.filter(|(set, _)| until.is_some_and(|at| *set <= at));
                alarm = alarm.or_else(|| until.map(|at| (at, transport.sleep_until(at))));
                match poll_fn(|context| next(context, &mut response, &control, &mut alarm)).await {
                    DriveEvent::Change => {}
                    DriveEvent::Elapsed => {
                        alarm = None;
                        reader.handle(transport.now(), ReaderInput::Elapsed);
                    }
                    DriveEvent::Transport(event) => {
                        handle_event(&mut reader, transport.now(), event);
                    }
                }
            }
        }
    }
}

enum DriveEvent {
    Transport(TransportEvent),
    Change,
    Elapsed,
}

/// The next event. The response is checked before the timer, so that data that has already arrived prevents a timeout.
fn next<A: Stream<Item = TransportEvent>, S: Future<Output = ()> + Unpin>(
    context: &mut Context<'_>,
    response: &mut Option<Pin<Box<Peekable<A>>>>,
    control: &FollowerControl,
    alarm: &mut Option<(Duration, S)>,
) -> Poll<DriveEvent> {
    if control.poll_any(context).is_ready() {
        return Poll::Ready(DriveEvent::Change);
    }
    if let Some(open) = response
        && let Poll::Ready(event) = open.as_mut().poll_next(context)
    {
        if !matches!(
            event,
            Some(TransportEvent::Head(_) | TransportEvent::Piece(_))
        ) {
            *response = None;
        }
        let broke_off = || TransportEvent::Fault("the response ended early".to_owned());
        return Poll::Ready(DriveEvent::Transport(event.unwrap_or_else(broke_off)));
    }
    match alarm {
        Some((_, sleep)) => Pin::new(sleep).poll(context).map(|()| DriveEvent::Elapsed),
        None => Poll::Pending,
    }
}

fn handle_event(reader: &mut StreamReader, now: Duration, event: TransportEvent) {
    match event {
        TransportEvent::Head(head) => reader.handle(now, ReaderInput::Head(head)),
        TransportEvent::Piece(bytes) => reader.handle(now, ReaderInput::Piece(&bytes)),
        TransportEvent::End => reader.handle(now, ReaderInput::End),
        TransportEvent::Fault(text) => reader.handle(now, ReaderInput::Fault(text)),
    }
}

/// `stream_url` with `query` appended.
///
/// - `query`: without `?`; the URL may have one already.
pub(super) fn with_query(stream_url: &str, query: &str) -> String {
    let base = stream_url.split('#').next().unwrap_or_default();
    let separator = if base.contains('?') { '&' } else { '?' };
    format!("{base}{separator}{query}")
}

/// The URL with scheme `ws` instead of `http`, `wss` instead of `https`.
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
    fn urls_keep_their_existing_query() {
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
