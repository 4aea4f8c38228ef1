//! Starts the dashboard in the page.

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
    tailwater_dashboard::app::mount();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
