//! The address of the dashboard: a page, what is open on it, and the preferences. A link restores all of them.

use super::preferences::{LANGUAGE, Preferences, THEME};
use super::query::Query;

/// The query parameter of the page.
const PAGE: &str = "page";

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Index of the page in the table of pages.
    pub page: usize,
    /// What is open on it: the part of the query that belongs to the page.
    pub query: Query,
    /// Theme and language.
    pub preferences: Preferences,
}

impl Address {
    /// Parses a query; without the name of a page it is the first one's.
    ///
    /// - `search`: as in `location.search`, with or without the question mark.
    /// - `pages`: the names of all pages.
    pub fn parse(search: &str, pages: &[&str]) -> Self {
        let all = Query::parse(search);
        let page = all
            .pairs()
            .filter(|(name, _)| *name == PAGE)
            .find_map(|(_, value)| pages.iter().position(|page| *page == value));
        Self {
            page: page.unwrap_or(0),
            query: all.filtered(|name| ![PAGE, THEME, LANGUAGE].contains(&name)),
            preferences: Preferences::from_query(&all),
        }
    }

    /// The query of this address, without the question mark.
    ///
    /// - `pages`: the names of all pages.
    pub fn to_search(&self, pages: &[&str]) -> String {
        let page = pages.get(self.page).copied().filter(|_| self.page > 0);
        let query = Query::default()
            .with_some(PAGE, page)
            .followed_by(&self.query);
        self.preferences.add_to(query).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::theme::Theme;

    const PAGES: [&str; 2] = ["first", "second"];

    #[test]
    fn every_address_round_trips_through_the_url() {
        for page in [0, 1] {
            for query in ["", "stream=logs/a%20b&live=sse"] {
                let address = Address {
                    page,
                    query: Query::parse(query),
                    preferences: Preferences {
                        theme: Some(Theme::Dark),
                        language: Some(Language::Korean),
                    },
                };
                assert_eq!(Address::parse(&address.to_search(&PAGES), &PAGES), address);
            }
        }
    }

    #[test]
    fn preferences_of_a_link_override_the_stored_ones() {
        let stored = Preferences {
            theme: Some(Theme::Dark),
            language: Some(Language::English),
        };
        let link = Address::parse("?lang=ko", &PAGES).preferences;
        let expected = Preferences {
            theme: Some(Theme::Dark),
            language: Some(Language::Korean),
        };
        assert_eq!(link.or(stored), expected);
        assert_eq!(
            Address::parse("?theme=auto", &PAGES)
                .preferences
                .or(stored)
                .theme,
            Some(Theme::Auto)
        );
    }

    #[test]
    fn the_first_page_and_the_defaults_need_no_query() {
        let address = Address::parse("?page=unknown&theme=pink", &PAGES);
        assert_eq!(
            (address.page, address.to_search(&PAGES)),
            (0, String::new())
        );
        let second = Address::parse("?theme=dark&stream=a&page=second", &PAGES);
        assert_eq!(second.to_search(&PAGES), "page=second&stream=a&theme=dark");
    }
}
