//! The command line as a client: what it makes of names, of its input, of its output, and of servers that answer oddly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing, in its helpers too"
)]

mod answers;
#[path = "../command_line/mod.rs"]
mod command_line;
mod fake;
mod input;
mod names;
mod output;
mod position;
