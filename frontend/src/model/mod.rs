//! What the dashboard knows, as plain structs without a browser.

pub mod trace;
