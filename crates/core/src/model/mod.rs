//! The types that the rest of the crate uses: names, configurations, messages, producers, tails.

mod config;
mod ids;
mod limits;
mod payload;
mod producer;
mod tail;
pub mod value;

pub use config::{Expiry, Fork, StreamConfig};
pub use ids::StreamId;
pub use limits::StreamLimits;
pub use payload::{Payload, PayloadError};
pub use producer::{Accepted, Producer, ProducerId};
pub use tail::{Tail, TailState};
pub use tailwater_protocol::{NameError, StreamName};
pub use value::{StreamSeq, ValueError};
