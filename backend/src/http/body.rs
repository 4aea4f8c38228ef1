//! Reading a request body whole, chunked or not, within its limit.

use super::Refusal;
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

/// The body, whole, of at most `limit` bytes.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] as soon as the limit is passed, [`Refusal::BodyBroken`] when it breaks off.
pub(super) async fn collect(mut payload: web::Payload, limit: u64) -> Result<Bytes, Refusal> {
    let broken = |error: actix_web::error::PayloadError| Refusal::BodyBroken(error.to_string());
    let Some(first) = payload.next().await.transpose().map_err(broken)? else { return Ok(Bytes::new()) };
    check(first.len(), limit)?;
    let Some(second) = payload.next().await.transpose().map_err(broken)? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        check(whole.len() + piece.len(), limit)?;
        whole.extend_from_slice(&piece);
        next = payload.next().await.transpose().map_err(broken)?;
    }
    Ok(whole.freeze())
}

fn check(bytes: usize, limit: u64) -> Result<(), Refusal> {
    if bytes as u64 > limit { Err(Refusal::BodyTooLarge { limit }) } else { Ok(()) }
}
