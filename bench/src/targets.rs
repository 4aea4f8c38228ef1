//! The servers that are compared, each a file.

pub(crate) mod limit;
pub(crate) mod tailwater;
