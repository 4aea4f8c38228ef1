//! A WebSocket as a response: the opened connection is its head, each text frame a piece of its body.
//!
//! A browser does not report why a connection failed, and hides pings; therefore heartbeats are empty text frames.

use crate::drivers::drive::TransportEvent;
use crate::reader::StreamResponseHead;
use bytes::Bytes;
use futures_util::sink::Sink;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State, WebSocketError};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Close codes of a regular end: normal closure, going away, service restart.
const REGULAR_CLOSE_CODES: [u16; 3] = [1000, 1001, 1012];

enum BrowserConnection {
    Unopened(String),
    Open(Box<WebSocket>),
}

/// Upgrades a connection to `url`.
pub(super) fn connect(url: String) -> LocalBoxStream<'static, TransportEvent> {
    stream::unfold(Some(BrowserConnection::Unopened(url)), |connection| async {
        Some(match connection? {
            BrowserConnection::Unopened(url) => match WebSocket::open(&url) {
                Ok(socket) => open(Box::new(socket)).await,
                Err(fault) => (TransportEvent::Fault(fault.to_string()), None),
            },
            BrowserConnection::Open(socket) => receive(socket).await,
        })
    })
    .boxed_local()
}

/// A socket that is being opened. If it is dropped while connecting, it is closed once it is open: the browser logs an
/// error when a connecting socket is closed.
struct OpeningSocket(Option<Box<WebSocket>>);

impl OpeningSocket {
    async fn ready(&mut self) {
        // The socket is ready to send once it is open or has failed.
        let socket = &mut self.0;
        poll_fn(|context| match socket {
            Some(socket) => Pin::new(&mut **socket).poll_ready(context).map(drop),
            None => Poll::Ready(()),
        })
        .await;
    }
}

impl Drop for OpeningSocket {
    fn drop(&mut self) {
        let Some(socket) = self
            .0
            .take()
            .filter(|socket| matches!(socket.state(), State::Connecting))
        else {
            return;
        };
        wasm_bindgen_futures::spawn_local(async move {
            let mut opening = Self(Some(socket));
            opening.ready().await;
        });
    }
}

async fn open(socket: Box<WebSocket>) -> (TransportEvent, Option<BrowserConnection>) {
    let mut opening = OpeningSocket(Some(socket));
    opening.ready().await;
    if let Some(socket) = opening.0.take()
        && matches!(socket.state(), State::Open)
    {
        let head = StreamResponseHead {
            status: 101,
            ..StreamResponseHead::default()
        };
        return (
            TransportEvent::Head(head),
            Some(BrowserConnection::Open(socket)),
        );
    }
    (
        TransportEvent::Fault(
            "the WebSocket could not be opened (the browser reports no reason)".to_owned(),
        ),
        None,
    )
}

async fn receive(mut socket: Box<WebSocket>) -> (TransportEvent, Option<BrowserConnection>) {
    let event = match socket.next().await {
        Some(Ok(Message::Text(text))) => {
            return (
                TransportEvent::Piece(Bytes::from(text)),
                Some(BrowserConnection::Open(socket)),
            );
        }
        Some(Ok(Message::Bytes(bytes))) => TransportEvent::Fault(format!(
            "expected a text frame, received a binary frame of {} bytes",
            bytes.len()
        )),
        Some(Err(WebSocketError::ConnectionClose(close)))
            if REGULAR_CLOSE_CODES.contains(&close.code) =>
        {
            TransportEvent::End
        }
        Some(Err(WebSocketError::ConnectionClose(close))) => TransportEvent::Fault(format!(
            "the WebSocket was closed: {} {}",
            close.code, close.reason
        )),
        Some(Err(fault)) => TransportEvent::Fault(fault.to_string()),
        None => TransportEvent::Fault(
            "the WebSocket connection was lost without a close frame".to_owned(),
        ),
    };
    (event, None)
}
