//! The pages, a folder each: what one shows, what it knows, what it says, and the work behind it.

pub mod race;
pub mod streams;
