//! The wire format shared by server and client: offsets, header names, codecs, documents.
//!
//! Performs no I/O; compiles for native targets and wasm32.

pub mod base64;
#[cfg(test)]
mod codec_tests;
pub mod data;
pub mod document;
pub mod export;
pub mod frame;
pub mod headers;
pub mod inspect;
pub mod json;
pub mod lab;
pub mod name;
pub mod ndjson;
pub mod nesting;
pub mod offset;
pub mod percent;
pub mod problem;
pub mod sse;
pub mod technique;
pub mod timestamp;

pub use data::Data;
pub use frame::{Control, Frame, FrameError};
pub use name::{NameError, StreamName};
pub use offset::{Offset, OffsetError, StreamOffset, Token};
pub use problem::Problem;
pub use technique::{Technique, TechniqueKind};
