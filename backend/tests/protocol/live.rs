//! Readers of live responses for tests: NDJSON, SSE and WebSocket behind one interface.

use super::local_server::{LocalServer, LocalStream};
use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use tailwater_harness::wait::within;
use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::{Data, Frame, Technique, ndjson, sse};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// The techniques with live responses.
pub(crate) const STREAMING: [Technique; 3] =
    [Technique::Ndjson, Technique::Sse, Technique::Websocket];

/// The client's end of a WebSocket.
pub(crate) type ClientSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One live response.
#[derive(Debug)]
pub(crate) struct StreamingReader {
    source: StreamingSource,
    frames: VecDeque<Frame>,
}

#[derive(Debug)]
enum StreamingSource {
    Ndjson(reqwest::Response, ndjson::NdjsonDecoder),
    Sse(reqwest::Response, sse::SseDecoder),
    /// The second part is whether the last frame said that the reader is up to date.
    Websocket(Box<ClientSocket>, bool),
}

impl StreamingReader {
    /// Follows `stream` from `offset`; panics if the request is refused.
    pub(crate) async fn open(stream: &LocalStream<'_>, technique: Technique, offset: &str) -> Self {
        match Self::try_open(stream, technique, offset).await {
            Ok(live) => live,
            Err(status) => panic!("{technique} from {offset} was refused with {status}"),
        }
    }

    /// Follows `stream` from `offset`, or returns the status of the refusal.
    pub(crate) async fn try_open(
        stream: &LocalStream<'_>,
        technique: Technique,
        offset: &str,
    ) -> Result<Self, u16> {
        let kind = ContentKind::of(stream.content_type);
        let target = stream.target(&format!("offset={offset}&live={technique}"));
        let source = if technique == Technique::Websocket {
            StreamingSource::Websocket(Box::new(socket(stream.server, &target).await?), false)
        } else {
            let request = stream.server.http.get(stream.server.url(&target));
            let response = within("a live response", request.send()).await.unwrap();
            if response.status() != 200 {
                return Err(response.status().as_u16());
            }
            match technique {
                Technique::Ndjson => {
                    StreamingSource::Ndjson(response, ndjson::NdjsonDecoder::default())
                }
                Technique::Sse => {
                    let coded = response.headers().get(headers::STREAM_SSE_DATA_ENCODING);
                    assert_eq!(coded.is_some(), kind == ContentKind::Binary);
                    StreamingSource::Sse(response, sse::SseDecoder::new(kind))
                }
                other @ (Technique::Poll | Technique::LongPoll | Technique::Websocket) => {
                    panic!("{other} ends")
                }
            }
        };
        Ok(Self {
            source,
            frames: VecDeque::new(),
        })
    }

    /// The next frame, or `None` at the end of the response. Panics if the response is truncated.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        within("a frame or the end", async {
            while self.frames.is_empty() {
                let mut found = Vec::new();
                match &mut self.source {
                    StreamingSource::Ndjson(response, decoder) => {
                        let piece = response.chunk().await.expect("NDJSON ends cleanly")?;
                        decoder.push(&piece, &mut found).unwrap();
                    }
                    StreamingSource::Sse(response, decoder) => {
                        let piece = response.chunk().await.expect("SSE ends cleanly")?;
                        decoder.push(&piece, &mut found).unwrap();
                    }
                    StreamingSource::Websocket(socket, up_to_date) => {
                        let text = text(socket).await?;
                        let frame = ndjson::decode(text.as_bytes(), *up_to_date).unwrap();
                        *up_to_date = frame.as_ref().map_or(*up_to_date, |frame| frame.up_to_date);
                        found.extend(frame);
                    }
                }
                self.frames.extend(found);
            }
            self.frames.pop_front()
        })
        .await
    }

    /// Frames until one has data; skips all before it.
    pub(crate) async fn data(&mut self) -> Frame {
        loop {
            let frame = self.frame().await.expect("data before the end");
            if frame.data.is_some() {
                return frame;
            }
        }
    }

    /// Skips the rest of the response, which must end cleanly.
    pub(crate) async fn end(&mut self) {
        while self.frame().await.is_some() {}
    }
}

/// Opens a WebSocket, or returns the status of the refusal.
pub(crate) async fn socket(server: &LocalServer, target: &str) -> Result<ClientSocket, u16> {
    socket_with(server, target, &[]).await
}

/// Opens a WebSocket with additional header fields.
pub(crate) async fn socket_with(
    server: &LocalServer,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<ClientSocket, u16> {
    let mut request = format!("ws://{}{target}", server.address)
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let config = tungstenite::protocol::WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    match within(
        "a WebSocket",
        tokio_tungstenite::connect_async_with_config(request, Some(config), true),
    )
    .await
    {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("no WebSocket: {error}"),
    }
}

/// The next text frame, or `None` if the server closed cleanly.
pub(crate) async fn text(socket: &mut ClientSocket) -> Option<String> {
    within("a text or close frame", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(_)))) => return None,
                other => panic!("expected a text or close frame, got {other:?}"),
            }
        }
    })
    .await
}

/// Waits for the close frame; skips everything before it.
pub(crate) async fn close_frame(socket: &mut ClientSocket) -> CloseFrame {
    within("a close frame", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    })
    .await
}

/// Sends one text frame.
pub(crate) async fn send_text(socket: &mut ClientSocket, text: &str) {
    within("a frame to be sent", socket.send(Message::text(text)))
        .await
        .unwrap();
}

/// The messages of a JSON frame.
pub(crate) fn messages(frame: &Frame) -> Vec<String> {
    match &frame.data {
        None => Vec::new(),
        Some(Data::Json(messages)) => messages.iter().map(ToString::to_string).collect(),
        Some(other @ (Data::Text(_) | Data::Binary(_))) => panic!("not JSON: {other:?}"),
    }
}
