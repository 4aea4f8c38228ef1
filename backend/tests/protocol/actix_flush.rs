//! What the takeover assumes of actix-http: when it flushes a connection, and how it ends after an
//! error of a flush.

use actix_http::body::BodyStream;
use actix_http::{HttpService, Response};
use actix_service::{Service, ServiceFactory};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tailwater_harness::wait::within;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::LocalSet;

/// Pieces of the body before it becomes pending.
const PIECES: usize = 3;
const PIECE_BYTES: usize = 5_000;

/// What a dispatcher did with its connection.
#[derive(Debug, Default)]
struct SeenDispatches {
    request: RefCell<Vec<u8>>,
    written: RefCell<Vec<u8>>,
    /// Whether the body has returned all of its pieces.
    has_sat: Cell<bool>,
    /// Bytes written before the flush that followed.
    flushed_at: Cell<Option<usize>>,
    was_shut_down: Cell<bool>,
    was_dropped: Cell<bool>,
    writes: Cell<usize>,
}

/// A connection that accepts a few bytes at a time, often none, and whose flush fails once the body
/// is pending.
struct SlowConnection(Rc<SeenDispatches>);

impl AsyncRead for SlowConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let request = self.0.request.take();
        if request.is_empty() {
            return Poll::Pending;
        }
        out.put_slice(&request);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SlowConnection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let writes = self.0.writes.get();
        self.0.writes.set(writes + 1);
        if writes.is_multiple_of(2) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let taken = bytes.len().min(700);
        self.0
            .written
            .borrow_mut()
            .extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.0.has_sat.get() {
            return Poll::Ready(Ok(()));
        }
        self.0.flushed_at.set(Some(self.0.written.borrow().len()));
        Poll::Ready(Err(io::Error::other("handed over")))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.was_shut_down.set(true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SlowConnection {
    fn drop(&mut self) {
        self.0.was_dropped.set(true);
    }
}

/// Lets actix-http answer one request on such a connection, until its dispatcher ends.
async fn dispatched() -> Rc<SeenDispatches> {
    let seen = Rc::new(SeenDispatches::default());
    seen.request
        .replace(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec());
    let sitting = Rc::clone(&seen);
    let answer = move |_request| {
        let (sitting, mut said) = (Rc::clone(&sitting), 0);
        let body = futures_util::stream::poll_fn(move |_| {
            if said == PIECES {
                sitting.has_sat.set(true);
                return Poll::Pending;
            }
            said += 1;
            Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from(vec![
                b'x';
                PIECE_BYTES
            ]))))
        });
        async { Ok::<_, Infallible>(Response::ok().set_body(BodyStream::new(body))) }
    };
    let connection = SlowConnection(Rc::clone(&seen));
    let dispatching = async {
        let service = HttpService::build()
            .h1(answer)
            .new_service(())
            .await
            .unwrap();
        service.call((connection, None)).await
    };
    let ended = within(
        "the dispatcher to end",
        LocalSet::new().run_until(dispatching),
    )
    .await;
    assert!(
        ended.is_err(),
        "the dispatcher returns the error of the connection"
    );
    seen
}

#[tokio::test]
async fn actix_flushes_only_after_the_whole_body_is_written() {
    let seen = dispatched().await;
    let written = seen.written.borrow();
    let body = written.iter().filter(|byte| **byte == b'x').count();
    assert_eq!(
        (body, seen.flushed_at.get()),
        (PIECES * PIECE_BYTES, Some(written.len()))
    );
    assert!(written.ends_with(b"x\r\n"), "the last chunk is complete");
}

#[tokio::test]
async fn a_flush_error_ends_actix_dispatch_without_further_io() {
    let seen = dispatched().await;
    assert!(seen.was_dropped.get(), "the connection was dropped");
    assert!(!seen.was_shut_down.get());
    assert_eq!(seen.flushed_at.get(), Some(seen.written.borrow().len()));
}
