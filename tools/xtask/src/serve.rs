//! `cargo xtask serve`: builds and runs the server with its dashboard, from a new clone.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::build::{self, ServerBuild};
use crate::checkout::Checkout;
use crate::child;
use crate::fault::TaskFault;
use crate::setup;
use crate::tools::Need;

/// Builds the dashboard and the server, then replaces this process by the server; `arguments` are passed to it.
///
/// # Errors
/// When tools, dashboard or server can't be built, or the server can't be started.
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
        "==> 3/3 Server: release build with the embedded dashboard (a few minutes the first time)"
    );
    child::run(&mut ServerBuild::Release.command(&checkout))?;
    let binary = ServerBuild::Release.binary(&checkout);
    println!(
        "==> Starting {} serve {}(Ctrl-C stops it)",
        build::shown(&checkout, &binary),
        spaced(arguments)
    );
    // The process is replaced by the server, so that Ctrl-C and SIGTERM reach it directly.
    let source = Command::new(&binary)
        .arg("serve")
        .args(server_arguments(arguments))
        .exec();
    Err(TaskFault::Start {
        program: binary.display().to_string(),
        source,
    })
}

/// The arguments, each followed by a space.
fn spaced(arguments: &[String]) -> String {
    arguments
        .iter()
        .map(|argument| format!("{argument} "))
        .collect()
}

/// The arguments without a leading `--`.
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
