//! Requests to the server, as data that is tested natively, and the function that sends them.

#[cfg(target_arch = "wasm32")]
pub mod clock;
#[cfg(target_arch = "wasm32")]
pub mod lab;
pub mod name;
pub mod new_stream;
pub mod outcome;
pub mod request;
#[cfg(target_arch = "wasm32")]
pub mod send;
pub mod server;
#[cfg(target_arch = "wasm32")]
pub mod stream;
pub mod subscription;
