//! Starts the dashboard, or, in a worker, the readers of its lanes.

#[cfg(target_arch = "wasm32")]
use tailwater_dashboard::lanes;

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    match lanes::worker::scope() {
        Some(scope) => lanes::worker::run(&scope),
        None => tailwater_dashboard::app::mount(),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
