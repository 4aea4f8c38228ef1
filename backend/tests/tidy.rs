//! Rules about the sources of the workspace that lints cannot express.
#![expect(
    clippy::expect_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/items.rs"]
mod items;

/// The most lines of a file.
const LINES_MAX: usize = 500;

/// Folders without sources of ours.
const NOT_OURS: [&str; 6] = [
    "target",
    "dist",
    "node_modules",
    "artifacts",
    ".git",
    ".tools",
];

/// Words that only the named places may use: the boundaries of the architecture.
const BOUNDARIES: [Boundary; 16] = [
    Boundary {
        words: &[
            "actix_web",
            "actix_http",
            "actix_server",
            "actix_rt",
            "actix_web_lab",
        ],
        within: &["backend/src"],
        except: &[
            "backend/src/http",
            "backend/src/takeover",
            "backend/src/mount.rs",
            "backend/src/server.rs",
            "backend/src/cli/serve.rs",
        ],
        why: "only these modules may depend on actix",
    },
    Boundary {
        words: &["crate::http", "crate::takeover", "crate::live"],
        within: &["backend/src/api"],
        except: &[],
        why: "`api` must not depend on the modules that send responses",
    },
    Boundary {
        words: &["crate::http", "crate::takeover"],
        within: &["backend/src/live"],
        except: &[],
        why: "`live` must not depend on the outlets",
    },
    Boundary {
        words: &["crate::store", "crate::log", "crate::registry"],
        within: &["crates/core/src/model"],
        except: &[],
        why: "`model` must not depend on other modules of the crate",
    },
    Boundary {
        words: &["crate::log", "crate::registry"],
        within: &["crates/core/src/store"],
        except: &[],
        why: "`store` must not depend on `log` or `registry`",
    },
    Boundary {
        words: &["crate::registry"],
        within: &["crates/core/src/log"],
        except: &[],
        why: "`log` must not depend on `registry`",
    },
    Boundary {
        words: &[".await", "tokio::time"],
        within: &["crates/core/src/store"],
        except: &[],
        why: "a store must not be async",
    },
    Boundary {
        words: &[
            "tokio",
            "reqwest",
            "rand",
            ".await",
            "Instant",
            "SystemTime",
        ],
        within: &[
            "backend/src/subscriptions/state.rs",
            "backend/src/subscriptions/state",
            "backend/src/subscriptions/glob.rs",
            "backend/src/subscriptions/target.rs",
        ],
        except: &[],
        why: "the state of subscriptions has no I/O and no clock",
    },
    Boundary {
        words: &[
            "tokio",
            "reqwest",
            "gloo_net",
            "web_sys",
            "js_sys",
            "std::net",
            "std::fs",
            "Instant",
            "SystemTime",
        ],
        within: &["crates/protocol/src", "crates/client/src"],
        except: &["crates/client/src/drivers"],
        why: "the client's state machines have no I/O and no clock",
    },
    Boundary {
        words: &[
            "tokio",
            "web_sys",
            "js_sys",
            "std::net",
            "std::fs",
            "std::io",
            "Instant",
            "SystemTime",
        ],
        within: &["crates/lab/src"],
        except: &[],
        why: "the theory has no I/O and no clock",
    },
    Boundary {
        words: &["leptos", "web_sys", "js_sys", "wasm_bindgen"],
        within: &[
            "frontend/src/api/name.rs",
            "frontend/src/api/outcome.rs",
            "frontend/src/api/request.rs",
            "frontend/src/app/address.rs",
            "frontend/src/app/preferences.rs",
            "frontend/src/app/query.rs",
            "frontend/src/pages/race/model",
            "frontend/src/pages/streams/model",
        ],
        except: &[],
        why: "models are tested natively, without a browser",
    },
    Boundary {
        words: &["crate::pages"],
        within: &["frontend/src/app"],
        except: &["frontend/src/app/pages.rs"],
        why: "only the table of pages may import pages",
    },
    Boundary {
        words: &["crate::app", "crate::pages"],
        within: &[
            "frontend/src/widgets",
            "frontend/src/api",
            "frontend/src/lanes",
        ],
        except: &[],
        why: "widgets, requests and readers must not import app or pages",
    },
    Boundary {
        words: &["crate::app", "crate::pages", "crate::widgets", "crate::api"],
        within: &[
            "frontend/src/language.rs",
            "frontend/src/numbers.rs",
            "frontend/src/techniques.rs",
            "frontend/src/theme.rs",
        ],
        except: &[],
        why: "what everything uses must not import what uses it",
    },
    Boundary {
        words: &[
            "serde_json::from_slice",
            "serde_json::from_str",
            "serde_json::from_reader",
            "serde_json::from_value",
            "web::Json",
            ".json::<",
        ],
        within: &["backend/src", "crates"],
        // These read raw messages or strings, or are tests.
        except: &[
            "backend/src/cli/lines.rs",
            "backend/src/lab/source.rs",
            "backend/src/lab/source",
            "crates/core/src/registry/fork.rs",
            "backend/src/subscriptions/definition.rs",
            "backend/src/subscriptions/fixture.rs",
            "backend/src/subscriptions/signing.rs",
            "backend/src/subscriptions/state/tests/scripts.rs",
            "backend/src/subscriptions/tests.rs",
            "backend/src/api/frame.rs",
            "crates/protocol/src/document.rs",
            "crates/protocol/src/inspect.rs",
            "crates/protocol/src/json.rs",
            "crates/protocol/src/json_tests.rs",
            "crates/protocol/src/ndjson_tests.rs",
        ],
        why: "serde accepts arrays for structs; use tailwater_protocol::document",
    },
    Boundary {
        words: &["TODO", "FIXME", "XXX"],
        within: &["backend/src", "frontend/src", "crates", "tools", "e2e"],
        except: &[],
        why: "open work belongs in an issue",
    },
];

struct Boundary {
    words: &'static [&'static str],
    within: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
}

#[test]
fn every_source_file_begins_with_a_sentence_about_itself() {
    let files = sources("rs");
    assert!(
        files.len() > 20,
        "found only {} files below {}",
        files.len(),
        root().display()
    );
    let faults = files.into_iter().filter_map(|file| {
        let first = file.text.lines().next().unwrap_or_default();
        let sentence = first.strip_prefix("//! ").unwrap_or_default();
        let is_sentence = sentence.split(' ').count() >= 3;
        (!is_sentence).then(|| {
            format!(
                "{}: expected `//! <what it is for>` on line 1, found `{first}`",
                file.name
            )
        })
    });
    assert_none(faults);
}

#[test]
fn no_source_file_is_too_long() {
    let faults = ["rs", "mjs", "css"]
        .into_iter()
        .flat_map(sources)
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > LINES_MAX).then(|| {
                format!(
                    "{}: {lines} lines, at most {LINES_MAX}; split the file",
                    file.name
                )
            })
        });
    assert_none(faults);
}

#[test]
fn every_boundary_of_the_architecture_holds() {
    let files: Vec<SourceFile> = ["rs", "mjs"].into_iter().flat_map(sources).collect();
    let mut faults = Vec::new();
    for Boundary {
        words,
        within,
        except,
        why,
    } in &BOUNDARIES
    {
        let lies_in = |file: &SourceFile, places: &[&str]| {
            places
                .iter()
                .any(|place| Path::new(&file.name).starts_with(place))
        };
        for file in files
            .iter()
            .filter(|file| lies_in(file, within) && !lies_in(file, except))
        {
            for (number, line) in file.code_lines() {
                if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                    faults.push(format!("{}:{number}: `{word}`: {why}", file.name));
                }
            }
        }
    }
    assert_none(faults);
}

#[test]
fn no_page_of_the_dashboard_imports_another_page() {
    assert_none(sources("rs").into_iter().filter_map(|file| {
        let below = file.name.strip_prefix("frontend/src/pages/")?;
        let own = format!("crate::pages::{}::", below.split_once('/')?.0);
        let mut lines = file.code_lines();
        let (number, _) =
            lines.find(|(_, line)| line.contains("crate::pages::") && !line.contains(&own))?;
        Some(format!("{}:{number}: imports another page", file.name))
    }));
}

#[test]
fn lock_files_of_npm_name_no_host() {
    let faults = sources("json")
        .into_iter()
        .filter(|file| file.name.ends_with("package-lock.json"))
        .flat_map(|file| {
            let lines = file.text.lines().enumerate();
            let bad: Vec<_> = lines
                .filter(|(_, line)| line.contains("\"resolved\""))
                .map(|(number, _)| {
                    format!(
                        "{}:{}: contains the URL of a registry; see e2e/.npmrc",
                        file.name,
                        number + 1
                    )
                })
                .collect();
            bad
        });
    assert_none(faults);
}

#[test]
fn wasm_opt_is_disabled() {
    // Debian 12's wasm-opt 108 writes every table export as table 0, and the page fails at its first
    // call. Where it is not installed, Trunk tries to download it. It is not needed, as the profile
    // strips names.
    let page = fs::read_to_string(root().join("frontend/index.html")).expect("frontend/index.html");
    assert!(
        page.contains("data-wasm-opt=\"0\""),
        "frontend/index.html lacks data-wasm-opt=\"0\""
    );
}

#[test]
fn only_whole_words_are_matched() {
    assert!(has_word("use actix_web::web;", "actix_web"));
    assert!(!has_word("use actix_web_lab::sse;", "actix_web"));
    assert!(has_word("self.wait().await?", ".await"));
    assert!(!has_word("InstantNoodles", "Instant"));
}

/// A source file of the workspace.
struct SourceFile {
    /// The path relative to the workspace, with `/`.
    name: String,
    text: String,
}

impl SourceFile {
    /// Lines that are not comments, with their numbers, which begin at 1.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_code = |line: &str| {
            !line.trim_start().starts_with("//")
                || has_word(line, "TODO")
                || has_word(line, "FIXME")
        };
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(move |(_, line)| is_code(line))
    }
}

/// Whether `line` contains `word` as a whole word.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line
            .get(start + word.len()..)
            .and_then(|text| text.chars().next());
        let open_start = !word.starts_with(part_of_name);
        (open_start || !before.is_some_and(part_of_name)) && !after.is_some_and(part_of_name)
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// All files of ours with this extension.
fn sources(extension: &str) -> Vec<SourceFile> {
    let mut files = Vec::new();
    collect(&root(), extension, &mut files);
    files
}

fn collect(folder: &Path, extension: &str, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if NOT_OURS
            .iter()
            .any(|not_ours| name == *not_ours || name.starts_with("target-"))
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|own| own == extension) {
            let name = path
                .strip_prefix(root())
                .expect("below the workspace")
                .to_string_lossy()
                .replace('\\', "/");
            files.push(SourceFile {
                name,
                text: fs::read_to_string(&path).expect("a source is text"),
            });
        }
    }
}

fn assert_none(faults: impl IntoIterator<Item = String>) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
