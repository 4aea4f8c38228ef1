//! Numbers the functions that a module imports from its script.
//!
//! wasm-bindgen ends their names with 16 digits of a hash, in the module and in the script. No compression shortens these:
//! without them, the page has 4 KB less. The names keep their length, so nothing else of a module changes.

use std::collections::BTreeMap;
use std::ops::Range;

const BEGIN: &[u8] = b"__wbg_";
/// Digits of the hash, after an underscore.
const DIGITS: usize = 16;

/// The imported functions of a page, with their numbers.
#[derive(Debug, Default)]
pub(crate) struct ImportNumbers(BTreeMap<Vec<u8>, usize>);

impl ImportNumbers {
    /// Adds the functions that a script provides.
    pub(crate) fn add(&mut self, script: &[u8]) {
        for name in names(script).map(|place| &script[place]) {
            let next = self.0.len();
            if has_hash(name) {
                self.0.entry(name.to_vec()).or_insert(next);
            }
        }
    }

    /// Replaces the hashes in a script or module by the numbers.
    pub(crate) fn apply(&self, bytes: &mut [u8]) {
        let places: Vec<Range<usize>> = names(bytes).collect();
        for place in places {
            if let Some(number) = self.0.get(&bytes[place.clone()]) {
                let digits = format!("{number:0DIGITS$}");
                bytes[place.end - DIGITS..place.end].copy_from_slice(digits.as_bytes());
            }
        }
    }
}

fn has_hash(name: &[u8]) -> bool {
    let hash = name.len().checked_sub(DIGITS).map(|end| name.split_at(end));
    hash.is_some_and(|(before, hash)| {
        before.ends_with(b"_") && hash.iter().all(u8::is_ascii_hexdigit)
    })
}

/// Where names are that begin with [`BEGIN`].
fn names(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_begin = |start: &usize| bytes[*start..].starts_with(BEGIN);
    let starts = (0..bytes.len()).filter(is_begin);
    starts.map(|start| {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        start..start + bytes[start..].iter().take_while(is_part).count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_and_module_have_the_same_numbers_and_nothing_else_changes() {
        let mut script =
            b"{ __wbg_get_847fd86b8c33ec43: f, __wbg_get_f2d27251d333a631: g, __wbg_x_free: h }"
                .to_vec();
        let mut module =
            b"\x1a__wbg_get_f2d27251d333a631\0\x05\x1a__wbg_set_f2d27251d333a631".to_vec();
        let mut numbers = ImportNumbers::default();
        numbers.add(&script);
        numbers.apply(&mut script);
        numbers.apply(&mut module);
        assert_eq!(
            String::from_utf8_lossy(&script),
            "{ __wbg_get_0000000000000000: f, __wbg_get_0000000000000001: g, __wbg_x_free: h }"
        );
        assert_eq!(
            module,
            b"\x1a__wbg_get_0000000000000001\0\x05\x1a__wbg_set_f2d27251d333a631"
        );
    }
}
