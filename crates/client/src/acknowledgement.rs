//! Checks that the response to a write was sent by a stream server: a proxy may return 200 too, but no stream offset.

use tailwater_protocol::Token;

/// The offset in a response: an offset issued by a server, so neither `-1` nor `now`.
///
/// - `next`: the value of `Stream-Next-Offset`.
///
/// # Errors
/// A description of what the response contains instead, to be passed to [`unconfirmed`].
pub fn position(next: Option<&str>) -> Result<Token, String> {
    let next = next.ok_or("without Stream-Next-Offset")?;
    let token = next
        .parse()
        .ok()
        .filter(|token: &Token| !token.is_reserved());
    token.ok_or_else(|| format!("with `{next}` as Stream-Next-Offset, which is not an offset"))
}

/// The offset in the response to a request that closes a stream; the response must also say that the stream is closed.
///
/// - `next`: the value of `Stream-Next-Offset`.
/// - `closed`: whether `Stream-Closed` is `true`.
///
/// # Errors
/// As [`position`].
pub fn position_of_closed(next: Option<&str>, closed: bool) -> Result<Token, String> {
    let position = position(next)?;
    if closed {
        Ok(position)
    } else {
        Err("without `Stream-Closed: true`".to_owned())
    }
}

/// The error text for a successful response that does not confirm the write.
///
/// - `status`: the status code, 200..=299.
/// - `lacks`: the error returned by [`position`].
pub fn unconfirmed(status: u16, lacks: &str) -> String {
    format!(
        "the server answered with status {status}, but {lacks}: expected a response from a stream"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_offset_issued_by_a_server_is_accepted() {
        assert!(position(Some("0000000000000042")).is_ok());
        for (next, lacks) in [
            (None, "without Stream-Next-Offset"),
            (Some(""), "with `` as Stream-Next-Offset"),
            (Some("-1"), "with `-1` as Stream-Next-Offset"),
            (Some("now"), "with `now` as Stream-Next-Offset"),
            (Some("a b"), "with `a b` as Stream-Next-Offset"),
        ] {
            assert!(
                position(next).is_err_and(|error| error.starts_with(lacks)),
                "{next:?}"
            );
            assert!(position_of_closed(next, true).is_err(), "{next:?}");
        }
        assert!(position_of_closed(Some("0000000000000042"), true).is_ok());
        assert_eq!(
            position_of_closed(Some("0000000000000042"), false),
            Err("without `Stream-Closed: true`".to_owned())
        );
    }
}
