//! The languages of the dashboard.

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// 한국어.
    Korean,
}

impl Language {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// The tag in the URL and on `<html lang>`.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }

    /// The language's name in the language itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Korean => "한국어",
        }
    }

    /// The language of a tag; regions are ignored (`ko-KR` is Korean).
    pub fn from_name(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|language| language.name().eq_ignore_ascii_case(primary))
    }

    /// The first supported language among these tags; English if there is none.
    pub fn first_of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        tags.into_iter()
            .find_map(Self::from_name)
            .unwrap_or_default()
    }
}

/// A short text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bilingual {
    /// In English.
    pub english: &'static str,
    /// In Korean.
    pub korean: &'static str,
}

impl Bilingual {
    /// A name that is the same in both languages.
    pub const fn same(text: &'static str) -> Self {
        Self {
            english: text,
            korean: text,
        }
    }

    /// The text in `language`.
    pub fn in_language(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Korean => self.korean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_language_is_chosen() {
        assert_eq!(
            Language::first_of(["fr-FR", "ko-KR", "en"]),
            Language::Korean
        );
        assert_eq!(Language::first_of(["de"]), Language::English);
        assert_eq!(Language::from_name("KO"), Some(Language::Korean));
    }
}
