//! Themes: light, dark, or the system's setting.

/// Light, dark, or the system's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// The system's setting.
    #[default]
    Auto,
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
    Dark,
}

impl Theme {
    /// All choices, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The name in the URL and on `<html data-theme>`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// A value of the style sheet in both themes, by its custom property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemeColour {
    /// The custom property's name.
    pub property: &'static str,
    /// Its value in the light theme, as in `tokens.css`.
    pub light: &'static str,
    /// Its value in the dark theme.
    pub dark: &'static str,
}
