//! Dates in headers, in the formats of HTTP and RFC 3339: `2026-07-31T09:30:00Z`, `2026-07-31T18:30:00.25+09:00`.

use std::time::Duration;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// The beginning of the year 10000, after the last date that these formats can represent, as the
/// time since the Unix epoch.
pub const END: Duration = Duration::from_secs(253_402_300_800);

/// Parses an RFC 3339 date into the time since the Unix epoch. `None` if `text` is not a date from
/// 1970 to 9999.
///
/// A leap second is treated as the second before it. Fractions of nanoseconds are truncated.
///
/// Source: RFC 3339, section 5.6.
pub fn parse(text: &str) -> Option<Duration> {
    if !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_at_checked(10)?;
    let (mark, rest) = rest.split_at_checked(1)?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (nanos, zone) = fraction(rest)?;
    if !matches!(mark, "T" | "t" | " ") {
        return None;
    }
    let there = calendar_date(year, month, day)?.with_time(time_of_day(time)?);
    let seconds = there.assume_offset(offset(zone)?).unix_timestamp();
    // With a negative time zone offset the date in UTC can be after the year 9999.
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos)).filter(|since_1970| *since_1970 < END)
}

/// Parses an HTTP date into the time since the Unix epoch. `None` if `text` is not a date from 1970
/// on.
///
/// All three formats are accepted: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`
/// (years below 70 are in the 21st century) and `Sun Nov  6 08:49:37 1994`.
///
/// Source: RFC 9110, section 5.6.7.
pub fn parse_http(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<&str> = text
        .split([' ', ',', '-'])
        .filter(|word| !word.is_empty())
        .collect();
    let (day, month, year, time) = match words[..] {
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let number = |word: &str| {
        word.bytes()
            .all(|it| it.is_ascii_digit())
            .then(|| word.parse::<u16>().ok())
            .flatten()
    };
    let month = u16::try_from(MONTHS.iter().position(|name| *name == month)? + 1).ok()?;
    let year = match (year.len(), number(year)?) {
        (4, year) => year,
        (2, year @ 0..70) => 2_000 + year,
        (2, year) => 1_900 + year,
        _ => return None,
    };
    let moment = calendar_date(year, month, number(day)?)?.with_time(time_of_day(time)?);
    let seconds = moment.assume_utc().unix_timestamp();
    Some(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Formats a time as an RFC 3339 date in UTC, with none, three, six or nine digits of fraction as needed.
///
/// - `since_1970`: time since the Unix epoch; values from [`END`] on are printed as the last
///   nanosecond before it.
pub fn print(since_1970: Duration) -> String {
    let moment = OffsetDateTime::UNIX_EPOCH + since_1970.min(END - Duration::from_nanos(1));
    let (year, month, day) = moment.to_calendar_date();
    let (hour, minute, second, nanos) = moment.to_hms_nano();
    let month = u8::from(month);
    let fraction = match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Parses three numbers with the given numbers of digits, separated by `mark`.
///
/// The parsers of `time` and `httpdate` are not used, because they accept a leap second only at the
/// end of a month or not at all, and are stricter about the name of the weekday.
fn numbers(text: &str, mark: char, digits: [usize; 3]) -> Option<[u16; 3]> {
    let mut parts = text.split(mark);
    let mut found = [0; 3];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|it| it.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn calendar_date(year: u16, month: u16, day: u16) -> Option<Date> {
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()
}

/// Parses a time of day; the leap second `:60` is treated as the second before it.
fn time_of_day(text: &str) -> Option<Time> {
    let [hour, minute, second] = numbers(text, ':', [2, 2, 2])?;
    let second = if second == 60 { 59 } else { second };
    let [hour, minute, second] =
        [hour, minute, second].map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    Time::from_hms(hour, minute, second).ok()
}

/// Parses an optional fraction at the beginning of `text` into nanoseconds; returns the rest of the text.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = rest
        .find(|it: char| !it.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, zone) = rest.split_at(end);
    let nine: String = digits
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    (!digits.is_empty()).then_some((nine.parse().ok()?, zone))
}

/// Parses a time zone offset of less than a day: `Z`, `+09:00`, `-08:00`.
fn offset(zone: &str) -> Option<UtcOffset> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let (sign, time) = zone.split_at_checked(1)?;
    let ahead = time_of_day(&format!("{time}:00"))?;
    let seconds = i32::from(ahead.hour()) * 3_600 + i32::from(ahead.minute()) * 60;
    match sign {
        "+" => UtcOffset::from_whole_seconds(seconds).ok(),
        "-" => UtcOffset::from_whole_seconds(-seconds).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64, nanos: u32) -> Duration {
        Duration::new(seconds, nanos)
    }

    #[test]
    fn the_examples_of_rfc_3339_are_parsed() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1985-04-12T23:20:50.52Z", 482_196_050, 520_000_000),
            ("1996-12-19T16:39:57-08:00", 851_042_397, 0),
            ("1990-12-31T23:59:60Z", 662_687_999, 0),
            ("1937-01-01T12:00:27.87+00:20", 0, 0),
            ("2000-02-29t00:00:00z", 951_782_400, 0),
            ("2026-11-22 21:00:00+09:00", 1_795_348_800, 0),
            (
                "2026-11-22T12:00:00.123456789012Z",
                1_795_348_800,
                123_456_789,
            ),
            ("9999-12-31T23:59:59Z", 253_402_300_799, 0),
        ] {
            let expected = (!text.starts_with("1937")).then(|| at(seconds, nanos));
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_dates_are_refused() {
        for text in [
            "",
            "not-a-timestamp",
            "2026-11-22",
            "2026-11-22T12:00:00",
            "2026-11-22T12:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T12:60:00Z",
            "2026-11-22T12:00:61Z",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00+9:00",
            "2026-11-22T12:00:00+24:00",
            "2026-11-22T12:00:00 09:00",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T00:01:00-23:59",
            "1970-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "+026-11-22T12:00:00Z",
            "2026-11-22T12:00:00Zx",
            "２026-11-22T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn http_dates_are_read_in_all_three_forms() {
        let moment = Some(at(784_111_777, 0));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http(text), moment, "{text}");
        }
        assert_eq!(
            parse_http("Thursday, 01-Jan-26 00:00:00 GMT"),
            Some(at(1_767_225_600, 0))
        );
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_and_every_fraction_round_trips() {
        for day in 0..400 * 366 {
            let time = at(day * 86_400 + 12 * 3_600, 0);
            assert_eq!(parse(&print(time)), Some(time), "day {day}");
        }
        for (nanos, text) in [
            (0, "1970-01-02T00:00:01Z"),
            (250_000_000, "1970-01-02T00:00:01.250Z"),
            (1_000, "1970-01-02T00:00:01.000001Z"),
            (1, "1970-01-02T00:00:01.000000001Z"),
        ] {
            assert_eq!(print(at(86_401, nanos)), text);
            assert_eq!(parse(text), Some(at(86_401, nanos)));
        }
    }

    /// Texts that look like dates, and random texts.
    const DATES: &str = r"[0-9]{4}-[0-1][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-5][0-9])|\PC{0,30}";

    proptest! {
        #[test]
        fn every_parsed_date_prints_and_parses_again(text in DATES) {
            if let Some(moment) = parse(&text) {
                prop_assert!(moment < END);
                prop_assert_eq!(parse(&print(moment)), Some(moment));
            }
        }

        #[test]
        fn every_moment_round_trips_through_every_time_zone(seconds in 86_400..END.as_secs() - 86_400, nanos in 0..1_000_000_000_u32, minutes in -1_439_i64..=1_439) {
            let moment = at(seconds, nanos);
            prop_assert_eq!(parse(&print(moment)), Some(moment));
            let there = at(seconds.checked_add_signed(minutes * 60).unwrap(), nanos);
            let (sign, away) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
            let text = print(there).replace('Z', &format!("{sign}{:02}:{:02}", away / 60, away % 60));
            prop_assert_eq!(parse(&text), Some(moment), "{}", text);
        }
    }
}
