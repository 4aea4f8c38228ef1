//! Drawing on a canvas: a scene as numbers, its axes and colours, and the surface that paints it.

pub mod axis;
pub mod columns;
pub mod palette;
pub mod scene;
#[cfg(target_arch = "wasm32")]
pub mod surface;
