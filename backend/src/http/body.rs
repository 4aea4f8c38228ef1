//! A request's body as received by actix.

use super::head::ActixHeaders;
use crate::api::{
    AnnouncedBody, App, Budget, FREE_BYTES, ReceivedBody, Refusal, RequestBody, receive,
};
use actix_web::http::header::EXPECT;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A body that is being received. It fails when [`FREE_BYTES`] of it, or its end, take longer than
/// `silence_max`; only the time spent waiting for the client counts.
pub(super) struct IncomingBody {
    /// Where it comes from.
    pub(super) payload: web::Payload,
    silence_max: Duration,
    /// Time spent waiting, and bytes received, since the last [`FREE_BYTES`].
    waited: Duration,
    received: usize,
}

/// Receives the body of `request`, whole and decoded.
///
/// - `limit`: maximum length in bytes.
///
/// # Errors
/// As [`receive`].
pub(super) async fn received(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    limit: u64,
) -> Result<ReceivedBody, Refusal> {
    receive(
        app,
        limit,
        &ActixHeaders(request.headers()),
        IncomingBody::new(payload, app),
    )
    .await
}

/// Discards a short body that is not needed, so that the connection can serve the next request.
pub(super) async fn discard_body(request: &HttpRequest, payload: web::Payload, app: &App) {
    if short_body(request, app).is_some() {
        let mut body = IncomingBody::new(payload, app);
        while let Ok(Some(_)) = body.next().await {}
    }
}

/// The announced length of a body that is short enough to be received in any case.
pub(super) fn short_body(request: &HttpRequest, app: &App) -> Option<usize> {
    let length = AnnouncedBody::of(&ActixHeaders(request.headers())).bytes();
    let length = length.and_then(|bytes| usize::try_from(bytes).ok());
    length.filter(|bytes| app.reads_first(*bytes) && !request.headers().contains_key(EXPECT))
}

impl IncomingBody {
    pub(super) fn new(payload: web::Payload, app: &App) -> Self {
        Self {
            payload,
            silence_max: app.config.body_silence_max,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// Receives the whole of a short body. Charged while it arrives.
    pub(super) async fn whole(
        &mut self,
        announced: usize,
        budget: &Arc<Budget>,
    ) -> Result<Bytes, Refusal> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return Ok(first);
        };
        let mut charge = budget.charge();
        charge.settle(announced).map_err(Refusal::Busy)?;
        let mut whole = BytesMut::with_capacity(announced);
        whole.extend_from_slice(&first);
        drop(first);
        let mut piece = Some(second);
        while let Some(bytes) = piece {
            whole.extend_from_slice(&bytes);
            drop(bytes);
            piece = self.next().await?;
        }
        Ok(whole.freeze())
    }
}

impl RequestBody for IncomingBody {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            // Usually a piece is buffered already, and no timer is needed.
            let piece =
                match poll_fn(|context| Poll::Ready(self.payload.poll_next_unpin(context))).await {
                    Poll::Ready(piece) => piece,
                    Poll::Pending => {
                        let started = Instant::now();
                        let left = self.silence_max.saturating_sub(self.waited);
                        let piece = timeout(left, self.payload.next()).await.map_err(|_| {
                            Refusal::BodySilent {
                                after: self.silence_max,
                            }
                        })?;
                        self.waited += started.elapsed();
                        piece
                    }
                };
            match piece
                .transpose()
                .map_err(|error| Refusal::BodyBroken(error.to_string()))?
            {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    self.received += piece.len();
                    if self.received >= FREE_BYTES {
                        (self.received, self.waited) = (0, Duration::ZERO);
                    }
                    return Ok(Some(piece));
                }
                None => return Ok(None),
            }
        }
    }
}
