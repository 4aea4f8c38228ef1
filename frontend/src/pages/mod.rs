//! The pages, a folder for each: its view, model, texts and controller.

pub mod race;
pub mod streams;
