//! The model of the Race page: plain structs that need no browser and are tested natively.

pub mod advice;
mod base64url;
pub mod client_costs;
pub mod clock;
pub mod curve;
pub mod export;
pub mod export_har;
#[cfg(test)]
mod filled_race;
pub mod headline;
pub mod json_value;
pub mod lane;
pub mod lane_summary;
pub mod meter;
pub mod order;
pub mod predict;
pub mod race;
mod result_fields;
pub mod ring;
pub mod saved_result;
pub mod settings;
pub mod summary;
pub mod tally;
pub mod trace;
