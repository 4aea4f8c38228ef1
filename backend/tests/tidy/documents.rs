//! Rules about the documents.

use super::{assert_none, root, sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_path_in_the_documents_exists() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions.md"] {
        assert_paths_exist(document);
    }
}

fn assert_paths_exist(document: &str) {
    let text = fs::read_to_string(root().join(document)).expect("a document");
    let quoted: BTreeSet<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| is_path(quoted))
        .collect();
    assert!(quoted.len() >= 3, "{document} names only {quoted:?}");
    let bases = ["", "backend/src", "frontend/src"];
    let files = sources("rs");
    // After a full path, files beside it may be given by name alone.
    let has_name = |path: &str| {
        files.iter().any(|file| {
            Path::new(&file.name)
                .file_name()
                .is_some_and(|name| name == path)
        })
    };
    let exists = |path: &str| {
        bases
            .iter()
            .any(|base| root().join(base).join(path).exists())
            || has_name(path)
    };
    assert_none(
        quoted
            .into_iter()
            .filter(|path| !exists(path))
            .map(|path| format!("{document} names `{path}`, which does not exist")),
    );
}

#[test]
fn the_changelog_begins_with_unreleased_changes_by_kind() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    let mut sections = text.split("\n## ").skip(1);
    let open = sections.next().unwrap_or_default();
    assert!(
        open.to_lowercase().starts_with("unreleased"),
        "the first section is `## Unreleased`, found `{open:.40}`"
    );
    let kinds = ["breaking", "added", "changed", "fixed"];
    let entries = open.lines().filter_map(|line| line.strip_prefix("- "));
    let is_known = |entry: &str| {
        kinds.iter().any(|kind| {
            entry
                .trim_start_matches('*')
                .to_lowercase()
                .starts_with(kind)
        })
    };
    assert_none(
        entries
            .filter(|entry| !is_known(entry))
            .map(|entry| format!("`{entry}` begins with none of {kinds:?}")),
    );
}

#[test]
fn only_our_paths_are_paths() {
    assert!(is_path("log/") && is_path("backend/src/http") && is_path("frontend/Cargo.toml"));
    assert!(
        !is_path("application/json")
            && !is_path("/v1/stream/{path}")
            && !is_path("cargo xtask serve")
    );
}

/// Whether quoted text of a document is the path of a file or folder of ours.
fn is_path(quoted: &str) -> bool {
    let plain = quoted
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "_-./".contains(character));
    let ours = ["backend/", "frontend/", "crates/", "tools/", "e2e/"];
    let named = [".rs", ".toml", ".md", ".mjs", ".html", ".css"];
    plain
        && !quoted.starts_with('/')
        && (quoted.ends_with('/')
            || ours.iter().any(|prefix| quoted.starts_with(prefix))
            || named.iter().any(|suffix| quoted.ends_with(suffix)))
}
