//! A request's body as actix receives it.

use super::head::ActixHeaders;
use crate::api::{App, Body, Received, Refusal, receive};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// A body that is still arriving.
pub(super) struct Arriving {
    /// Where it comes from.
    pub(super) payload: web::Payload,
    /// Silence after which it is given up.
    pub(super) silence_max: Duration,
}

/// The body of `request`, whole and decoded.
///
/// - `limit`: bytes that it may have.
///
/// # Errors
/// As [`receive`].
pub(super) async fn received(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    limit: u64,
) -> Result<Received, Refusal> {
    receive(app, limit, &ActixHeaders(request.headers()), Arriving::new(payload, app)).await
}

impl Arriving {
    pub(super) fn new(payload: web::Payload, app: &App) -> Self {
        Self { payload, silence_max: app.config.body_silence_max }
    }

    /// All of it; for one that announced how little it is.
    pub(super) async fn whole(&mut self) -> Result<Bytes, Refusal> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::from(first);
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

impl Body for Arriving {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            // Mostly it is here already, and no timer is needed.
            let piece = match poll_fn(|context| Poll::Ready(self.payload.poll_next_unpin(context))).await {
                Poll::Ready(piece) => piece,
                Poll::Pending => timeout(self.silence_max, self.payload.next())
                    .await
                    .map_err(|_| Refusal::BodySilent { after: self.silence_max })?,
            };
            match piece.transpose().map_err(|error| Refusal::BodyBroken(error.to_string()))? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }
}
