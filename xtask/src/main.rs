//! The project's own commands: `cargo xtask setup | serve | dev | test`.

fn main() {}
