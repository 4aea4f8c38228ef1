//! A request's body: read whole within its limits, charged to the budget, and decoded.

use super::charged::take;
use super::coding::{Coding, decode};
use super::headers::{Headers, single, text};
use super::names::CONTENT_ENCODING;
use super::{App, Charge, Refusal};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use std::borrow::Cow;
use std::future::Future;
use tailwater_core::offload::{LONG_BYTES, offload};

/// Content codings that a body may have, as `Accept-Encoding` lists them.
pub(super) const CODINGS: &str = "gzip, deflate, br, zstd";

/// Coded bodies are decoded on another thread however short they are: what they become may be long.
const CODED_AS_LONG: usize = LONG_BYTES + 1;

/// A request's body as it arrives.
pub trait RequestBody {
    /// The next piece, of any length but not empty; `None` at the end.
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

/// A body that is there already.
#[derive(Debug)]
pub struct Whole(pub Bytes);

impl RequestBody for Whole {
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let bytes = std::mem::take(&mut self.0);
        Ok((!bytes.is_empty()).then_some(bytes))
    }
}

/// A whole body, decoded, and what it holds of the budget.
#[derive(Debug)]
pub struct ReceivedBody {
    /// The body.
    pub bytes: Bytes,
    /// Given back once the body has become something else.
    _charge: Charge,
}

/// The body, whole and decoded, of at most `limit` bytes before and after decoding.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] as soon as the limit is announced or passed, [`Refusal::Busy`] when the budget is used up,
/// [`Refusal::ContentEncoding`] for a coding that is not known, [`Refusal::BodyBroken`] when it breaks off or is not what
/// its coding says, [`Refusal::BodySilent`] when it stops.
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

/// Refuses a body by what its request's head says of it, before it comes.
///
/// # Errors
/// [`Refusal::BodyTooLarge`], [`Refusal::ContentEncoding`], or [`Refusal::Header`] when a field that says what the body is
/// is repeated.
pub fn check_announced(map: &impl Headers, limit: u64) -> Result<(), Refusal> {
    announced(map, limit).map(drop)
}

/// How a body is coded, if it does not announce more than it may have.
fn announced(map: &impl Headers, limit: u64) -> Result<Option<Coding>, Refusal> {
    let announced = single(map, &CONTENT_LENGTH)?
        .and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
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
    take(first.len(), 0, limit, charge)?;
    let Some(second) = body.next().await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        take(bytes.len(), whole.len(), limit, charge)?;
        whole.extend_from_slice(&bytes);
        piece = body.next().await?;
    }
    Ok(whole.freeze())
}

/// Refuses a body that is coded, where none is decoded.
///
/// # Errors
/// [`Refusal::ContentEncoding`].
pub fn check_uncoded(map: &impl Headers) -> Result<(), Refusal> {
    let came = coding_name(map)?;
    if is_identity(&came) {
        return Ok(());
    }
    Err(Refusal::ContentEncoding {
        came: came.into_owned(),
        allowed: "identity",
    })
}

/// How the body is coded; `None` when it is not.
///
/// # Errors
/// [`Refusal::ContentEncoding`], or [`Refusal::Header`] when a field that says what the body is is repeated.
fn coding(map: &impl Headers) -> Result<Option<Coding>, Refusal> {
    single(map, &CONTENT_TYPE)?;
    let came = coding_name(map)?;
    if is_identity(&came) {
        return Ok(None);
    }
    match came.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        "br" => Ok(Some(Coding::Brotli)),
        "zstd" => Ok(Some(Coding::Zstd)),
        _ => Err(Refusal::ContentEncoding {
            came: came.into_owned(),
            allowed: CODINGS,
        }),
    }
}

/// The list of the body's codings as it came; fields that repeat go on with it.
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
