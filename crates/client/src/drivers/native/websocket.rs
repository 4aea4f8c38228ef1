//! A WebSocket as a response: the opened connection is its head, each text frame a piece of its body.

use super::{CONNECT_MAX, error_text, since_1970};
use crate::drivers::drive::TransportEvent;
use crate::reader::StreamResponseHead;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;
use tailwater_protocol::frame::FRAME_BYTES_MAX;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

type NativeSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

enum NativeConnection {
    Unopened(String, Arc<rustls::ClientConfig>),
    Open(Box<NativeSocket>),
    /// The head of a refusal was returned; its body, if any, was not.
    Refused(Option<Bytes>),
    Done,
}

/// Upgrades a connection to `url`.
pub(super) fn connect(
    url: String,
    tls: Arc<rustls::ClientConfig>,
) -> BoxStream<'static, TransportEvent> {
    stream::unfold(NativeConnection::Unopened(url, tls), |state| async {
        match state {
            NativeConnection::Unopened(url, tls) => Some(open(url, tls).await),
            NativeConnection::Open(socket) => Some(receive(socket).await),
            NativeConnection::Refused(Some(text)) => {
                Some((TransportEvent::Piece(text), NativeConnection::Refused(None)))
            }
            NativeConnection::Refused(None) => Some((TransportEvent::End, NativeConnection::Done)),
            NativeConnection::Done => None,
        }
    })
    .boxed()
}

async fn open(url: String, tls: Arc<rustls::ClientConfig>) -> (TransportEvent, NativeConnection) {
    let limit = Some(FRAME_BYTES_MAX);
    let config = WebSocketConfig::default()
        .max_message_size(limit)
        .max_frame_size(limit);
    let no_delay = true;
    let connecting = tokio_tungstenite::connect_async_tls_with_config(
        url,
        Some(config),
        no_delay,
        Some(Connector::Rustls(tls)),
    );
    match tokio::time::timeout(CONNECT_MAX, connecting).await {
        Ok(Ok((socket, _))) => {
            let head = StreamResponseHead {
                status: 101,
                ..StreamResponseHead::default()
            };
            (
                TransportEvent::Head(head),
                NativeConnection::Open(Box::new(socket)),
            )
        }
        Ok(Err(tungstenite::Error::Http(response))) => {
            let (parts, body) = response.into_parts();
            let head = StreamResponseHead::read(parts.status.as_u16(), since_1970(), |name| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            });
            (
                TransportEvent::Head(head),
                NativeConnection::Refused(body.map(Bytes::from)),
            )
        }
        Ok(Err(fault)) => (
            TransportEvent::Fault(error_text(&fault)),
            NativeConnection::Done,
        ),
        Err(_) => (
            TransportEvent::Fault(format!("no connection within {} s", CONNECT_MAX.as_secs())),
            NativeConnection::Done,
        ),
    }
}

async fn receive(mut socket: Box<NativeSocket>) -> (TransportEvent, NativeConnection) {
    loop {
        let event = match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let bytes = Bytes::from(text);
                return (TransportEvent::Piece(bytes), NativeConnection::Open(socket));
            }
            // The library sends the pong. A ping counts as a heartbeat.
            Some(Ok(Message::Ping(_))) => {
                return (
                    TransportEvent::Piece(Bytes::new()),
                    NativeConnection::Open(socket),
                );
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(bytes))) => TransportEvent::Fault(format!(
                "expected a text frame, received a binary frame of {} bytes",
                bytes.len()
            )),
            Some(Ok(Message::Close(None))) => TransportEvent::End,
            Some(Ok(Message::Close(Some(close)))) => match close.code {
                CloseCode::Normal | CloseCode::Away | CloseCode::Restart => TransportEvent::End,
                code => TransportEvent::Fault(format!(
                    "the server closed the WebSocket: {code} {}",
                    close.reason
                )),
            },
            Some(Err(fault)) => TransportEvent::Fault(error_text(&fault)),
            None => TransportEvent::Fault("the WebSocket broke off without a goodbye".to_owned()),
        };
        return (event, NativeConnection::Done);
    }
}
