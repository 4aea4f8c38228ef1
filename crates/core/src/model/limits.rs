//! Limits on the number of streams and on the size of one append.

/// Limits on the number of streams and on the size of one append.
///
/// A bare number of streams has the defaults of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams; beyond it none is created.
    pub streams_max: usize,
    /// Messages of one append or first content.
    pub append_messages_max: usize,
    /// Names of deleted streams whose number of lives is remembered one by one.
    pub deleted_names_max: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            streams_max: 100_000,
            append_messages_max: 100_000,
            deleted_names_max: 100_000,
        }
    }
}

impl From<usize> for StreamLimits {
    fn from(streams_max: usize) -> Self {
        Self {
            streams_max,
            ..Self::default()
        }
    }
}
