//! The parts of the Streams page: the list, and the details of a stream and actions on it.

pub mod append;
pub mod change;
pub mod create;
pub mod curl;
pub mod facts;
pub mod filter;
pub mod follow;
pub mod help;
pub mod list;
pub mod panel;
pub mod readers;
pub mod server;
pub mod subscription;
