//! Parsers of values on the command line and in the environment.

use super::Config;
use bytesize::ByteSize;
use std::path::PathBuf;
use std::time::Duration;
use tailwater_core::store::SyncMode;
use url::Url;

/// Maximum time.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A time: `500ms`, `25s`, `2m`, `1h 30m`; a bare number is seconds.
///
/// # Errors
/// What was expected, when it is invalid, not above zero, or above 24 hours.
pub fn duration_value(text: &str) -> Result<Duration, String> {
    let is_bare = text.ends_with(|last: char| last.is_ascii_digit());
    let with_unit = if is_bare {
        format!("{text}s")
    } else {
        text.to_owned()
    };
    let duration = humantime::parse_duration(&with_unit)
        .map_err(|_| "expected a time in ms, s, m or h, such as 500ms, 25s or 2m".to_owned())?;
    if duration.is_zero() || duration > DURATION_MAX {
        return Err("expected a time above zero and at most 24h".to_owned());
    }
    Ok(duration)
}

/// When an append counts as durable: `always`, `never`, or a time such as `50ms`.
///
/// # Errors
/// What was expected, when it is none of these.
pub fn sync_value(text: &str) -> Result<SyncMode, String> {
    match text {
        "always" => Ok(SyncMode::Always),
        "never" => Ok(SyncMode::Never),
        _ => duration_value(text)
            .map(SyncMode::Within)
            .map_err(|reason| format!("expected always, never or a time: {reason}")),
    }
}

/// A path.
///
/// # Errors
/// When it is empty or has control characters, which indicates a mistake.
pub fn path_value(text: &str) -> Result<PathBuf, String> {
    match text.chars().find(|character| character.is_control()) {
        Some(control) => Err(format!(
            "expected a path without control characters such as {control:?}"
        )),
        None if text.is_empty() => Err("expected a path".to_owned()),
        None => Ok(PathBuf::from(text)),
    }
}

/// The server's public URL: scheme, host, optional port and path; no slash at the end.
///
/// # Errors
/// What was expected, when it is invalid.
pub fn public_url_value(text: &str) -> Result<String, String> {
    let expected = || "expected a URL such as https://streams.example, without query".to_owned();
    let url = Url::parse(text).map_err(|error| format!("{error}: {}", expected()))?;
    let is_plain = url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    if !is_plain || !["http", "https"].contains(&url.scheme()) {
        return Err(expected());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A number of worker threads.
///
/// # Errors
/// What was expected, when it is invalid or out of range.
pub fn workers_value(text: &str) -> Result<usize, String> {
    let workers = text
        .parse()
        .ok()
        .filter(|workers| (1..=Config::WORKERS_MAX).contains(workers));
    workers.ok_or_else(|| {
        format!(
            "expected a number of threads from 1 to {}",
            Config::WORKERS_MAX
        )
    })
}

/// A size: `65536`, `64KiB`, `16MiB`, `1GiB`; without the `i` in powers of ten.
///
/// # Errors
/// What was expected, when it is invalid or zero.
pub fn bytes_value(text: &str) -> Result<u64, String> {
    let expected = "expected a size above zero, such as 65536, 64KiB or 16MiB";
    match text.parse::<ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        _ => Err(expected.to_owned()),
    }
}
