//! Removes the parts of a script that are only for readers.

/// What a line of a comment begins with.
const COMMENTS: [&str; 3] = ["//", "/*", "*"];

/// The script without indentation, and without lines that are empty or part of a comment.
///
/// Only for the scripts of the page: they have comments on lines of their own, and no text of several lines.
pub(crate) fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim);
    let code = lines.filter(|line| {
        let is_comment = COMMENTS.iter().any(|start| line.starts_with(start));
        !line.is_empty() && !is_comment
    });
    code.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comments_and_indentation_are_removed() {
        let script = "/**\n * @returns {any}\n */\nfunction one() {\n\n    // Why.\n    return 'http://one'; // kept\n}\n";
        assert_eq!(
            without_comments(script),
            "function one() {\nreturn 'http://one'; // kept\n}\n"
        );
    }
}
