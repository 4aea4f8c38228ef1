//! Where in the dashboard a person is, and the same as the query of its URL: the link is the state.

use tailwater_protocol::Technique;
use tailwater_protocol::percent::encode_path;

use crate::pages::race::model::settings::{LANGUAGE, Settings, THEME, pairs};

/// A page, with what is open on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// The techniques side by side; what is open stands in [`Settings`].
    #[default]
    Race,
    /// The list of streams.
    Streams(Shelf),
}

/// What is open on the Streams page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shelf {
    /// What the names have to contain; all when empty.
    pub search: String,
    /// The page of the list begins behind this name.
    pub after: Option<String>,
    /// The stream that is looked at.
    pub stream: Option<String>,
    /// How it is followed, if another way is wished than the usual one.
    pub technique: Option<Technique>,
}

impl Place {
    /// The place and the settings that a query asks for.
    ///
    /// - `query`: as in `location.search`, with or without the question mark.
    pub fn read(query: &str) -> (Self, Settings) {
        let is_streams = pairs(query).any(|(key, value)| key == "page" && value == "streams");
        if !is_streams {
            return (Self::Race, Settings::from_query(query));
        }
        let mut shelf = Shelf::default();
        let mut shared = Vec::new();
        for (key, value) in pairs(query) {
            let name = Some(value.trim_matches('/').to_owned()).filter(|name| !name.is_empty());
            match key.as_str() {
                "search" => shelf.search = value,
                "after" => shelf.after = Some(value).filter(|after| !after.is_empty()),
                "stream" => shelf.stream = name,
                "live" => shelf.technique = value.parse().ok(),
                // `stream` means another thing there.
                LANGUAGE | THEME => shared.push(format!("{key}={}", encode_path(&value))),
                _ => {}
            }
        }
        (
            Self::Streams(shelf),
            Settings::from_query(&shared.join("&")),
        )
    }

    /// The query that leads here with these settings, without the question mark.
    pub fn to_query(&self, settings: &Settings) -> String {
        let Self::Streams(shelf) = self else {
            return settings.to_query();
        };
        let looks = Settings {
            theme: settings.theme,
            language: settings.language,
            ..Settings::default()
        }
        .to_query();
        let technique = shelf.technique.map(|technique| technique.name().to_owned());
        let search = Some(shelf.search.clone()).filter(|search| !search.is_empty());
        let parts = [
            ("search", search),
            ("after", shelf.after.clone()),
            ("stream", shelf.stream.clone()),
            ("live", technique),
        ];
        let mut query = vec!["page=streams".to_owned()];
        query.extend(
            parts
                .into_iter()
                .filter_map(|(key, value)| Some(format!("{key}={}", encode_path(&value?)))),
        );
        query.extend(Some(looks).filter(|looks| !looks.is_empty()));
        query.join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::race::model::settings::{Source, Theme};
    use crate::pages::race::text::Language;

    #[test]
    fn every_place_survives_the_url() {
        let shelf = Shelf {
            search: "a b&c=ü".to_owned(),
            after: Some("logs/z".to_owned()),
            stream: Some("logs/a b?".to_owned()),
            technique: Some(Technique::LongPoll),
        };
        let settings = Settings {
            theme: Theme::Dark,
            language: Some(Language::Korean),
            ..Settings::default()
        };
        for place in [
            Place::Race,
            Place::Streams(Shelf::default()),
            Place::Streams(shelf),
        ] {
            assert_eq!(
                Place::read(&place.to_query(&settings)),
                (place, settings.clone())
            );
        }
    }

    #[test]
    fn a_stream_that_is_looked_at_is_not_the_one_that_is_raced() {
        let (place, settings) = Place::read("?page=streams&stream=logs/a&live=carrier-pigeon");
        assert_eq!(settings.source, Source::Host);
        let shelf = Shelf {
            stream: Some("logs/a".to_owned()),
            ..Shelf::default()
        };
        assert_eq!(place, Place::Streams(shelf));
        let raced = Settings {
            source: Source::Named("b".to_owned()),
            ..Settings::default()
        };
        assert_eq!(place.to_query(&raced), "page=streams&stream=logs/a");
        assert_eq!(Place::read("?stream=b"), (Place::Race, raced));
    }
}
