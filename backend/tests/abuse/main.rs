//! Misbehaving clients against the real binary with small limits: whatever one client does, the
//! server stays within its limits, disconnects stalled clients, and answers everyone else.
//!
//! Each test starts a server process (`subject.rs`) and sends it bytes over a `RawConnection`.
//! During and after the misbehaviour another client appends, polls and long-polls (`probe.rs`) and
//! must be answered; afterwards the memory and open files of the process must return to about what
//! they were.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print what they measured"
)]

mod budget;
mod continues;
mod endings;
mod floods;
mod framing;
mod half_messages;
mod head_and_options;
mod http_1_0;
mod huge_values;
mod log_lines;
mod long_lines;
mod order;
mod other_bodies;
mod probe;
#[path = "../process/mod.rs"]
mod process;
mod repeated_headers;
mod silent_readers;
mod slow_bodies;
mod slow_heads;
mod smuggling;
mod subject;
mod targets;
mod unfinished_messages;
mod untrusted_content;
mod websocket_frames;
mod websocket_handshake;
