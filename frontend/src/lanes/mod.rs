//! The readers of the lanes, which run in workers if the browser supports them.
//!
//! A worker records arrival times, splits received data into messages and measures the time that the browser itself takes.
//! It sends its reports to the page in batches, at most ten per second. Page and workers run the same WebAssembly module.

pub mod message;
pub mod pieces;
#[cfg(target_arch = "wasm32")]
mod reader;
#[cfg(target_arch = "wasm32")]
pub mod readers;
pub mod report;
#[cfg(target_arch = "wasm32")]
mod thread;
#[cfg(target_arch = "wasm32")]
pub mod worker;

pub use report::{CutBatch, LaneReport};

/// The threads on which the readers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReaderPlace {
    /// One worker for each lane.
    #[default]
    OwnWorkers,
    /// One worker for all lanes, because the machine has one processor.
    OneWorker,
    /// The page's own thread, because no workers are available.
    Page,
}
