//! Appends by WebSocket: parses a client's frame, and returns what a POST's response would contain.

use super::Refusal;
use super::append::{AppendReply, AppendRequest, payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use tailwater_core::{Log, Payload, ProducerId, ValueError};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Problem, document};

/// Maximum length of `id`, the same as for other names given by clients.
const ID_BYTES_MAX: usize = ProducerId::BYTES_MAX;

/// A client's frame: `{"append": ...}`, `{"close": true}`, or both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameRequest<'a> {
    /// A JSON value (`null` is one; an array is flattened one level), a string on text streams,
    /// base64 on others.
    #[serde(borrow, default, deserialize_with = "present")]
    append: Option<&'a RawValue>,
    /// Close the stream afterwards.
    #[serde(default)]
    close: bool,
    /// Like the header `Stream-Seq` of a POST.
    #[serde(default)]
    stream_seq: Option<String>,
    /// The offset at which the stream must end, like the header `If-Match` of a POST but without
    /// quotes.
    #[serde(default)]
    if_match: Option<String>,
    /// Like the headers of a POST, all three or none; the numbers are JSON numbers.
    #[serde(default)]
    producer_id: Option<String>,
    #[serde(borrow, default)]
    producer_epoch: Option<&'a RawValue>,
    #[serde(borrow, default)]
    producer_seq: Option<&'a RawValue>,
    /// Echoed in the reply; at most [`ID_BYTES_MAX`] bytes of JSON.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Any value including `null`, which `Option` alone would read as absent.
fn present<'a, D: Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

/// The reply to a frame: the status and headers of a POST's response.
#[derive(Debug, Serialize)]
struct FrameAnswer<'a> {
    #[serde(flatten)]
    reply: AppendReply,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

/// Executes a frame's request; returns the reply.
pub async fn answer_frame(log: &Arc<Log>, text: &str) -> String {
    let request = read(text);
    let id = request.as_ref().ok().and_then(|request| request.id);
    let outcome = match request {
        Ok(request) => append(log, &request).await,
        Err(refusal) => Err(refusal),
    };
    let answer = match outcome {
        Ok(reply) => FrameAnswer {
            reply,
            problem: None,
            id,
        },
        Err(refusal) => FrameAnswer {
            reply: AppendReply::refused(&refusal),
            problem: Some(refusal.problem()),
            id,
        },
    };
    let wrapped = serde_json::to_string(&std::collections::BTreeMap::from([("appended", answer)]));
    wrapped.unwrap_or_default()
}

fn read(text: &str) -> Result<FrameRequest<'_>, Refusal> {
    let request = document::read::<FrameRequest<'_>>(text.as_bytes()).map_err(|error| {
        let expected = "expected {\"append\": ...} or {\"close\": true}";
        Refusal::Query(format!("invalid frame, {expected}: {error}"))
    })?;
    match request.id.map(RawValue::get) {
        Some(long) if long.len() > ID_BYTES_MAX => {
            Err(ValueError::new("id", format!("at most {ID_BYTES_MAX} bytes of JSON"), long).into())
        }
        _ => Ok(request),
    }
}

async fn append(log: &Arc<Log>, request: &FrameRequest<'_>) -> Result<AppendReply, Refusal> {
    let append_request = AppendRequest {
        close: request.close,
        seq: ("streamSeq", request.stream_seq.as_deref()),
        producer: [
            ("producerId", request.producer_id.as_deref()),
            ("producerEpoch", request.producer_epoch.map(RawValue::get)),
            ("producerSeq", request.producer_seq.map(RawValue::get)),
        ],
        only_at: ("ifMatch", request.if_match.as_deref()),
        quote: "",
    };
    let mut append = append_request.append()?;
    // No bytes: a frame without `append`, or an empty string on streams whose data are strings.
    let data = request
        .append
        .filter(|value| log.kind() == ContentKind::Json || value.get() != "\"\"");
    append.payload = payload(log, append.close, data, async |value| {
        read_payload(log, value).await
    })
    .await?;
    let has_data = append.payload.is_some();
    Ok(AppendReply::done(has_data, log.append(append).await?))
}

async fn read_payload(log: &Log, value: &RawValue) -> Result<Payload, Refusal> {
    let wrong = |expected| Refusal::Query(format!("`append` must be {expected} on this stream"));
    let text = |expected| serde_json::from_str::<String>(value.get()).map_err(|_| wrong(expected));
    let body = match log.kind() {
        ContentKind::Json => Bytes::copy_from_slice(value.get().as_bytes()),
        ContentKind::Text => text("a string")?.into(),
        ContentKind::Binary => {
            let expected = "a string of base64";
            BASE64_STANDARD
                .decode(text(expected)?)
                .map_err(|_| wrong(expected))?
                .into()
        }
    };
    Ok(log.payload(body).await?)
}
