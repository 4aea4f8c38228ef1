//! Parsing of request headers: each has at most one value, and each value one form.

use super::Refusal;
use http::header::HeaderName;
use tailwater_core::value::NUMBER_MAX;
use tailwater_protocol::headers;

/// The header fields of a request, whoever parsed them.
pub trait Headers {
    /// The values of all fields with this name, in order.
    ///
    /// - `name`: in lower case.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

/// The value of a field that may occur once; `None` when it is absent.
///
/// # Errors
/// [`Refusal::Header`] (400) when it is repeated: different parsers would choose different values.
pub fn single<'a>(
    map: &'a impl Headers,
    name: &'a HeaderName,
) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = map.values(name.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::Header(format!(
            "`{name}` is given twice, expected once"
        )));
    }
    Ok(first)
}

/// The text of a field that may occur once.
///
/// # Errors
/// [`Refusal::Header`] (400) when it is repeated or has characters other than visible ASCII, space
/// and tab.
pub(super) fn text<'a>(
    map: &'a impl Headers,
    name: &'a HeaderName,
) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = single(map, name)? else {
        return Ok(None);
    };
    let is_visible = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    match std::str::from_utf8(value) {
        Ok(text) if is_visible => Ok(Some(text.trim())),
        _ => Err(Refusal::Header(format!(
            "`{name}` has other characters than visible ASCII"
        ))),
    }
}

/// The value of an integer field: digits only, without leading zeros.
///
/// # Errors
/// [`Refusal::Header`] (400).
pub(super) fn number(
    map: &impl Headers,
    name: &HeaderName,
    least: u64,
) -> Result<Option<u64>, Refusal> {
    let Some(text) = text(map, name)? else {
        return Ok(None);
    };
    let is_plain =
        text.bytes().all(|it| it.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    let number = text
        .parse()
        .ok()
        .filter(|number| is_plain && (least..=NUMBER_MAX).contains(number));
    number.map(Some).ok_or_else(|| {
        let form = "without sign, point or leading zeros";
        Refusal::Header(format!(
            "`{name}` is `{text}`, expected an integer from {least} to {NUMBER_MAX} {form}"
        ))
    })
}

/// Whether a boolean field is set; any value except `true` counts as absent.
///
/// # Errors
/// [`Refusal::Header`] (400) when it is repeated.
pub(super) fn is_set(map: &impl Headers, name: &HeaderName) -> Result<bool, Refusal> {
    let value = single(map, name)?.and_then(|value| std::str::from_utf8(value).ok());
    Ok(value.is_some_and(headers::is_true))
}
