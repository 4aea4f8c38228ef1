//! The dependencies of our crates: an application that uses them gets nothing that only the
//! `tailwater` command needs.

#![expect(
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that only the command line, the lab or webhooks need.
const COMMANDS: [&str; 9] = [
    "clap",
    "indicatif",
    "reqwest",
    "rustls",
    "sysinfo",
    "tailwater-client",
    "tokio-tungstenite",
    "tracing-subscriber",
    "tungstenite",
];
/// Crates that speak HTTP.
const HTTP: [&str; 6] = [
    "actix-http",
    "actix-web",
    "http",
    "httparse",
    "hyper",
    "tailwater",
];

/// The dependencies of `package`, direct and indirect.
///
/// - `features`: flags that choose its features.
fn dependencies(package: &str, features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--package", package, "--edges", "normal"])
        .args(["--prefix", "none", "--offline"])
        .args(features)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_library_does_not_depend_on_command_line_crates() {
    let all = dependencies("tailwater", &["--no-default-features"]);
    assert!(all.contains("actix-web"), "{all:?}");
    let unwanted: Vec<_> = COMMANDS
        .iter()
        .filter(|name| all.contains(**name))
        .collect();
    assert!(unwanted.is_empty(), "{unwanted:?}");
}

#[test]
fn the_core_knows_no_http() {
    let all = dependencies("tailwater-core", &["--all-features"]);
    assert!(all.contains("fjall"), "{all:?}");
    let unwanted: Vec<_> = COMMANDS
        .iter()
        .chain(&HTTP)
        .filter(|name| all.contains(**name))
        .collect();
    assert!(unwanted.is_empty(), "{unwanted:?}");
}

#[test]
fn the_protocol_and_the_lab_have_no_io_dependencies() {
    for package in ["tailwater-protocol", "tailwater-lab"] {
        let all = dependencies(package, &["--all-features"]);
        let unwanted: Vec<_> = COMMANDS
            .iter()
            .chain(&HTTP)
            .chain(&["tokio", "rustix", "web-sys"])
            .filter(|name| all.contains(**name))
            .collect();
        assert!(unwanted.is_empty(), "{package}: {unwanted:?}");
    }
}
