//! WebSocket: the lines of NDJSON as text frames, and appends on the way back.

mod append;

pub use append::FrameRefusal;

use super::{Follow, Step, data_of};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, ProtocolError, Session};
use futures_util::StreamExt;
use std::io::ErrorKind;
use std::sync::Arc;
use tailwater_protocol::{Problem, ndjson};

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
                    let answer = append::answer(&log, &text, problem).await;
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
