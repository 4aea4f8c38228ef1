//! The readers of lanes, in workers where the browser allows it: each follows one stream and hands over what happened.
//!
//! A worker stamps arrivals, cuts what arrived into messages and measures the browser's own time; the page receives all of
//! that in batches, at most ten a second, and draws. Page and workers run the same WebAssembly module.

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

/// Where the lanes' readers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReaderPlace {
    /// Each in a worker of its own.
    #[default]
    OwnWorkers,
    /// All in one worker: the machine has one processor.
    OneWorker,
    /// On the page's own thread, beside everything else: the browser gave no worker.
    Page,
}
