//! Formats numbers: thousands separators, significant digits, and units as each language writes them.

pub use tailwater_lab::digits::fixed;

use crate::language::Language;

/// A unit beside a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A thousandth of a second.
    Millisecond,
    /// A second.
    Second,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// A byte.
    Byte,
    /// 1,000 bytes.
    Kilobyte,
    /// 1,000,000 bytes.
    Megabyte,
    /// 1,000,000,000 bytes.
    Gigabyte,
    /// A count per second.
    PerSecond,
    /// A hundredth.
    Percent,
}

impl Unit {
    /// The text after a number: with a space in English (`8 s`), without one in Korean (`8초`).
    pub fn suffix(self, language: Language) -> &'static str {
        let (english, korean) = match self {
            Self::Millisecond => (" ms", "ms"),
            Self::Second => (" s", "초"),
            Self::Minute => (" min", "분"),
            Self::Hour => (" h", "시간"),
            Self::Day => (" d", "일"),
            Self::Byte => (" B", "B"),
            Self::Kilobyte => (" kB", "kB"),
            Self::Megabyte => (" MB", "MB"),
            Self::Gigabyte => (" GB", "GB"),
            Self::PerSecond => ("/s", "/초"),
            Self::Percent => (" %", "%"),
        };
        match language {
            Language::English => english,
            Language::Korean => korean,
        }
    }

    /// The unit alone, as beside a field.
    pub fn symbol(self, language: Language) -> &'static str {
        self.suffix(language).trim_start()
    }

    /// A formatted number with this unit.
    pub fn of(self, number: &str, language: Language) -> String {
        format!("{number}{}", self.suffix(language))
    }
}

/// A count with thousands separators: `1,234,567`.
///
/// `Intl.NumberFormat` writes the same in both languages, but does not exist in native tests.
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

/// Milliseconds without the unit: one decimal below 100, none above, with thousands separators.
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

/// Milliseconds: `506 ms`.
pub fn in_ms(value: f64, language: Language) -> String {
    Unit::Millisecond.of(&ms(value), language)
}

/// A formatted error bound: `± 0.06`.
pub fn plus_minus(bound: &str, language: Language) -> String {
    match language {
        Language::English => format!("± {bound}"),
        Language::Korean => format!("±{bound}"),
    }
}

/// A span of time in the unit that suits it: `20 ms`, `250 ms`, `1 s`, `2.5 s`.
pub fn span_ms(value: f64, language: Language) -> String {
    if value < 1_000.0 {
        Unit::Millisecond.of(&trimmed(value), language)
    } else {
        Unit::Second.of(&trimmed(value / 1_000.0), language)
    }
}

/// A span of time in its largest units, two at most: `45 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`.
pub fn span_s(seconds: u64, language: Language) -> String {
    let units = [
        (86_400, Unit::Day),
        (3_600, Unit::Hour),
        (60, Unit::Minute),
        (1, Unit::Second),
    ];
    let first = units
        .iter()
        .position(|(size, _)| seconds >= *size)
        .unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units.iter().skip(first).take(2) {
        if left >= *size || parts.is_empty() {
            parts.push(unit.of(&(left / size).to_string(), language));
        }
        left %= size;
    }
    parts.join(" ")
}

/// Seconds rounded down; 0 if negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, saturating"
)]
pub fn whole_seconds(seconds: f64) -> u64 {
    seconds.max(0.0) as u64
}

/// Bytes per event, without the unit: one decimal below 10, none above, with thousands separators.
pub fn bytes(value: f64) -> String {
    if value < 9.95 {
        fixed(value, 1)
    } else {
        whole(value)
    }
}

/// Bytes in the unit that suits them: `640 B`, `1.2 kB`, `34 MB`.
pub fn size(value: u64, language: Language) -> String {
    let mut amount = value as f64;
    for unit in [Unit::Byte, Unit::Kilobyte, Unit::Megabyte] {
        if amount < 999.5 {
            let number = if unit == Unit::Byte || amount >= 99.95 {
                whole(amount)
            } else {
                fixed(amount, 1)
            };
            return unit.of(&number, language);
        }
        amount /= 1_000.0;
    }
    Unit::Gigabyte.of(&fixed(amount, 1), language)
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
pub fn percent(share: f64, language: Language) -> String {
    Unit::Percent.of(&whole(share * 100.0), language)
}

/// At most two decimals, without trailing zeros.
pub fn trimmed(value: f64) -> String {
    let text = fixed(value, 2);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Parses a finite number: `-12.5`, `1e3`.
///
/// The parser of the standard library is more exact beyond 15 digits, but larger than a page of the dashboard.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, power) = size.split_once(['e', 'E']).unwrap_or((size, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        number = number * 10.0 + f64::from(digit.to_digit(10)?);
    }
    let places = i32::try_from(fraction.len()).ok()?;
    let power = i32::from(power.parse::<i16>().ok()?) - places;
    // Dividing by ten rounds once; multiplying by a tenth, which is not a binary fraction, would round twice.
    let scale = 10_f64.powi(power.abs());
    number = if power < 0 {
        number / scale
    } else {
        number * scale
    };
    Some(sign * number).filter(|number| number.is_finite())
}

/// The shortest form that parses to the same number: `0.1`, `2000`, `1e-7`.
pub fn shortest(value: f64) -> String {
    let number = serde_json::to_string(&value).unwrap_or_default();
    number.trim_end_matches(".0").to_owned()
}

/// A length in a style sheet: `12.5px`.
pub fn px(value: f64) -> String {
    shortest(value) + "px"
}

fn whole(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, saturating"
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
            [rate(0.4), rate(99.99), rate(1_999.8)],
            ["0.40", "100", "2,000"]
        );
        assert_eq!(
            [trimmed(0.1), trimmed(2_000.0), trimmed(12.5)],
            ["0.1", "2000", "12.5"]
        );
        assert_eq!(
            [shortest(0.125), shortest(-2_000.0), shortest(1e-7)],
            ["0.125", "-2000", "1e-7"]
        );
        assert_eq!(px(12.5), "12.5px");
    }

    /// Each figure in English and in Korean.
    fn assert_written(write: impl Fn(Language) -> String, english: &str, korean: &str) {
        assert_eq!(write(Language::English), english);
        assert_eq!(write(Language::Korean), korean);
    }

    #[test]
    fn each_language_writes_units_in_its_own_way() {
        for (ms, english, korean) in [
            (0.1, "0.1 ms", "0.1ms"),
            (20.0, "20 ms", "20ms"),
            (3.0 * 100.000_000_000_1, "300 ms", "300ms"),
            (1_000.0, "1 s", "1초"),
            (2_500.0, "2.5 s", "2.5초"),
        ] {
            assert_written(|language| span_ms(ms, language), english, korean);
        }
        for (seconds, english, korean) in [
            (0, "0 s", "0초"),
            (45, "45 s", "45초"),
            (60, "1 min", "1분"),
            (125, "2 min 5 s", "2분 5초"),
            (3_600, "1 h", "1시간"),
            (12_000, "3 h 20 min", "3시간 20분"),
            (187_200, "2 d 4 h", "2일 4시간"),
        ] {
            assert_written(|language| span_s(seconds, language), english, korean);
        }
        for (bytes, english, korean) in [
            (640, "640 B", "640B"),
            (1_234, "1.2 kB", "1.2kB"),
            (999_999, "1.0 MB", "1.0MB"),
            (34_000_000, "34.0 MB", "34.0MB"),
            (2_000_000_000, "2.0 GB", "2.0GB"),
        ] {
            assert_written(|language| size(bytes, language), english, korean);
        }
        assert_written(|language| in_ms(506.4, language), "506 ms", "506ms");
        assert_written(|language| percent(0.3679, language), "37 %", "37%");
        assert_written(|language| plus_minus("0.06", language), "± 0.06", "±0.06");
        assert_eq!(
            Language::ALL.map(|it| Unit::PerSecond.symbol(it)),
            ["/s", "/초"]
        );
        assert_eq!(Language::ALL.map(|it| Unit::Second.symbol(it)), ["s", "초"]);
    }
}
