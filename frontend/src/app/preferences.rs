//! Theme and language, which all pages share.

use super::query::Query;
use crate::language::Language;
use crate::theme::Theme;

/// The query parameter of the theme.
pub(super) const THEME: &str = "theme";
/// The query parameter of the language.
pub(super) const LANGUAGE: &str = "lang";

/// What was chosen for all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Light, dark, or the system's setting.
    pub theme: Theme,
    /// The language that the address asks for, if it does.
    pub language: Option<Language>,
}

impl Preferences {
    /// Reads the preferences from a query; unknown names are ignored.
    pub fn from_query(query: &Query) -> Self {
        let mut preferences = Self::default();
        for (name, value) in query.pairs() {
            match name {
                THEME => preferences.theme = Theme::from_name(value).unwrap_or(preferences.theme),
                LANGUAGE => {
                    preferences.language = Language::from_name(value).or(preferences.language);
                }
                _ => {}
            }
        }
        preferences
    }

    /// The query with these preferences behind it: only what departs from the default.
    pub fn add_to(self, query: Query) -> Query {
        let theme = (self.theme != Theme::default()).then(|| self.theme.name());
        query
            .with_some(THEME, theme)
            .with_some(LANGUAGE, self.language.map(Language::name))
    }
}
