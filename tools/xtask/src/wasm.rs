//! Removes the parts of a wasm module that are only for debuggers.

/// The first bytes of a module: its magic number and version.
const HEADER_BYTES: usize = 8;

/// The module without custom sections: the names of functions and what produced it; `None` if `module` is malformed.
///
/// wasm-bindgen writes both into every module, and Trunk has no option against it.
///
/// Source: WebAssembly core specification, section 5.5.
pub(crate) fn without_custom_sections(module: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(HEADER_BYTES)?;
    let mut kept = header.to_vec();
    while let Some((&id, after_id)) = rest.split_first() {
        let (size, content) = unsigned(after_id)?;
        let (_, next) = content.split_at_checked(size)?;
        if id != 0 {
            kept.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Some(kept)
}

/// The number in LEB128 at the beginning of `bytes`, and the bytes after it.
fn unsigned(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at_checked(last + 1)?;
    let number = number.iter().rev().try_fold(0_usize, |number, byte| {
        Some(number.checked_mul(128)? | usize::from(byte & 0x7f))
    })?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_custom_sections_are_removed() {
        let long = [vec![10, 0x80, 0x01], vec![7; 128]].concat();
        let module = [b"\0asm\x01\0\0\0", &[0, 2, 1, b'n'][..], &long, &[0, 0]].concat();
        let kept = [b"\0asm\x01\0\0\0", &long[..]].concat();
        assert_eq!(without_custom_sections(&module), Some(kept.clone()));
        assert_eq!(without_custom_sections(&kept), Some(kept));
    }

    #[test]
    fn a_truncated_module_is_refused() {
        for module in [
            &b"\0asm"[..],
            b"\0asm\x01\0\0\0\x0a",
            b"\0asm\x01\0\0\0\x0a\x02\x01",
        ] {
            assert_eq!(without_custom_sections(module), None);
        }
    }
}
