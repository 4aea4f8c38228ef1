//! What tests and benchmarks share: one way to start a server, and one decoder of what it sends.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`process`] | a server in a process of its own: started, ready, signalled, measured, killed when dropped |
//! | [`thread`] | a server on a thread of this process |
//! | [`http`] | HTTP/1.1 responses out of bytes, without I/O |
//! | [`websocket`] | WebSocket frames out of and into bytes, without I/O |
//! | [`connection`] | a TCP connection whose every byte is the test's business |
//! | [`wait`] | waiting with a deadline that says what was waited for |

#[cfg(feature = "http")]
pub mod connection;
#[cfg(feature = "http")]
pub mod http;
pub mod process;
#[cfg(feature = "http")]
pub mod thread;
#[cfg(feature = "http")]
pub mod wait;
#[cfg(feature = "http")]
pub mod websocket;

#[cfg(feature = "http")]
pub use connection::RawConnection;
#[cfg(feature = "http")]
pub use http::Response;
pub use process::ServerProcess;
#[cfg(feature = "http")]
pub use thread::{ServerThread, Shutdown};
