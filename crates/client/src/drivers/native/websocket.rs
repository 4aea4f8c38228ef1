//! A WebSocket as an answer: the opened connection is the head, each text frame a piece.

use super::{CONNECT_MAX, in_words, since_1970};
use crate::drivers::drive::Arrival;
use crate::reader::Head;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::sync::Arc;
use tailwater_protocol::frame::FRAME_BYTES_MAX;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

enum State {
    Closed(String, Arc<rustls::ClientConfig>),
    Open(Box<Socket>),
    /// A refusal was read: its text, if any, is still to come.
    Refused(Option<Bytes>),
    Over,
}

/// Upgrades a connection to `url`.
pub(super) fn connect(url: String, tls: Arc<rustls::ClientConfig>) -> BoxStream<'static, Arrival> {
    stream::unfold(State::Closed(url, tls), |state| async {
        match state {
            State::Closed(url, tls) => Some(open(url, tls).await),
            State::Open(socket) => Some(receive(socket).await),
            State::Refused(Some(text)) => Some((Arrival::Piece(text), State::Refused(None))),
            State::Refused(None) => Some((Arrival::End, State::Over)),
            State::Over => None,
        }
    })
    .boxed()
}

async fn open(url: String, tls: Arc<rustls::ClientConfig>) -> (Arrival, State) {
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
            let head = Head {
                status: 101,
                ..Head::default()
            };
            (Arrival::Head(head), State::Open(Box::new(socket)))
        }
        Ok(Err(tungstenite::Error::Http(response))) => {
            let (parts, body) = response.into_parts();
            let head = Head::read(parts.status.as_u16(), since_1970(), |name| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            });
            (Arrival::Head(head), State::Refused(body.map(Bytes::from)))
        }
        Ok(Err(fault)) => (Arrival::Fault(in_words(&fault)), State::Over),
        Err(_) => (
            Arrival::Fault(format!("no connection within {} s", CONNECT_MAX.as_secs())),
            State::Over,
        ),
    }
}

async fn receive(mut socket: Box<Socket>) -> (Arrival, State) {
    loop {
        let arrival = match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let bytes = Bytes::from(text);
                return (Arrival::Piece(bytes), State::Open(socket));
            }
            // Answered by the library itself. A ping says "still here" as a heartbeat does.
            Some(Ok(Message::Ping(_))) => {
                return (Arrival::Piece(Bytes::new()), State::Open(socket));
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(bytes))) => Arrival::Fault(format!(
                "a binary frame of {} bytes came: expected text",
                bytes.len()
            )),
            Some(Ok(Message::Close(None))) => Arrival::End,
            Some(Ok(Message::Close(Some(close)))) => match close.code {
                CloseCode::Normal | CloseCode::Away | CloseCode::Restart => Arrival::End,
                code => Arrival::Fault(format!(
                    "the server closed the WebSocket: {code} {}",
                    close.reason
                )),
            },
            Some(Err(fault)) => Arrival::Fault(in_words(&fault)),
            None => Arrival::Fault("the WebSocket broke off without a goodbye".to_owned()),
        };
        return (arrival, State::Over);
    }
}
