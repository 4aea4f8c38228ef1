//! A WebSocket as an answer: the opened connection is the head, each text frame a piece.

use super::{CONNECT_MAX, in_words, since_1970};
use crate::drivers::drive::AnswerPart;
use crate::reader::AnswerHead;
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
    Closed(String, Arc<rustls::ClientConfig>),
    Open(Box<NativeSocket>),
    /// A refusal was read: its text, if any, is still to come.
    Refused(Option<Bytes>),
    Over,
}

/// Upgrades a connection to `url`.
pub(super) fn connect(
    url: String,
    tls: Arc<rustls::ClientConfig>,
) -> BoxStream<'static, AnswerPart> {
    stream::unfold(NativeConnection::Closed(url, tls), |state| async {
        match state {
            NativeConnection::Closed(url, tls) => Some(open(url, tls).await),
            NativeConnection::Open(socket) => Some(receive(socket).await),
            NativeConnection::Refused(Some(text)) => {
                Some((AnswerPart::Piece(text), NativeConnection::Refused(None)))
            }
            NativeConnection::Refused(None) => Some((AnswerPart::End, NativeConnection::Over)),
            NativeConnection::Over => None,
        }
    })
    .boxed()
}

async fn open(url: String, tls: Arc<rustls::ClientConfig>) -> (AnswerPart, NativeConnection) {
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
            let head = AnswerHead {
                status: 101,
                ..AnswerHead::default()
            };
            (
                AnswerPart::Head(head),
                NativeConnection::Open(Box::new(socket)),
            )
        }
        Ok(Err(tungstenite::Error::Http(response))) => {
            let (parts, body) = response.into_parts();
            let head = AnswerHead::read(parts.status.as_u16(), since_1970(), |name| {
                parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            });
            (
                AnswerPart::Head(head),
                NativeConnection::Refused(body.map(Bytes::from)),
            )
        }
        Ok(Err(fault)) => (AnswerPart::Fault(in_words(&fault)), NativeConnection::Over),
        Err(_) => (
            AnswerPart::Fault(format!("no connection within {} s", CONNECT_MAX.as_secs())),
            NativeConnection::Over,
        ),
    }
}

async fn receive(mut socket: Box<NativeSocket>) -> (AnswerPart, NativeConnection) {
    loop {
        let arrival = match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let bytes = Bytes::from(text);
                return (AnswerPart::Piece(bytes), NativeConnection::Open(socket));
            }
            // Answered by the library itself. A ping says "still here" as a heartbeat does.
            Some(Ok(Message::Ping(_))) => {
                return (
                    AnswerPart::Piece(Bytes::new()),
                    NativeConnection::Open(socket),
                );
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(bytes))) => AnswerPart::Fault(format!(
                "a binary frame of {} bytes came: expected text",
                bytes.len()
            )),
            Some(Ok(Message::Close(None))) => AnswerPart::End,
            Some(Ok(Message::Close(Some(close)))) => match close.code {
                CloseCode::Normal | CloseCode::Away | CloseCode::Restart => AnswerPart::End,
                code => AnswerPart::Fault(format!(
                    "the server closed the WebSocket: {code} {}",
                    close.reason
                )),
            },
            Some(Err(fault)) => AnswerPart::Fault(in_words(&fault)),
            None => AnswerPart::Fault("the WebSocket broke off without a goodbye".to_owned()),
        };
        return (arrival, NativeConnection::Over);
    }
}
