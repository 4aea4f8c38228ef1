//! Light, dark, or what the system says.

/// Light, dark, or what the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// What the system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
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
