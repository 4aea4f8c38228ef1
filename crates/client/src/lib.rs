//! A client for streams: a [`reader`] that uses any technique, and a [`ProducerSession`] for idempotent appends.
//!
//! Both are state machines without I/O and without a clock; the [`drivers`] connect them to a network.

pub mod acknowledgement;
pub mod drivers;
pub mod producer;
pub mod reader;
pub mod report;

pub use producer::ProducerSession;
pub use report::{FollowReport, ReceivedBatch, duration_ms};
