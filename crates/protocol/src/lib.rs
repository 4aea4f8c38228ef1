//! What both ends of a Tailwater stream agree on, and the client: no actix, no Leptos, native and wasm32.

pub mod acknowledgement;
#[cfg(test)]
mod codec_tests;
pub mod document;
pub mod export;
pub mod frame;
pub mod headers;
pub mod inspect;
pub mod json;
pub mod name;
pub mod ndjson;
pub mod nesting;
pub mod offset;
pub mod percent;
pub mod problem;
pub mod producer;
pub mod reader;
pub mod report;
pub mod rig;
pub mod sse;
pub mod technique;
pub mod timestamp;
pub mod transport;

pub use frame::{Control, Frame, FrameError};
pub use name::{NameError, StreamName};
pub use offset::{Offset, OffsetError, StreamOffset, Token};
pub use problem::Problem;
pub use producer::Producer;
pub use report::{Batch, Data, Report};
pub use technique::Technique;
