//! Theme and language, which all pages share.

use super::query::Query;
use crate::language::Language;
use crate::theme::Theme;

/// The query parameter of the theme.
pub(super) const THEME: &str = "theme";
/// The query parameter of the language.
pub(super) const LANGUAGE: &str = "lang";

/// Theme and language, each `None` if not specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Light, dark, or the system's setting.
    pub theme: Option<Theme>,
    /// The language of all texts.
    pub language: Option<Language>,
}

impl Preferences {
    /// Reads the preferences from a query; unknown names are ignored.
    pub fn from_query(query: &Query) -> Self {
        let mut preferences = Self::default();
        for (name, value) in query.pairs() {
            match name {
                THEME => preferences.theme = Theme::from_name(value).or(preferences.theme),
                LANGUAGE => {
                    preferences.language = Language::from_name(value).or(preferences.language);
                }
                _ => {}
            }
        }
        preferences
    }

    /// Appends these preferences to a query.
    pub fn add_to(self, query: Query) -> Query {
        query
            .with_some(THEME, self.theme.map(Theme::name))
            .with_some(LANGUAGE, self.language.map(Language::name))
    }

    /// These preferences, with missing ones taken from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            theme: self.theme.or(other.theme),
            language: self.language.or(other.language),
        }
    }
}
