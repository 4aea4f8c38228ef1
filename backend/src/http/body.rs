//! Reading a request body whole, chunked or not, within its limit.

use super::Refusal;
use crate::config::Config;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// The body, whole, of at most `config.body_max` bytes.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] as soon as the limit is announced or passed, [`Refusal::BodyBroken`] when it breaks off,
/// [`Refusal::BodySilent`] when nothing comes for `config.body_silence_max`.
pub(super) async fn collect(request: &HttpRequest, payload: web::Payload, config: &Config) -> Result<Bytes, Refusal> {
    collect_at_most(request, payload, config.body_max, config.body_silence_max).await
}

/// The body, whole, of at most `limit` bytes.
///
/// # Errors
/// As [`collect`].
pub(super) async fn collect_at_most(
    request: &HttpRequest,
    mut payload: web::Payload,
    limit: u64,
    silence: Duration,
) -> Result<Bytes, Refusal> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let Some(first) = next(&mut payload, silence).await? else { return Ok(Bytes::new()) };
    check(first.len(), limit)?;
    let Some(second) = next(&mut payload, silence).await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        check(whole.len() + bytes.len(), limit)?;
        whole.extend_from_slice(&bytes);
        piece = next(&mut payload, silence).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of the body; `None` at its end.
///
/// # Errors
/// [`Refusal::BodyBroken`], [`Refusal::BodySilent`].
pub(super) async fn next(payload: &mut web::Payload, silence: Duration) -> Result<Option<Bytes>, Refusal> {
    // Mostly it is here already, and no timer is needed.
    let piece = match poll_fn(|context| Poll::Ready(payload.poll_next_unpin(context))).await {
        Poll::Ready(piece) => piece,
        Poll::Pending => timeout(silence, payload.next()).await.map_err(|_| Refusal::BodySilent { after: silence })?,
    };
    piece.transpose().map_err(|error| Refusal::BodyBroken(error.to_string()))
}

fn check(bytes: usize, limit: u64) -> Result<(), Refusal> {
    if bytes as u64 > limit { Err(Refusal::BodyTooLarge { limit }) } else { Ok(()) }
}
