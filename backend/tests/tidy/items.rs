//! Rules about functions and types of the workspace.

use super::{SourceFile, assert_none, sources};
use std::collections::BTreeMap;

/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Types that are defined twice, of which a feature or a kind of build selects one.
const SELECTED_BY_CFG: [&str; 2] = ["Faults", "Lab"];

#[test]
fn no_function_is_too_long() {
    let faults = sources("rs").into_iter().flat_map(|file| {
        let too_long = functions(&file).filter(|function| function.lines > FUNCTION_LINES_MAX);
        let faults: Vec<String> = too_long
            .map(|Function { name, line, lines }| {
                format!(
                    "{}:{line}: `{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}; split it",
                    file.name
                )
            })
            .collect();
        faults
    });
    assert_none(faults);
}

#[test]
fn no_type_name_is_defined_twice() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources("rs") {
        for (number, line) in file.code_lines() {
            if let Some(name) = defined_type(line) {
                let place = format!("{}:{number}", file.name);
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    let defined_twice = places
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !SELECTED_BY_CFG.contains(&name.as_str()));
    assert_none(defined_twice.map(|(name, places)| {
        format!(
            "`{name}` is defined at {}; a name has one meaning",
            places.join(" and ")
        )
    }));
}

#[test]
fn functions_and_types_are_found() {
    let file = SourceFile {
        name: "example.rs".to_owned(),
        text: "impl A {\n    pub(super) async fn first(\n        it: &str,\n    ) -> u8 {\n        if it {\n        }\n    }\n\n    fn second() {}\n    fn third(\n    ) -> u8;\n}\n"
            .to_owned(),
    };
    let found: Vec<(&str, usize)> = functions(&file).map(|it| (it.name, it.lines)).collect();
    assert_eq!(found, [("first", 6), ("second", 1), ("third", 2)]);
    assert_eq!(defined_type("pub(crate) struct Name<'a> {"), Some("Name"));
    assert_eq!(defined_type("    enum Local {"), Some("Local"));
    assert_eq!(defined_type("type Alias = u8;"), Some("Alias"));
    assert_eq!(defined_type("    type Associated = u8;"), None);
    assert_eq!(defined_type("let structure = 1;"), None);
}

/// A function of a formatted source file.
struct Function<'a> {
    name: &'a str,
    /// The number of its first line.
    line: usize,
    lines: usize,
}

fn functions(file: &SourceFile) -> impl Iterator<Item = Function<'_>> {
    let lines: Vec<&str> = file.text.lines().collect();
    let found: Vec<Function<'_>> = file
        .text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let after = after_fn(line)?;
            let name = after.split(['(', '<']).next()?;
            let indent = &line[..line.len() - line.trim_start().len()];
            let ends_at_once = line.ends_with(['}', ';']);
            let is_end = |line: &&str| {
                line.strip_prefix(indent).is_some_and(|rest| {
                    rest.starts_with('}') || rest.starts_with(')') && rest.ends_with(';')
                })
            };
            let more = lines[index + 1..].iter().position(is_end);
            Some(Function {
                name,
                line: index + 1,
                lines: if ends_at_once { 1 } else { more? + 2 },
            })
        })
        .collect();
    found.into_iter()
}

/// What follows `fn` on the first line of a function.
fn after_fn(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_keyword = |word: &str| {
        word.starts_with("pub")
            || word.starts_with('"')
            || word.ends_with(')')
            || ["const", "async", "unsafe", "extern", "default", "in"].contains(&word)
    };
    before.split_whitespace().all(is_keyword).then_some(after)
}

/// The name of the struct, enum, union, trait or alias that a line defines. Associated types, which are indented, are none.
fn defined_type(line: &str) -> Option<&str> {
    let (visibility, after) = ["struct ", "enum ", "union ", "trait ", "type "]
        .iter()
        .find_map(|keyword| {
            let (before, after) = line.split_once(keyword)?;
            let is_alias = *keyword == "type ";
            (!is_alias || !line.starts_with(' ')).then_some((before.trim(), after))
        })?;
    let is_definition = visibility.is_empty()
        || visibility == "pub"
        || visibility.starts_with("pub(") && visibility.ends_with(')');
    let name = after.split(|it: char| !it.is_alphanumeric()).next()?;
    (is_definition && !name.is_empty()).then_some(name)
}
