//! The lab: sources that write known events, relays that count bytes and add transit, and the clock that both go by.

pub mod races;
pub mod relay;
