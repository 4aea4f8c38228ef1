//! Checks that the answer to a write comes from a stream: any proxy can answer 200, only a stream returns its position.

use tailwater_protocol::Token;

/// The position that an answer tells: a token that a server can have given out, so neither `-1` nor `now`.
///
/// - `next`: the value of `Stream-Next-Offset`.
///
/// # Errors
/// What the answer has instead, in words.
pub fn position(next: Option<&str>) -> Result<Token, String> {
    let next = next.ok_or("without Stream-Next-Offset")?;
    let token = next
        .parse()
        .ok()
        .filter(|token: &Token| !token.is_reserved());
    token.ok_or_else(|| format!("with `{next}` as Stream-Next-Offset, which is not an offset"))
}

/// The same of an answer to a request that closes: it has to say that the stream is closed now, too.
///
/// - `next`: the value of `Stream-Next-Offset`.
/// - `closed`: whether `Stream-Closed` is `true`.
///
/// # Errors
/// What the answer has instead, in words.
pub fn position_of_closed(next: Option<&str>, closed: bool) -> Result<Token, String> {
    let position = position(next)?;
    if closed {
        Ok(position)
    } else {
        Err("without `Stream-Closed: true`".to_owned())
    }
}

/// An answer that was no refusal, but does not say that anything was done.
///
/// - `lacks`: as the errors of [`position`].
pub fn unconfirmed(status: u16, lacks: &str) -> String {
    format!(
        "the server answered with status {status}, but {lacks}: expected an answer about a stream"
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
                position(next).is_err_and(|said| said.starts_with(lacks)),
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
