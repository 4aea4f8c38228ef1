//! WebSocket: the lines of NDJSON as text frames, and appends on the way back.

mod append;
mod inbox;

pub use append::FrameRefusal;
pub use inbox::{Inbox, Message};

use super::{Live, TakeOver};
use crate::dialect::{Dialect, Framing, framed};
use crate::log::Log;
use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Control, Problem, ndjson};

/// What its steps look like on the wire. The ping of a heartbeat is for the path, the empty frame for the page, which
/// never sees pings.
pub const DIALECT: Dialect = Dialect {
    encode: encode_line,
    framing: Framing::TextFrame,
    heartbeat: b"\x89\x00\x81\x00",
    farewell: b"\x88\x0b\x03\xe9come back",
    end: b"\x88\x16\x03\xe8the stream is closed",
};

/// Turns a refusal into the document that a POST would have answered.
pub type Explain = fn(FrameRefusal) -> Problem;

/// What goes back for what a client sent.
#[derive(Debug)]
pub enum Reply {
    /// A frame; the conversation goes on.
    Frame(Bytes),
    /// The last frame.
    Last(Bytes),
}

/// Does what the next whole message in `inbox` asks for; `None` when there is none.
pub async fn answer(log: &Arc<Log>, inbox: &mut Inbox, explain: Explain) -> Option<Reply> {
    Some(match inbox.message() {
        Ok(None) => return None,
        Ok(Some(Message::Text(request))) => {
            let answer = append::answer(log, &request, explain).await;
            Reply::Frame(framed(Framing::TextFrame, answer.len(), |out| out.extend_from_slice(answer.as_bytes())))
        }
        Ok(Some(Message::Ping(payload))) => {
            let mut frame = BytesMut::new();
            Parser::write_message(&mut frame, payload, OpCode::Pong, true, false);
            Reply::Frame(frame.freeze())
        }
        Ok(Some(Message::Close)) => Reply::Last(close(CloseCode::Normal.into())),
        Err(reason) => Reply::Last(close(reason)),
    })
}

fn close(reason: CloseReason) -> Bytes {
    let mut frame = BytesMut::new();
    Parser::write_close(&mut frame, Some(reason), false);
    frame.freeze()
}

fn encode_line(out: &mut Vec<u8>, kind: ContentKind, data: Option<&[u8]>, control: &Control) {
    ndjson::encode(out, kind, data, control);
    out.pop();
}

/// The frames of one connection, until either side ends it.
///
/// - `incoming`: what the client sends; its end is the client's.
/// - `take_over`: who goes on at the tail when nothing of the client's is left to do, if anybody; the body then stays pending.
pub fn conversation<P, E>(
    live: Live,
    incoming: P,
    message_max: usize,
    explain: Explain,
    take_over: Option<TakeOver>,
) -> impl Stream<Item = Result<Bytes, Infallible>>
where
    P: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let inbox = Inbox::new(message_max);
    stream::unfold(Some((live, incoming, inbox, take_over)), move |state| async move {
        let (mut live, mut incoming, mut inbox, mut take_over) = state?;
        loop {
            match answer(live.log(), &mut inbox, explain).await {
                Some(Reply::Frame(frame)) => return Some((Ok(frame), Some((live, incoming, inbox, take_over)))),
                Some(Reply::Last(frame)) => return Some((Ok(frame), None)),
                None => {}
            }
            if inbox.is_empty()
                && live.may_be_taken_over()
                && let Some(take_over) = take_over.take()
            {
                take_over(live);
                return pending().await;
            }
            tokio::select! {
                biased;
                piece = incoming.next() => inbox.push(&piece?.ok()?),
                step = live.next() => {
                    let step = step?;
                    let frame = live.piece(&step);
                    return Some((Ok(frame), (!live.has_ended()).then_some((live, incoming, inbox, take_over))));
                }
            }
        }
    })
}
