//! What the Streams page knows, as plain structs without a browser: everything here is tested natively.

pub mod address;
pub mod listing;
pub mod tailing;
