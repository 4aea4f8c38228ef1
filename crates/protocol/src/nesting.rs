//! The limit on the nesting depth of JSON messages.
//!
//! Most JSON parsers limit the depth: serde at 128, parsers of other languages at 64 to 1000. A
//! message is sent with up to three levels of brackets around it. The decoders of this crate have no
//! limit (see [`crate::json`]), so messages that are already stored can be read whatever their depth.

/// The maximum nesting depth of a message.
pub const NESTING_MAX: usize = 64;

/// The nesting depth of `json`: 0 for a scalar, 1 for `[]` and `{}`, 2 for `[[]]`.
///
/// - `json`: one or more JSON values. The result for invalid JSON is unspecified.
pub fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0_usize, 0);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = after_string(json, at),
            _ => {}
        }
    }
    deepest
}

/// The index after the closing quote of a string whose content starts at `at`; the length of `json`
/// if there is no closing quote.
fn after_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn brackets_inside_strings_do_not_count() {
        for (json, depth) in [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            ("[[],[[]]]", 3),
            (r#"{"a":[{}]}"#, 3),
            (r#""[[[[""#, 0),
            (r#"["[\"[[\\",["]"]]"#, 2),
            (r#"["\\"]"#, 1),
            (r#"["\\\"[["]"#, 1),
            ("]]][", 1),
            (r#""["#, 0),
            (r#""\"#, 0),
        ] {
            assert_eq!(nesting(json.as_bytes()), depth, "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_depth_of_at_most_their_brackets(bytes in any::<Vec<u8>>()) {
            let brackets = bytes.iter().filter(|byte| b"[{".contains(byte)).count();
            prop_assert!(nesting(&bytes) <= brackets);
        }

        #[test]
        fn wrapping_a_value_in_an_array_adds_one(text in "[a-z\\[\\]{}\"\\\\]{0,20}", depth in 0_usize..100) {
            let inner = serde_json::to_string(&text).unwrap_or_default();
            let value = format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
            prop_assert_eq!(nesting(value.as_bytes()), depth);
        }
    }
}
