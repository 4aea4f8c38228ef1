//! The command line: one file per command.

pub mod append;
pub mod lines;
mod output;
pub mod position;
pub mod serve;
pub mod tail;
pub mod target;
pub mod transfer;
