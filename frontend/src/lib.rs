//! The dashboard: the techniques side by side on one stream, drawn and measured.

pub mod model;
pub mod techniques;
pub mod text;
