//! Formats numbers with a fixed number of decimals.

/// Formats `value` with a fixed number of decimals; a value that rounds to zero has no sign.
///
/// Formatted as an integer, since core's formatter of fractions would add 5 kB to the compressed dashboard. A value that lies
/// halfway between two results, within the precision of the number, may become either.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is not negative, and the cast saturates"
)]
pub fn fixed(value: f64, decimals: u8) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
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

    #[test]
    fn digits_are_those_of_the_formatter() {
        for value in [
            0.0,
            0.25,
            0.994_9,
            -12.346,
            99.95,
            123_456.789,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ] {
            for decimals in 0..4 {
                let expected = format!("{value:.width$}", width = usize::from(decimals));
                assert_eq!(fixed(value, decimals), expected);
            }
        }
    }
}
