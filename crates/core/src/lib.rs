//! Append-only streams with offsets and a tail that can be watched, on a store that keeps their bytes. No HTTP.
//!
//! [`Streams`] finds a [`Log`] by its name. A log decides in which order messages come and whether an append is taken,
//! a [`Store`](store::Store) keeps the bytes, and the log's tail moves when they are kept.

pub mod clock;
pub mod log;
pub mod model;
pub mod offload;
pub mod registry;
pub mod store;

pub use log::{
    Append, AppendError, Appended, Batch, Log, ReadError, ReadStart, ReaderGuard, ReaderStatus,
    Readers, StreamObserver,
};
pub use model::{
    Accepted, Expiry, Fork, NameError, Payload, PayloadError, Producer, ProducerId, StreamConfig,
    StreamId, StreamLimits, StreamName, StreamSeq, Tail, TailState, ValueError, value,
};
pub use registry::{
    Absent, CreateError, Created, ForkError, ForkPoint, ForkRequest, Importing, ListOrder,
    ListQuery, Streams,
};
