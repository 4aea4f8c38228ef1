//! What the page knows, as plain structs without a browser: everything here is tested natively.

pub mod clock;
pub mod export;
pub mod json;
pub mod lane;
pub mod listing;
pub mod meter;
pub mod name;
pub mod order;
pub mod outcome;
pub mod pieces;
pub mod place;
pub mod predict;
pub mod race;
pub mod ring;
pub mod settings;
pub mod summary;
pub mod tailing;
pub mod trace;
pub mod verdict;
pub mod wish;
