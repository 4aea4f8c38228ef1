//! Limits on the number of streams and on the size of one append.

/// Limits on the number of streams and on the size of one append.
///
/// Converting a number of streams into limits uses the defaults for all other limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The maximum number of streams.
    pub streams_max: usize,
    /// The maximum number of messages of one append, or of the initial content of a stream.
    pub append_messages_max: usize,
    /// The maximum number of names of deleted streams whose generation is stored individually.
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
