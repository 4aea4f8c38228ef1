//! The client of a stream: a [`reader`] that follows by any technique, and a [`ProducerSession`] whose appends may be sent again.
//!
//! Both are state machines without I/O and without a clock; the [`drivers`] join them to a network.

pub mod acknowledgement;
pub mod drivers;
pub mod producer;
pub mod reader;
pub mod report;

pub use producer::ProducerSession;
pub use report::{FollowReport, ReceivedBatch};
