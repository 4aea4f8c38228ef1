//! The parts of the Race page.

#[cfg(target_arch = "wasm32")]
pub mod advice;
#[cfg(target_arch = "wasm32")]
pub mod canvases;
#[cfg(target_arch = "wasm32")]
pub mod cards;
#[cfg(target_arch = "wasm32")]
pub mod controls;
#[cfg(target_arch = "wasm32")]
pub mod delay;
pub mod draw;
#[cfg(target_arch = "wasm32")]
pub mod head;
#[cfg(target_arch = "wasm32")]
pub mod headline;
#[cfg(target_arch = "wasm32")]
pub mod help;
pub mod presets;
#[cfg(target_arch = "wasm32")]
pub mod publish;
#[cfg(target_arch = "wasm32")]
pub mod saved;
#[cfg(target_arch = "wasm32")]
pub mod stage;
#[cfg(target_arch = "wasm32")]
pub mod tables;
