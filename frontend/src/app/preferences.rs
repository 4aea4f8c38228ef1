//! Theme and language, which all pages share.

use super::query::Query;
use crate::language::Language;
use crate::theme::Theme;

/// The theme's name in the address.
pub(super) const THEME: &str = "theme";
/// The language's name in the address.
pub(super) const LANGUAGE: &str = "lang";

/// What was chosen for all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Light, dark, or what the system says.
    pub theme: Theme,
    /// The language that the address asks for, if it does.
    pub language: Option<Language>,
}

impl Preferences {
    /// What a query asks for; names that are not known count as not asked for.
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
