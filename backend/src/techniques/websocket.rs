//! WebSocket: the lines of NDJSON as text frames, and appends on the way back.

use super::{Follow, Step, data_of};
use crate::log::{Append, AppendError, Log, Payload, PayloadError, Tail};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, ProtocolError, Session};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::io::ErrorKind;
use std::sync::Arc;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Problem, ndjson};

/// What a client may send: `{"append": ...}`, `{"close": true}`, or both.
#[derive(Debug, Deserialize)]
struct Request<'a> {
    /// A JSON value (`null` is one; an array is flattened one level), a string on text streams, base64 on any other.
    #[serde(borrow, default, deserialize_with = "present")]
    append: Option<&'a RawValue>,
    /// Close the stream after it.
    #[serde(default)]
    close: bool,
    /// Echoed in the answer.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Any value that is there, `null` too, which `Option` would take for nothing.
fn present<'a, D: Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// What comes back for it: the status and headers that a POST would have had.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_next_offset: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream_closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

impl<'a> Answer<'a> {
    fn new(status: u16, tail: Option<Tail>, id: Option<&'a RawValue>) -> Self {
        let stream_next_offset = tail.map(|tail| tail.next.to_string());
        Self { status, stream_next_offset, stream_closed: tail.is_some_and(|tail| tail.closed()), problem: None, id }
    }
}

/// Why a frame from the client appended nothing.
#[derive(Debug, thiserror::Error)]
pub enum FrameRefusal {
    /// Not a request of this protocol.
    #[error("the frame is not a request: expected {{\"append\": ...}} or {{\"close\": true}}: {0}")]
    NotARequest(String),
    /// The value does not fit the stream.
    #[error("`append` must be {expected} on this stream")]
    WrongValue {
        /// What fits.
        expected: &'static str,
    },
    /// Not a payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Serves one connection until either side ends it.
///
/// `problem` turns a refusal into the document that a POST would have answered.
pub async fn serve(
    mut follow: Follow,
    mut session: Session,
    mut incoming: AggregatedMessageStream,
    problem: fn(FrameRefusal) -> Problem,
) {
    let log = Arc::clone(follow.log());
    let reason = loop {
        let sent = tokio::select! {
            step = follow.next() => match step {
                Some(Step::Leave) => break going_away(),
                Some(step) => write(&follow, &step, &mut session).await,
                None => break CloseReason { code: CloseCode::Normal, description: Some("the stream is closed".into()) },
            },
            message = incoming.next() => match message {
                Some(Ok(AggregatedMessage::Text(text))) => {
                    let answer = answer(&log, &text, problem).await;
                    session.text(answer).await
                }
                Some(Ok(AggregatedMessage::Ping(bytes))) => session.pong(&bytes).await,
                Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
                Some(Ok(AggregatedMessage::Binary(_))) => {
                    break CloseReason { code: CloseCode::Unsupported, description: Some("text frames only".into()) };
                }
                Some(Ok(AggregatedMessage::Close(_))) | None => break CloseCode::Normal.into(),
                Some(Err(error)) => break misbehaved(&error),
            },
        };
        if sent.is_err() {
            return;
        }
    };
    // A client that has left already needs no farewell.
    let _left = session.close(Some(reason)).await;
}

fn going_away() -> CloseReason {
    CloseReason { code: CloseCode::Away, description: Some("come back".into()) }
}

/// Why a connection ends on which something came that is no message.
fn misbehaved(error: &ProtocolError) -> CloseReason {
    let (code, text) = match error {
        ProtocolError::Io(error) if error.kind() == ErrorKind::InvalidData => {
            (CloseCode::Invalid, "a text message must be UTF-8")
        }
        // In one frame, or put together from several, which actix-ws tells as an error of input.
        ProtocolError::Overflow | ProtocolError::Io(_) => {
            (CloseCode::Size, "the message is larger than a request body may be")
        }
        _ => (CloseCode::Protocol, "that was not a WebSocket message"),
    };
    CloseReason { code, description: Some(text.into()) }
}

async fn write(follow: &Follow, step: &Step, session: &mut Session) -> Result<(), Closed> {
    match step {
        Step::Batch(batch) => {
            let mut line = Vec::with_capacity(batch.data.len() + 128);
            ndjson::encode(&mut line, follow.log().config().kind(), data_of(batch), &follow.control(batch));
            line.pop();
            session.text(String::from_utf8_lossy(&line).into_owned()).await
        }
        // The ping is for the path, the empty frame for the page, which never sees pings.
        Step::Heartbeat => {
            session.ping(b"").await?;
            session.text("").await
        }
        Step::Leave => Ok(()),
    }
}

async fn answer(log: &Arc<Log>, text: &str, problem: fn(FrameRefusal) -> Problem) -> String {
    let request = serde_json::from_str::<Request<'_>>(text);
    let id = request.as_ref().ok().and_then(|request| request.id);
    let outcome = match request {
        Ok(request) => append(log, &request).await,
        Err(error) => Err(FrameRefusal::NotARequest(error.to_string())),
    };
    let answer = match outcome {
        Ok(tail) => Answer::new(204, Some(tail), id),
        Err(refusal) => {
            // A closed stream says where it ends, as in the headers of a POST's 409.
            let end = match &refusal {
                FrameRefusal::Append(AppendError::Closed { tail }) => Some(*tail),
                _ => None,
            };
            let problem = problem(refusal);
            Answer { problem: Some(problem.clone()), ..Answer::new(problem.status, end, id) }
        }
    };
    let wrapped = serde_json::to_string(&std::collections::BTreeMap::from([("appended", answer)]));
    wrapped.unwrap_or_default()
}

async fn append(log: &Arc<Log>, request: &Request<'_>) -> Result<Tail, FrameRefusal> {
    let payload = match request.append {
        Some(value) => Some(payload(log.config().kind(), value)?),
        None if request.close => None,
        None => return Err(FrameRefusal::NotARequest("it has neither".into())),
    };
    Ok(log.append(Append { payload, close: request.close, ..Append::default() }).await?.tail)
}

fn payload(kind: ContentKind, value: &RawValue) -> Result<Payload, FrameRefusal> {
    let text =
        |expected| serde_json::from_str::<String>(value.get()).map_err(|_| FrameRefusal::WrongValue { expected });
    let body = match kind {
        ContentKind::Json => Bytes::copy_from_slice(value.get().as_bytes()),
        ContentKind::Text => text("a string")?.into(),
        ContentKind::Binary => {
            let expected = "a string of base64";
            let bytes = BASE64_STANDARD.decode(text(expected)?).map_err(|_| FrameRefusal::WrongValue { expected })?;
            bytes.into()
        }
    };
    Ok(Payload::parse(kind, body)?)
}
