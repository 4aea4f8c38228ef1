//! Shared by tests and benchmarks: starts servers, and decodes their responses.
//!
//! | module | content |
//! | --- | --- |
//! | [`process`] | a server in its own process: started, signalled, measured, killed when dropped |
//! | [`thread`] | a server on a thread of this process |
//! | [`http`] | decodes HTTP/1.1 responses, without I/O |
//! | [`websocket`] | decodes and encodes WebSocket frames, without I/O |
//! | [`connection`] | a raw TCP connection |
//! | [`wait`] | waiting with a deadline |

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
