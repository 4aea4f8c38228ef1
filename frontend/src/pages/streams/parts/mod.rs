//! What the Streams page is made of: the list, and what can be seen of a stream and done with it.

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
