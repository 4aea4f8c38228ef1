//! Writes to a stream: create, append, close.

use super::{NativeClient, error_text, head, refusal};
use crate::ProducerSession;
use crate::acknowledgement::{position, position_of_closed, unconfirmed};
use bytes::Bytes;
use std::time::Duration;
use tailwater_protocol::{Token, headers};

/// Timeout of a request; allows for a large body over a slow connection.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// One stream to write to.
#[derive(Debug, Clone)]
pub struct StreamWriter {
    client: NativeClient,
    stream_url: String,
}

/// The server's acknowledgement of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The offset after the write.
    pub next: Token,
    /// The stream's content type, if the response contains it (creation and [`StreamWriter::describe`] return it).
    pub content_type: Option<String>,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Whether the stream was created by this request.
    pub created: bool,
    /// Whether the response shows that the server supports idempotent producers.
    pub supports_producers: bool,
}

/// Why a write was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamWriteError {
    /// The server refused, so nothing was appended.
    #[error("{text}")]
    Refused {
        /// The status code.
        status: u16,
        /// The error text, from the problem document if there is one.
        text: String,
        /// Whether the same request may succeed later: 408, 425, 429, 503.
        may_retry: bool,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// Whether the stream is closed.
        closed: bool,
    },
    /// No connection could be established, so nothing was appended.
    #[error("{0}")]
    Unreachable(String),
    /// The request was sent, but no response was received: the append may or may not have happened.
    #[error("{0}")]
    Unknown(String),
    /// A successful response without the headers of the protocol: another server responded, or nothing was appended.
    #[error("{0}")]
    Unconfirmed(String),
}

impl StreamWriteError {
    /// Whether a retry may succeed and can't append twice.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Refused { may_retry, .. } => *may_retry,
            Self::Unreachable(_) => true,
            Self::Unknown(_) | Self::Unconfirmed(_) => false,
        }
    }

    /// `Retry-After`: the least delay before a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Unknown(_) | Self::Unconfirmed(_) => None,
        }
    }
}

impl NativeClient {
    /// A writer for the stream at `stream_url`.
    pub fn writer(&self, stream_url: &str) -> StreamWriter {
        StreamWriter {
            client: self.clone(),
            stream_url: stream_url.to_owned(),
        }
    }
}

impl StreamWriter {
    /// Creates the stream; succeeds too if it exists with this content type.
    ///
    /// Source: Durable Streams protocol, section 5.1.
    ///
    /// # Errors
    /// [`StreamWriteError`]; 409 when it exists with another configuration. Safe to retry.
    pub async fn create(&self, content_type: &str) -> Result<WriteReceipt, StreamWriteError> {
        self.send(
            self.client
                .writes
                .put(&self.stream_url)
                .header("content-type", content_type),
            false,
        )
        .await
    }

    /// Metadata of the stream: content type, tail, whether it is closed.
    ///
    /// Source: Durable Streams protocol, section 5.5.
    ///
    /// # Errors
    /// [`StreamWriteError`]; 404 when it does not exist. Safe to retry.
    pub async fn describe(&self) -> Result<WriteReceipt, StreamWriteError> {
        self.send(self.client.writes.head(&self.stream_url), false)
            .await
    }

    /// Appends one body.
    ///
    /// - `content_type`: must equal the stream's.
    /// - `body`: not empty; on JSON streams one value, or an array of messages.
    ///
    /// Source: Durable Streams protocol, section 5.2.
    ///
    /// # Errors
    /// [`StreamWriteError`]; retry only if [`StreamWriteError::may_retry`] returns true.
    pub async fn append(
        &self,
        content_type: &str,
        body: Bytes,
    ) -> Result<WriteReceipt, StreamWriteError> {
        self.send(
            self.client
                .writes
                .post(&self.stream_url)
                .header("content-type", content_type)
                .body(body),
            false,
        )
        .await
    }

    /// Appends one body with the headers of a producer. The producer's sequence number is incremented once the append is
    /// acknowledged; until then a retry must have the same body.
    ///
    /// Source: Durable Streams protocol, section 5.2.1.
    ///
    /// # Errors
    /// [`StreamWriteError`]; retry if [`StreamWriteError::may_retry`] returns true, and after [`StreamWriteError::Unknown`]
    /// if [`ProducerSession::may_retry`] does.
    pub async fn append_as(
        &self,
        producer: &mut ProducerSession,
        content_type: &str,
        body: Bytes,
    ) -> Result<WriteReceipt, StreamWriteError> {
        let mut request = self
            .client
            .writes
            .post(&self.stream_url)
            .header("content-type", content_type)
            .body(body);
        for (name, value) in producer.headers() {
            request = request.header(name, value);
        }
        let appended = self.send(request, false).await?;
        producer.acknowledged();
        if appended.supports_producers {
            producer.mark_supported();
        }
        Ok(appended)
    }

    /// Closes the stream: further appends are refused, and readers end after the last message.
    ///
    /// Source: Durable Streams protocol, section 5.3.
    ///
    /// # Errors
    /// [`StreamWriteError`]. Safe to retry.
    pub async fn close(&self) -> Result<WriteReceipt, StreamWriteError> {
        self.send(
            self.client
                .writes
                .post(&self.stream_url)
                .header(headers::STREAM_CLOSED, "true"),
            true,
        )
        .await
    }

    /// - `closes`: whether the response must say that the stream is closed.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        closes: bool,
    ) -> Result<WriteReceipt, StreamWriteError> {
        let response = request.timeout(REQUEST_MAX).send().await.map_err(|fault| {
            let text = error_text(&fault);
            // Connection refused, no route, unknown host: the body was not sent.
            if fault.is_connect() || fault.is_builder() {
                StreamWriteError::Unreachable(text)
            } else {
                StreamWriteError::Unknown(text)
            }
        })?;
        let head = head(&response);
        let has = |name| response.headers().contains_key(name);
        // A Tailwater, which supports producers, sends Stream-Extensions.
        let supports_producers = has(headers::PRODUCER_SEQ) || has(headers::STREAM_EXTENSIONS);
        if (200..300).contains(&head.status) {
            let next = head.next.as_deref();
            let position = if closes {
                position_of_closed(next, head.closed)
            } else {
                position(next)
            };
            let next = position
                .map_err(|lacks| StreamWriteError::Unconfirmed(unconfirmed(head.status, &lacks)))?;
            let (content_type, closed, created) =
                (head.content_type, head.closed, head.status == 201);
            return Ok(WriteReceipt {
                next,
                content_type,
                closed,
                created,
                supports_producers,
            });
        }
        let text = refusal::refusal_text(response).await;
        let may_retry = matches!(head.status, 408 | 425 | 429 | 503);
        let (status, retry_after, closed) = (head.status, head.retry_after, head.closed);
        // A gateway's error does not say whether the append happened.
        match status {
            500 | 502 | 504 => Err(StreamWriteError::Unknown(text)),
            _ => Err(StreamWriteError::Refused {
                status,
                text,
                may_retry,
                retry_after,
                closed,
            }),
        }
    }
}
