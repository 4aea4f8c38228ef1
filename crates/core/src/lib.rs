//! Append-only streams with offsets and a tail that can be watched, independent of HTTP.
//!
//! [`Streams`] maps names to [`Log`]s. A log validates and orders the appends of one stream. A
//! [`Store`](store::Store) stores the bytes, and the log advances its tail when they are committed.

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
    Absent, CreateError, Created, ForkError, ForkPoint, ForkRequest, ListOrder, ListQuery,
    PendingImport, Streams,
};
