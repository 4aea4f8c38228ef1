//! The texts of all pages, in English and in Korean: a missing text does not compile.

mod english;
mod korean;
#[cfg(test)]
pub(crate) mod rules;

use crate::language::Language;
use crate::theme::Theme;
use crate::widgets::connection::ServerConnection;

/// The texts of all pages.
#[expect(
    missing_docs,
    reason = "the fields are named after their texts, which are in english.rs and korean.rs"
)]
#[derive(Debug)]
pub struct SharedText {
    pub pages: &'static str,
    pub language: &'static str,
    pub theme: &'static str,
    pub theme_name: fn(Theme) -> &'static str,
    pub help: &'static str,
    pub close: &'static str,
    pub copy: &'static str,
    pub copied: &'static str,
    pub keys_title: &'static str,
    pub key_help: &'static str,
    pub shortcuts: &'static str,
    pub technique: &'static str,
    pub not_found: &'static str,
    pub not_found_title: &'static str,
    pub not_found_hint: &'static str,
    pub connection: fn(ServerConnection) -> &'static str,
}

impl SharedText {
    /// The texts in `language`.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXT,
            Language::Korean => &korean::TEXT,
        }
    }
}
