//! Numbers as decimal text, with as many digits as measurements are worth.
//!
//! The standard library's way is exact to the last of any number of digits; its code and tables would be a fiftieth of the
//! page on its way to the browser.

/// With so many decimals, up to 9, ties away from zero.
///
/// Beyond what 64 bits count it stays at the most.
pub fn fixed(value: f64, decimals: u32) -> String {
    let unit = 10_u64.pow(decimals);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "of a magnitude, saturating"
    )]
    let steps = (value.abs() * unit as f64).round() as u64;
    // A tiny negative number must not print as "-0.0".
    let sign = if value < 0.0 && steps > 0 { "-" } else { "" };
    match decimals {
        0 => format!("{sign}{steps}"),
        _ => format!(
            "{sign}{}.{:02$}",
            steps / unit,
            steps % unit,
            decimals as usize
        ),
    }
}

/// As programs write numbers: `12`, `-0.25`, `1.5e300`; at most 15 digits, none that say nothing.
///
/// A number of up to 15 digits reads back as what it was. What is no number is `0`.
pub fn plain(value: f64) -> String {
    let magnitude = value.abs();
    if !magnitude.is_normal() {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "from -308 to 308")]
    let mut exponent = magnitude.log10().floor() as i32;
    // In two steps, as one power of ten may be out of range.
    let half = (14 - exponent) / 2;
    let scaled = magnitude * 10f64.powi(half) * 10f64.powi(14 - exponent - half);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "of 15 or 16 digits"
    )]
    let digits = (scaled.round() as u64).to_string();
    exponent += i32::try_from(digits.len()).unwrap_or(15) - 15;
    let sign = if value < 0.0 { "-" } else { "" };
    let digits = digits.trim_end_matches('0');
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    match exponent {
        -7..0 => format!("{sign}0.{}{digits}", zeros(-1 - exponent)),
        0..=20 => match usize::try_from(exponent + 1)
            .ok()
            .and_then(|at| digits.split_at_checked(at))
        {
            Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
            _ => format!(
                "{sign}{digits}{}",
                zeros(exponent + 1 - i32::try_from(digits.len()).unwrap_or(0))
            ),
        },
        _ => match digits.split_at(1) {
            (first, "") => format!("{sign}{first}e{exponent}"),
            (first, rest) => format!("{sign}{first}.{rest}e{exponent}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_leave_zero_and_no_zero_is_negative() {
        assert_eq!(
            [
                fixed(-0.04, 1),
                fixed(-1.25, 1),
                fixed(0.005, 3),
                fixed(12.0, 2)
            ],
            ["0.0", "-1.3", "0.005", "12.00"]
        );
        assert_eq!(
            [fixed(99.5, 0), fixed(-0.4, 0), fixed(1e300, 0)],
            ["100", "0", "18446744073709551615"]
        );
    }

    #[test]
    fn plain_numbers_read_back() {
        for (value, text) in [
            (0.0, "0"),
            (-0.25, "-0.25"),
            (12.0, "12"),
            (1_000.0, "1000"),
            (0.1, "0.1"),
            (0.000_012_5, "0.0000125"),
            (1e-8, "1e-8"),
            (1.5e300, "1.5e300"),
            (1e20, "100000000000000000000"),
            (99.999_999_999_999_99, "100"),
            (123_456_789.123_456, "123456789.123456"),
            (-2.5e-300, "-2.5e-300"),
            (1.5e308, "1.5e308"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(plain(value), text);
        }
        for step in 0..100_000 {
            let value = f64::from(step) / 1_000.0;
            assert_eq!(plain(value).parse::<f64>(), Ok(value));
        }
    }
}
