//! The writing half: create a stream, append to it, close it, with errors that say what the server said.

use super::{NativeClient, error_text, head, refusal};
use crate::ProducerSession;
use crate::acknowledgement::{position, position_of_closed, unconfirmed};
use bytes::Bytes;
use std::time::Duration;
use tailwater_protocol::{Token, headers};

/// How long a request may take; a large body on a slow line needs its time.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// One stream to write to.
#[derive(Debug, Clone)]
pub struct StreamWriter {
    client: NativeClient,
    stream_url: String,
}

/// What the server acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteReceipt {
    /// The position after it.
    pub next: Token,
    /// The stream's own content type, if the answer told it (creation and [`StreamWriter::describe`] do).
    pub content_type: Option<String>,
    /// Whether the stream is closed now.
    pub closed: bool,
    /// Whether the stream is new.
    pub created: bool,
    /// Whether the answer shows that the server knows idempotent producers.
    pub supports_producers: bool,
}

/// Why nothing was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamWriteError {
    /// The server refused, so nothing was appended.
    #[error("{text}")]
    Refused {
        /// The status code.
        status: u16,
        /// The problem in words.
        text: String,
        /// Whether the same request may succeed later: 408, 425, 429, 503.
        may_retry: bool,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
        /// Whether the stream is closed.
        closed: bool,
    },
    /// No connection could be made, so nothing was appended.
    #[error("{0}")]
    Unreachable(String),
    /// The request left and no answer came back: it may or may not have been appended.
    #[error("{0}")]
    Unknown(String),
    /// A success came that does not say what a server of this protocol says: something else answered, or nothing was done.
    #[error("{0}")]
    Unconfirmed(String),
}

impl StreamWriteError {
    /// Whether sending the same again can neither be useless nor append twice.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Refused { may_retry, .. } => *may_retry,
            Self::Unreachable(_) => true,
            Self::Unknown(_) | Self::Unconfirmed(_) => false,
        }
    }

    /// How long the server asked to wait before that.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Unknown(_) | Self::Unconfirmed(_) => None,
        }
    }
}

impl NativeClient {
    /// Something that writes to the stream at `stream_url`.
    pub fn writer(&self, stream_url: &str) -> StreamWriter {
        StreamWriter {
            client: self.clone(),
            stream_url: stream_url.to_owned(),
        }
    }
}

impl StreamWriter {
    /// Creates the stream; one that is there with this content type is as good.
    ///
    /// Source: Durable Streams protocol, section 5.1.
    ///
    /// # Errors
    /// [`StreamWriteError`]; 409 when it exists with another configuration. Safe to repeat.
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

    /// What is known of the stream: content type, tail, whether it is closed.
    ///
    /// Source: Durable Streams protocol, section 5.5.
    ///
    /// # Errors
    /// [`StreamWriteError`]; 404 when there is none. Safe to repeat.
    pub async fn describe(&self) -> Result<WriteReceipt, StreamWriteError> {
        self.send(self.client.writes.head(&self.stream_url), false)
            .await
    }

    /// Appends one body.
    ///
    /// - `content_type`: must be the stream's.
    /// - `body`: not empty; on JSON streams one value, or an array of messages.
    ///
    /// Source: Durable Streams protocol, section 5.2.
    ///
    /// # Errors
    /// [`StreamWriteError`]; only [`StreamWriteError::may_retry`] says whether to send it again.
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

    /// Appends one body as a producer's next append. The producer moves on once it is acknowledged; until then the same body
    /// may be sent again.
    ///
    /// Source: Durable Streams protocol, section 5.2.1.
    ///
    /// # Errors
    /// [`StreamWriteError`]; besides [`StreamWriteError::may_retry`], [`ProducerSession::may_retry`] says whether to send it again after
    /// [`StreamWriteError::Unknown`].
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

    /// Closes the stream: no more appends, and readers learn that this is the end.
    ///
    /// Source: Durable Streams protocol, section 5.3.
    ///
    /// # Errors
    /// [`StreamWriteError`]. Safe to repeat.
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

    /// - `closes`: the answer counts only if it says that the stream is closed now.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        closes: bool,
    ) -> Result<WriteReceipt, StreamWriteError> {
        let response = request.timeout(REQUEST_MAX).send().await.map_err(|fault| {
            let text = error_text(&fault);
            // Refused, no route, no such host: the body never left.
            if fault.is_connect() || fault.is_builder() {
                StreamWriteError::Unreachable(text)
            } else {
                StreamWriteError::Unknown(text)
            }
        })?;
        let head = head(&response);
        let tells = |name| response.headers().contains_key(name);
        // Servers that announce extensions are ours.
        let supports_producers = tells(headers::PRODUCER_SEQ) || tells(headers::STREAM_EXTENSIONS);
        if (200..300).contains(&head.status) {
            let next = head.next.as_deref();
            let told = if closes {
                position_of_closed(next, head.closed)
            } else {
                position(next)
            };
            let next = told
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
        // What a gateway says about a server that it lost tells nothing about the append.
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
