//! The model of the Race page: plain structs that need no browser and are tested natively.

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
