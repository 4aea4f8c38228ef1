//! Tests of the JSON reader: it accepts, refuses and reads what serde_json does.

use super::*;
use proptest::prelude::*;

/// Texts at the edges of the grammar.
const TEXTS: [&str; 44] = [
    "null",
    " true ",
    "false",
    "nul",
    "nulll",
    "0",
    "-0",
    "01",
    "1.",
    ".5",
    "1.5e3",
    "1e",
    "1e+",
    "-",
    "1E-7",
    "[]",
    "[ ]",
    "[1,2]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{}",
    "{ }",
    r#"{"a":1}"#,
    r#"{"a":1,}"#,
    r#"{"a" : [ {} ] , "b":"c"}"#,
    r#"{a:1}"#,
    r#"{"a"}"#,
    r#"{"a":}"#,
    "[",
    "]",
    "{",
    r#"""#,
    r#""a"#,
    r#""\n""#,
    r#""\x""#,
    r#""\u00e9""#,
    r#""\u00g9""#,
    "\"\n\"",
    "",
    " ",
    "1 1",
    r#""\ud83d\ude00""#,
    "[[[[[[]]]]]]",
];

#[test]
fn the_same_texts_are_json_as_for_serde() {
    for text in TEXTS {
        let ours = Value::parse(text.as_bytes()).map(|value| value.text().to_owned());
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(text)
            .map(|value| value.get().to_owned());
        assert_eq!(ours.clone().ok(), theirs.ok(), "{text}: {ours:?}");
    }
    assert!(Value::parse(b"\"\xff\"").is_err());
}

#[test]
fn brackets_lie_within_each_other_as_deep_as_they_come() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 1_000_000] {
        // Objects and arrays by turns, so that each bracket has to be remembered.
        let open: String = (0..depth)
            .map(|at| if at % 3 == 0 { r#"{"a":"# } else { "[" })
            .collect();
        let close: String = (0..depth)
            .rev()
            .map(|at| if at % 3 == 0 { '}' } else { ']' })
            .collect();
        let whole = format!("{open}1{close}");
        assert_eq!(
            Value::parse(whole.as_bytes()).unwrap().text().len(),
            whole.len()
        );
        let wrong = format!("{open}1{}", close.replacen(['}', ']'], "x", 1));
        assert!(Value::parse(wrong.as_bytes()).is_err(), "{depth}");
        let swapped: String = close
            .chars()
            .map(|it| if it == '}' { ']' } else { '}' })
            .collect();
        assert!(
            Value::parse(format!("{open}1{swapped}").as_bytes()).is_err(),
            "{depth}"
        );
    }
}

#[test]
fn strings_lose_their_escapes() {
    let text = |json: &str| {
        Value::parse(json.as_bytes())
            .unwrap()
            .string()
            .map(Cow::into_owned)
    };
    assert_eq!(
        text(r#""a\"\\\/\b\f\n\r\té한\ud83d\ude00z""#).unwrap(),
        "a\"\\/\u{8}\u{c}\n\r\té한😀z"
    );
    for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dA""#, r#""\ud83dx""#] {
        assert!(text(half).is_err(), "{half}");
    }
    assert!(text("1").is_err());
}

#[test]
fn items_and_members_are_what_stands_there() {
    let value = Value::parse(br#" {"a" : [1 , {"b":"]"},[ ] ], "\u0063" : null } "#).unwrap();
    let items: Vec<&str> = value
        .find("a")
        .unwrap()
        .unwrap()
        .items()
        .unwrap()
        .map(Value::text)
        .collect();
    assert_eq!(items, ["1", r#"{"b":"]"}"#, "[ ]"]);
    assert_eq!(value.member::<Option<u64>>("c"), Ok(None));
    assert_eq!(value.member::<Option<u64>>("d"), Ok(None));
    assert_eq!(value.members().unwrap().count(), 2);
    assert!(value.items().is_err());
}

#[test]
fn a_refusal_names_the_way_what_was_expected_and_what_came() {
    struct Outer;
    impl FromJson for Outer {
        fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
            value.member::<u64>("inner").map(|_| Self)
        }
    }
    let fault = |text: &str| {
        Value::parse(text.as_bytes())
            .unwrap()
            .member::<Outer>("outer")
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        fault(r#"{"outer":{"inner":"x"}}"#),
        r#"outer: inner: expected a whole number from 0 on, but `"x"` came"#
    );
    assert_eq!(
        fault(r#"{"outer":{}}"#),
        "outer: inner: expected a value, but it is absent"
    );
    let broken = Value::parse(b"[1, 2").unwrap_err().to_string();
    assert_eq!(
        broken,
        "expected a comma or the closing bracket, but the text ends at byte 5"
    );
}

#[test]
fn numbers_keep_to_their_kind_and_range() {
    let value = |text: &'static str| Value::parse(text.as_bytes()).unwrap();
    assert_eq!(u64::from_json(value("18446744073709551615")), Ok(u64::MAX));
    for text in ["18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null"] {
        assert!(u64::from_json(value(text)).is_err(), "{text}");
    }
    assert!(u16::from_json(value("65536")).is_err());
    assert_eq!(f64::from_json(value("-12.5e-1")), Ok(-1.25));
    assert!(f64::from_json(value("true")).is_err());
}

proptest! {
    #[test]
    fn what_serde_writes_reads_back(text in ".*", number in any::<u64>(), flags in proptest::collection::vec(any::<bool>(), 0..5)) {
        let written = serde_json::json!({ "text": text, "number": number, "flags": flags }).to_string();
        let value = Value::parse(written.as_bytes()).unwrap();
        prop_assert_eq!(value.member::<String>("text"), Ok(text));
        prop_assert_eq!(value.member::<u64>("number"), Ok(number));
        prop_assert_eq!(value.member::<Vec<bool>>("flags"), Ok(flags));
    }

    #[test]
    fn any_bytes_are_refused_or_accepted_as_by_serde(bytes in r#"[\[\]{}:,"\\0-9eE.+\-a-f \u{e9}u]{0,12}"#) {
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&bytes).is_ok();
        prop_assert_eq!(Value::parse(bytes.as_bytes()).is_ok(), theirs, "{}", bytes);
    }

    #[test]
    fn decimals_of_up_to_fifteen_digits_are_exact(digits in 0_u64..1_000_000_000_000_000, exponent in -22_i32..=0) {
        let text = format!("{digits}e{exponent}");
        prop_assert_eq!(decimal(&text), text.parse().ok());
    }
}
