//! Which keys and values the engine takes: it panics where it does not.

use crate::store::StoreError;

/// The longest key and value that the engine takes; a key has at least one byte. Of a value, what is put around its content is
/// left out of the count.
const KEY_BYTES_MAX: usize = u16::MAX as usize;
const VALUE_BYTES_MAX: usize = u32::MAX as usize - 1_024;

/// Whether the engine takes a key: it panics where it does not.
///
/// - `what`: whose key it is, as the client knows it.
///
/// # Errors
/// [`StoreError::TooLong`].
pub(in crate::store::disk) fn check_key(what: &'static str, key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(StoreError::TooLong {
            what,
            bytes: key.len() as u64,
            limit: KEY_BYTES_MAX as u64,
        });
    }
    Ok(())
}

/// Whether the engine takes a value of so many bytes.
///
/// # Errors
/// [`StoreError::TooLong`].
pub(in crate::store::disk) fn check_value(
    what: &'static str,
    bytes: usize,
) -> Result<(), StoreError> {
    if bytes > VALUE_BYTES_MAX {
        return Err(StoreError::TooLong {
            what,
            bytes: bytes as u64,
            limit: VALUE_BYTES_MAX as u64,
        });
    }
    Ok(())
}
