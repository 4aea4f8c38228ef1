//! The limits of the engine on keys and values, which are checked here because the engine panics if they are exceeded.

use crate::store::StoreError;

/// The maximum lengths of a key and of the content of a value in bytes. A key has at least one byte.
const KEY_BYTES_MAX: usize = u16::MAX as usize;
const VALUE_BYTES_MAX: usize = u32::MAX as usize - 1_024;

/// Checks the length of a key.
///
/// - `what`: the name of the key for a client.
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

/// Checks the length of a value.
///
/// - `what`: the name of the value for a client.
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
