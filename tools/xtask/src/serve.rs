//! `cargo xtask serve`: from a fresh clone to a page that works, with one command.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::build::{self, ServerBuild};
use crate::checkout::Checkout;
use crate::child;
use crate::fault::TaskFault;
use crate::setup;
use crate::tools::Need;

/// Builds what is not built and becomes the server, which prints its address; `arguments` are the server's.
///
/// # Errors
/// Whatever keeps the tools, the dashboard or the server from being built, or the server from starting.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    let arguments = server_arguments(arguments);
    let checkout = Checkout::find()?;
    println!("==> 1/3 Tools");
    let tools = setup::prepare(&checkout, &Need::SERVE)?;
    if build::dashboard_is_fresh(&checkout) {
        println!("==> 2/3 Dashboard: nothing changed since the last build");
    } else {
        println!(
            "==> 2/3 Dashboard: Trunk compiles frontend/ to wasm (a few minutes the first time)"
        );
        child::run(&mut build::dashboard_command(&checkout, &tools))?;
        build::dashboard_done(&checkout)?;
    }
    println!(
        "==> 3/3 Server: release build with the dashboard inside (a few minutes the first time)"
    );
    child::run(&mut ServerBuild::Release.command(&checkout))?;
    let binary = ServerBuild::Release.binary(&checkout);
    println!(
        "==> Starting {} serve {}(Ctrl-C stops it)",
        build::shown(&checkout, &binary),
        spaced(arguments)
    );
    // This process becomes the server: Ctrl-C and SIGTERM reach it directly, and there is no child to lose.
    let source = Command::new(&binary)
        .arg("serve")
        .args(server_arguments(arguments))
        .exec();
    Err(TaskFault::Start {
        program: binary.display().to_string(),
        source,
    })
}

/// Each argument and a space after it.
fn spaced(arguments: &[String]) -> String {
    arguments
        .iter()
        .map(|argument| format!("{argument} "))
        .collect()
}

/// Without the `--` that separates them from ours.
pub(crate) fn server_arguments(arguments: &[String]) -> &[String] {
    match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_double_dash_is_consumed() {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            server_arguments(&words("-- --listen x")),
            words("--listen x")
        );
        assert_eq!(server_arguments(&words("--listen x")), words("--listen x"));
        assert_eq!(server_arguments(&words("-- --")), words("--"));
        assert_eq!(server_arguments(&[]), words(""));
    }
}
