//! What the Race page knows, as plain structs without a browser: everything here is tested natively.

pub mod clock;
pub mod export;
pub mod headline;
pub mod lane;
pub mod lane_summary;
pub mod meter;
pub mod order;
pub mod pieces;
pub mod predict;
pub mod race;
pub mod ring;
pub mod settings;
pub mod summary;
pub mod trace;
