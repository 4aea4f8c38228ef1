//! Numbers as decimal text.

/// `value` with a fixed number of decimals; a value that rounds to zero has no sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|digit| matches!(digit, b'0' | b'.')) => zero.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_never_negative() {
        assert_eq!([fixed(-0.04, 1), fixed(-0.4, 0)], ["0.0", "0"]);
        assert_eq!([fixed(-0.06, 1), fixed(12.0, 2)], ["-0.1", "12.00"]);
    }
}
