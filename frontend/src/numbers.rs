//! Numbers for people: thousands apart, as many digits as they are worth, units beside them. Alike in both languages.

/// With so many decimals; a tiny negative number has no sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|digit| matches!(digit, b'0' | b'.')) => zero.to_owned(),
        _ => text,
    }
}

/// A count with its thousands apart: `1,234,567`.
///
/// `Intl.NumberFormat` writes the same in both languages, but is not there where the texts are tested.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds without the unit: one decimal below 100, none above, thousands apart.
pub fn ms(value: f64) -> String {
    if value.abs() < 99.95 {
        fixed(value, 1)
    } else {
        whole(value)
    }
}

/// An error bound in milliseconds without the unit: two decimals below a tenth, never `0`.
pub fn bound_ms(value: f64) -> String {
    if value < 0.095 {
        fixed(value.max(0.01), 2)
    } else {
        ms(value)
    }
}

/// A span of time in the unit that suits it: `20 ms`, `250 ms`, `1 s`, `2.5 s`.
pub fn span_ms(value: f64) -> String {
    if value < 1_000.0 {
        format!("{} ms", trimmed(value))
    } else {
        format!("{} s", trimmed(value / 1_000.0))
    }
}

/// Bytes per event, without the unit: whole numbers, thousands apart.
pub fn bytes(value: f64) -> String {
    if value < 9.95 {
        fixed(value, 1)
    } else {
        whole(value)
    }
}

/// Bytes in the unit that suits them: `640 B`, `1.2 kB`, `34 MB`.
pub fn size(value: u64) -> String {
    let mut amount = value as f64;
    for unit in ["B", "kB", "MB"] {
        if amount < 999.5 {
            return format!(
                "{} {unit}",
                if unit == "B" || amount >= 99.95 {
                    whole(amount)
                } else {
                    fixed(amount, 1)
                }
            );
        }
        amount /= 1_000.0;
    }
    format!("{} GB", fixed(amount, 1))
}

/// A rate per second, without the unit: two decimals below 10, one below 100.
pub fn rate(value: f64) -> String {
    if value < 9.995 {
        fixed(value, 2)
    } else if value < 99.95 {
        fixed(value, 1)
    } else {
        whole(value)
    }
}

/// Milliseconds as seconds with three decimals, without the unit.
pub fn seconds(ms: f64) -> String {
    fixed(ms / 1_000.0, 3)
}

/// A share of 0 to 1 in percent, without decimals: `37 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", whole(share * 100.0))
}

/// At most two decimals, none that say nothing.
pub fn trimmed(value: f64) -> String {
    let text = fixed(value, 2);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A finite number as people and URLs write it: `-12.5`, `1e3`.
pub fn parse(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

fn whole(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "of a magnitude, saturating"
    )]
    let magnitude = count(value.abs().round() as u64);
    if value < -0.5 {
        format!("-{magnitude}")
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_expected() {
        for (text, value) in [
            ("0", 0.0),
            ("12.5", 12.5),
            ("-0.1", -0.1),
            (" +1e9 ", 1e9),
            ("2.5E-3", 0.0025),
            (".5", 0.5),
            ("7.", 7.0),
            ("2000", 2_000.0),
            ("123456789.125", 123_456_789.125),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in [
            "", ".", "-", "e5", "1e", "1e999", "NaN", "inf", "0x10", "1,5", "1 2", "--1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_their_significant_digits() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [ms(0.04), ms(-0.01), ms(1.26), ms(99.96), ms(1_512.4)],
            ["0.0", "0.0", "1.3", "100", "1,512"]
        );
        assert_eq!(
            [bound_ms(0.0), bound_ms(0.09), bound_ms(1.23)],
            ["0.01", "0.09", "1.2"]
        );
        assert_eq!(
            [span_ms(20.0), span_ms(1_000.0), span_ms(2_500.0)],
            ["20 ms", "1 s", "2.5 s"]
        );
        assert_eq!(
            [size(640), size(1_234), size(999_999), size(34_000_000)],
            ["640 B", "1.2 kB", "1.0 MB", "34.0 MB"]
        );
        assert_eq!(
            [rate(0.4), rate(99.99), rate(1_999.8)],
            ["0.40", "100", "2,000"]
        );
        assert_eq!(percent(0.3679), "37 %");
        assert_eq!(
            [trimmed(0.1), trimmed(2_000.0), trimmed(12.5)],
            ["0.1", "2000", "12.5"]
        );
    }
}
