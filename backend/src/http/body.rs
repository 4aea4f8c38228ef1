//! Reading a request body whole, chunked or not, within its limits of size and patience.

use super::Refusal;
use crate::config::Config;
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

/// The body, whole.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] as soon as the limit is passed, [`Refusal::BodySlow`] when it stops coming,
/// [`Refusal::BodyBroken`] when it breaks off.
pub(super) async fn collect(mut payload: web::Payload, config: &Config) -> Result<Bytes, Refusal> {
    let Some(first) = next(&mut payload, 0, config).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut payload, first.len(), config).await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next(&mut payload, whole.len(), config).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece, after `so_far` bytes.
async fn next(payload: &mut web::Payload, so_far: usize, config: &Config) -> Result<Option<Bytes>, Refusal> {
    let limit = config.body_pause_max;
    let piece = timeout(limit, payload.next()).await.map_err(|_| Refusal::BodySlow { limit })?;
    let piece = piece.transpose().map_err(|error| Refusal::BodyBroken(error.to_string()))?;
    match &piece {
        Some(piece) if (so_far + piece.len()) as u64 > config.body_max => {
            Err(Refusal::BodyTooLarge { limit: config.body_max })
        }
        _ => Ok(piece),
    }
}
