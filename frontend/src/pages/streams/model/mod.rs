//! The model of the Streams page: plain structs that need no browser and are tested natively.

pub mod address;
pub mod listing;
pub mod tailing;
