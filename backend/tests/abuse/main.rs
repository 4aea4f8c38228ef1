//! Clients that misbehave, against the real binary with small limits: whatever one client does, the server stays within its
//! limits, closes what is stuck, and answers everybody else.
//!
//! Each test starts its own server in a process of its own (`subject.rs`) and speaks to it byte by byte (`RawConnection`). While it
//! misbehaves, and after it, another client appends, polls and long-polls (`probe.rs`) and must be answered; afterwards memory
//! and open files of the process must come back to about what they were.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing, in its helpers too, and what it measured by printing"
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
