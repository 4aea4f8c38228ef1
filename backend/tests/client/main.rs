//! The command line as a client: names, input, output, and servers that answer unexpectedly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod answers;
#[path = "../command_line/mod.rs"]
mod command_line;
mod fake;
mod input;
mod names;
mod output;
mod position;
