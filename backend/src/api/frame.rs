//! Appends by WebSocket: what a client's frame asks for, and the answer that a POST would have had.

use super::Refusal;
use crate::log::{
    Accepted, Append, AppendError, Appended, Log, Payload, PayloadError, Producer, ProducerId, StreamSeq, Tail,
    ValueError,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Problem, document};

/// What a client may send: `{"append": ...}`, `{"close": true}`, or both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    /// A JSON value (`null` is one; an array is flattened one level), a string on text streams, base64 on any other.
    #[serde(borrow, default, deserialize_with = "present")]
    append: Option<&'a RawValue>,
    /// Close the stream after it.
    #[serde(default)]
    close: bool,
    /// As the header `Stream-Seq` of a POST.
    #[serde(default)]
    stream_seq: Option<String>,
    /// The offset at which the stream must end, as the header `If-Match` of a POST.
    #[serde(default)]
    if_match: Option<String>,
    /// As the headers of a POST, all three or none.
    #[serde(default)]
    producer_id: Option<String>,
    #[serde(default)]
    producer_epoch: Option<u64>,
    #[serde(default)]
    producer_seq: Option<u64>,
    /// Echoed in the answer.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Any value that is there, `null` too, which `Option` would take for nothing.
fn present<'a, D: Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// What comes back for it: the status and headers that a POST would have had.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_next_offset: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream_closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer_epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer_expected_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer_received_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

impl Answer<'_> {
    /// Of an append that is there, now or since before.
    fn done(has_data: bool, appended: Appended) -> Self {
        let Appended { tail, producer, .. } = appended;
        Self {
            status: super::append::status(has_data, &appended).as_u16(),
            producer_epoch: producer.map(|it| it.epoch),
            producer_seq: producer.map(|it| it.seq),
            ..Self::default()
        }
        .at(tail)
    }

    /// Of an append that was refused: what a POST says in headers, too.
    fn refused(refusal: FrameRefusal) -> Self {
        let told = match &refusal {
            FrameRefusal::Append(AppendError::Closed { tail } | AppendError::NotAtTail { tail, .. }) => {
                Self::default().at(*tail)
            }
            FrameRefusal::Append(AppendError::StaleEpoch { current, .. }) => {
                Self { producer_epoch: Some(*current), ..Self::default() }
            }
            FrameRefusal::Append(AppendError::Gap { expected, received }) => Self {
                producer_expected_seq: Some(*expected),
                producer_received_seq: Some(*received),
                ..Self::default()
            },
            _ => Self::default(),
        };
        let problem = Refusal::from(refusal).problem();
        Self { status: problem.status, problem: Some(problem), ..told }
    }

    fn at(self, tail: Tail) -> Self {
        Self { stream_next_offset: Some(tail.offset().to_string()), stream_closed: tail.closed(), ..self }
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
    /// One of the fields beside `append` and `close` is wrong.
    #[error("{0}")]
    WrongField(String),
    /// Not a payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The log refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<ValueError> for FrameRefusal {
    fn from(error: ValueError) -> Self {
        Self::WrongField(error.to_string())
    }
}

/// Does what a frame asks for; returns the frame that says what became of it.
pub async fn answer_frame(log: &Arc<Log>, text: &str) -> String {
    let request = document::read::<Request<'_>>(text.as_bytes());
    let id = request.as_ref().ok().and_then(|request| request.id);
    let outcome = match request {
        Ok(request) => append(log, request).await,
        Err(error) => Err(FrameRefusal::NotARequest(error.to_string())),
    };
    let answer = match outcome {
        Ok((has_data, appended)) => Answer::done(has_data, appended),
        Err(refusal) => Answer::refused(refusal),
    };
    let wrapped = serde_json::to_string(&std::collections::BTreeMap::from([("appended", Answer { id, ..answer })]));
    wrapped.unwrap_or_default()
}

/// Whether there was data, and what became of it.
async fn append(log: &Arc<Log>, request: Request<'_>) -> Result<(bool, Appended), FrameRefusal> {
    let payload = match request.append {
        // As with a POST: a closed stream says so, whatever else is wrong.
        Some(value) if log.tail_now().closed() => Some(Payload::unread(value.get().to_owned().into())),
        Some(value) => Some(payload(log, value).await?),
        None if request.close => None,
        None => return Err(FrameRefusal::NotARequest("it has neither".into())),
    };
    let producer = match (request.producer_id, request.producer_epoch, request.producer_seq) {
        (None, None, None) => None,
        (Some(id), Some(epoch), Some(seq)) => Some(producer(&id, epoch, seq)?),
        _ => return Err(FrameRefusal::WrongField("a producer needs producerId, producerEpoch and producerSeq".into())),
    };
    let only_at = request.if_match.map(|text| text.parse()).transpose();
    let only_at = only_at.map_err(|error| FrameRefusal::WrongField(format!("ifMatch: {error}")))?;
    let has_data = payload.is_some();
    let seq = request.stream_seq.map(|text| StreamSeq::parse("streamSeq", &text)).transpose()?;
    let append = Append { payload, close: request.close, seq, producer, only_at };
    Ok((has_data, log.append(append).await?))
}

fn producer(id: &str, epoch: u64, seq: u64) -> Result<Producer, FrameRefusal> {
    let wrong = || FrameRefusal::WrongField(format!("producerEpoch and producerSeq must be at most {}", Accepted::MAX));
    if epoch.max(seq) > Accepted::MAX {
        return Err(wrong());
    }
    Ok(Producer { id: ProducerId::parse("producerId", id)?, at: Accepted { epoch, seq } })
}

async fn payload(log: &Log, value: &RawValue) -> Result<Payload, FrameRefusal> {
    let text =
        |expected| serde_json::from_str::<String>(value.get()).map_err(|_| FrameRefusal::WrongValue { expected });
    let body = match log.kind() {
        ContentKind::Json => Bytes::copy_from_slice(value.get().as_bytes()),
        ContentKind::Text => text("a string")?.into(),
        ContentKind::Binary => {
            let expected = "a string of base64";
            let bytes = BASE64_STANDARD.decode(text(expected)?).map_err(|_| FrameRefusal::WrongValue { expected })?;
            bytes.into()
        }
    };
    Ok(log.payload(body).await?)
}
