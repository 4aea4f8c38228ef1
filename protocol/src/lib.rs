//! What both ends of a Tailwater stream agree on, and the client: no actix, no Leptos, native and wasm32.

pub mod headers;
pub mod offset;
pub mod problem;
pub mod report;
pub mod rig;
pub mod technique;

pub use offset::{Offset, OffsetError, Token};
pub use problem::Problem;
pub use report::{Batch, Data, Report};
pub use technique::Technique;
