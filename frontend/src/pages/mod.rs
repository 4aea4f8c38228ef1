//! The pages of the dashboard.

pub mod race;
pub mod streams;
