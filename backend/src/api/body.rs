//! Receives a request's body: complete, within its limit, charged to the budget, and decoded.

use super::charged::charge_piece;
use super::coding::{Coding, decode};
use super::headers::{Headers, single, text};
use super::names::CONTENT_ENCODING;
use super::{AnnouncedBody, App, Charge, Refusal};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use std::borrow::Cow;
use std::future::Future;
use tailwater_core::offload::{LONG_BYTES, offload};

/// Content codings supported for bodies, as `Accept-Encoding` lists them.
pub(super) const CODINGS: &str = "gzip, deflate, br, zstd";

/// Encoded bodies of any length are decoded on another thread, since the result may be long.
const CODED_AS_LONG: usize = LONG_BYTES + 1;

/// A request's body as it arrives.
pub trait RequestBody {
    /// The next piece, of any length except 0; `None` at the end.
    ///
    /// # Errors
    /// [`Refusal::BodyBroken`], [`Refusal::BodySilent`].
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Refusal>>;
}

impl<B: RequestBody> RequestBody for &mut B {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        (**self).next().await
    }
}

/// A body that has been received completely.
#[derive(Debug)]
pub struct CompleteBody(pub Bytes);

impl RequestBody for CompleteBody {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let bytes = std::mem::take(&mut self.0);
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// A complete, decoded body, and its charge on the budget.
#[derive(Debug)]
pub struct ReceivedBody {
    /// The body.
    pub bytes: Bytes,
    /// Released with the body.
    _charge: Charge,
}

/// Receives and decodes a body of at most `limit` bytes, before and after decoding.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] as soon as the limit is announced or exceeded, [`Refusal::Busy`] when
/// the budget is exhausted, [`Refusal::ContentEncoding`] for an unknown coding,
/// [`Refusal::BodyBroken`] when the body is truncated or not encoded as announced,
/// [`Refusal::BodySilent`] when it stalls.
pub async fn receive(
    app: &App,
    limit: u64,
    map: &impl Headers,
    mut body: impl RequestBody,
) -> Result<ReceivedBody, Refusal> {
    let coding = announced(map, limit)?;
    let mut charge = app.budget.charge();
    let bytes = collect(&mut body, limit, &mut charge).await?;
    let bytes = match coding {
        None => bytes,
        Some(_) if bytes.is_empty() => bytes,
        Some(coding) => {
            let mut decoded = app.budget.charge();
            let work =
                move || decode(coding, &bytes, limit, &mut decoded).map(|bytes| (bytes, decoded));
            let (bytes, decoded) = offload(CODED_AS_LONG, work).await?;
            charge = decoded;
            bytes
        }
    };
    Ok(ReceivedBody {
        bytes,
        _charge: charge,
    })
}

/// Checks the header fields that describe a body, before it is received.
///
/// # Errors
/// [`Refusal::BodyTooLarge`], [`Refusal::ContentEncoding`], or [`Refusal::Header`] when such a
/// field is repeated.
pub fn check_announced(map: &impl Headers, limit: u64) -> Result<(), Refusal> {
    announced(map, limit).map(drop)
}

/// The body's coding, if the announced length is within `limit`.
fn announced(map: &impl Headers, limit: u64) -> Result<Option<Coding>, Refusal> {
    let announced = AnnouncedBody::of(map).bytes();
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Refusal::BodyTooLarge { limit });
    }
    coding(map)
}

async fn collect(
    body: &mut impl RequestBody,
    limit: u64,
    charge: &mut Charge,
) -> Result<Bytes, Refusal> {
    let Some(first) = body.next().await? else {
        return Ok(Bytes::new());
    };
    charge_piece(first.len(), 0, limit, charge)?;
    let Some(second) = body.next().await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        charge_piece(bytes.len(), whole.len(), limit, charge)?;
        whole.extend_from_slice(&bytes);
        piece = body.next().await?;
    }
    Ok(whole.freeze())
}

/// Refuses an encoded body, where decoding is not supported.
///
/// # Errors
/// [`Refusal::ContentEncoding`].
pub fn check_uncoded(map: &impl Headers) -> Result<(), Refusal> {
    let received = coding_name(map)?;
    if is_identity(&received) {
        return Ok(());
    }
    Err(Refusal::ContentEncoding {
        received: received.into_owned(),
        allowed: "identity",
    })
}

/// The body's coding; `None` when it is not encoded.
///
/// # Errors
/// [`Refusal::ContentEncoding`], or [`Refusal::Header`] when a field that describes the body is
/// repeated.
fn coding(map: &impl Headers) -> Result<Option<Coding>, Refusal> {
    single(map, &CONTENT_TYPE)?;
    let received = coding_name(map)?;
    if is_identity(&received) {
        return Ok(None);
    }
    match received.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        "br" => Ok(Some(Coding::Brotli)),
        "zstd" => Ok(Some(Coding::Zstd)),
        _ => Err(Refusal::ContentEncoding {
            received: received.into_owned(),
            allowed: CODINGS,
        }),
    }
}

/// The body's codings as received; repeated fields are joined.
fn coding_name<'a>(map: &'a impl Headers) -> Result<Cow<'a, str>, Refusal> {
    let mut all = map
        .values(CONTENT_ENCODING.as_str())
        .map(String::from_utf8_lossy);
    match (all.next(), all.next()) {
        (Some(first), Some(second)) => Ok([first, second]
            .into_iter()
            .chain(all)
            .collect::<Vec<_>>()
            .join(", ")
            .into()),
        _ => Ok(text(map, &CONTENT_ENCODING)?.unwrap_or_default().into()),
    }
}

fn is_identity(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("identity")
}
