//! Tests of splitting arrays: elements keep their bytes, and only arrays have elements.

use super::*;
use proptest::prelude::*;

#[test]
fn elements_are_the_exact_source_text() {
    for (json, expected) in [
        ("[]", &[][..]),
        (" [ ]\r\n", &[]),
        ("[1,2]", &["1", "2"]),
        (
            r#" [1 , {"b":"]", "b":1e9999},[ ] , "\u00e9\ud83d"] "#,
            &["1", r#"{"b":"]", "b":1e9999}"#, "[ ]", r#""\u00e9\ud83d""#],
        ),
    ] {
        assert_eq!(elements(json.as_bytes()).unwrap(), expected, "{json}");
        assert_eq!(count_elements(json).unwrap(), expected.len(), "{json}");
    }
}

#[test]
fn only_an_array_has_elements() {
    for json in [
        "",
        " ",
        "null",
        "1",
        r#""[1]""#,
        "{}",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "[1] 2",
        "[01]",
        "[nul]",
        "[\"\n\"]",
        r#"["\x"]"#,
        r#"["\u00g9"]"#,
        r#"[{"a"}]"#,
        r#"[{a:1}]"#,
        "[\u{c}1]",
    ] {
        assert!(elements(json.as_bytes()).is_err(), "{json}");
        assert!(count_elements(json).is_err(), "{json}");
    }
    assert!(elements(b"[\"\xff\"]").is_err());
}

#[test]
fn brackets_may_be_nested_to_any_depth() {
    for depth in [1, 63, 64, 65, 127, 128, 129, 1_000_000] {
        // Alternating objects and arrays, so that each bracket has to be remembered.
        let open: String = (0..depth)
            .map(|at| if at % 3 == 0 { r#"{"a":"# } else { "[" })
            .collect();
        let close: String = (0..depth)
            .rev()
            .map(|at| if at % 3 == 0 { '}' } else { ']' })
            .collect();
        let whole = format!("{open}1{close}");
        assert_eq!(elements(format!("[{whole}]").as_bytes()).unwrap(), [whole]);
        let wrong = format!("[{open}1{}]", close.replacen(['}', ']'], "x", 1));
        assert!(elements(wrong.as_bytes()).is_err(), "{depth}");
        let swapped: String = close
            .chars()
            .map(|it| if it == '}' { ']' } else { '}' })
            .collect();
        let swapped = format!("[{open}1{swapped}]");
        assert!(elements(swapped.as_bytes()).is_err(), "{depth}");
        assert!(count_elements(&swapped).is_err(), "{depth}");
    }
}

#[test]
fn strings_are_unescaped() {
    assert_eq!(
        string(r#""a\"\\\/\b\f\n\r\té한\ud83d\ude00z""#).unwrap(),
        "a\"\\/\u{8}\u{c}\n\r\té한😀z"
    );
    for other in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83dA""#,
        r#""\ud83dx""#,
        "1",
        "null",
    ] {
        assert!(string(other).is_err(), "{other}");
    }
}

#[test]
fn white_space_is_that_of_json() {
    assert_eq!(trim(b" \t\r\n[ ] \n"), b"[ ]");
    assert_eq!(trim(b"\x0c1\x0c"), b"\x0c1\x0c");
    assert_eq!(trim(b" \n"), b"");
}

proptest! {
    #[test]
    fn elements_do_not_depend_on_white_space_between_them(texts in proptest::collection::vec(".*", 0..5), space in "[ \t\r\n]{0,3}") {
        let written: Vec<String> = texts.iter().map(|text| serde_json::json!({ "text": text }).to_string()).collect();
        let array = format!("{space}[{space}{}{space}]{space}", written.join(&format!("{space},{space}")));
        prop_assert_eq!(elements(array.as_bytes()).unwrap(), written);
        prop_assert_eq!(count_elements(&array).unwrap(), texts.len());
    }

    #[test]
    fn any_bytes_have_elements_only_if_they_are_an_array(bytes in r#"\[?[\[\]{}:,"\\0-9eE.+\-a-f \u{e9}u]{0,12}\]?"#) {
        let is_array = serde_json::from_str::<Vec<IgnoredAny>>(&bytes).map(|elements| elements.len());
        prop_assert_eq!(elements(bytes.as_bytes()).map(|elements| elements.len()).ok(), is_array.as_ref().ok().copied(), "{}", bytes);
        prop_assert_eq!(count_elements(&bytes).ok(), is_array.ok(), "{}", bytes);
    }
}
