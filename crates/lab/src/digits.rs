//! Formats numbers with a fixed number of decimals.

/// Formats `value` with a fixed number of decimals; a value that rounds to zero has no sign.
///
/// It is formatted as an integer, because the floating-point formatter of `core` would add 5 kB to the
/// compressed dashboard.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is not negative, and the cast saturates"
)]
pub fn fixed(value: f64, decimals: u8) -> String {
    let scale = 10_f64.powi(i32::from(decimals));
    let scaled = (value.abs() * scale).round_ties_even() as u64;
    let decimals = usize::from(decimals);
    let digits = format!("{scaled:0width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if value < 0.0 && scaled > 0 { "-" } else { "" };
    let point = if decimals > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
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
