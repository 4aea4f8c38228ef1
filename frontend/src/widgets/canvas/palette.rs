//! The colours of the drawings, read from the page's CSS custom properties.

use std::borrow::Cow;
use tailwater_protocol::Technique;

use crate::techniques::TECHNIQUES;
use crate::theme::ThemeColour;

/// The colour of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ink {
    /// A technique's own hue.
    Hue(Technique),
    /// Text, and lines that must be seen.
    Text,
    /// Less prominent text; requests and empty responses.
    Soft,
    /// Lifelines, guides, axes.
    Rule,
    /// Faults.
    Danger,
    /// The background: halos, and letters inside shapes.
    Ground,
}

/// One colour per [`Ink`] and the font of the labels, as CSS values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// In the order of [`Technique::ALL`].
    pub hues: [Cow<'static, str>; Technique::COUNT],
    /// See [`Ink::Text`].
    pub text: Cow<'static, str>,
    /// See [`Ink::Soft`].
    pub soft: Cow<'static, str>,
    /// See [`Ink::Rule`].
    pub rule: Cow<'static, str>,
    /// See [`Ink::Danger`].
    pub danger: Cow<'static, str>,
    /// See [`Ink::Ground`].
    pub ground: Cow<'static, str>,
    /// Font families.
    pub font: Cow<'static, str>,
}

const TEXT: ThemeColour = colour("--text", "#1b2127", "#e8ecf0");
const SOFT: ThemeColour = colour("--soft", "#5d6770", "#97a3ae");
const RULE: ThemeColour = colour("--rule", "#c3cad1", "#3b4650");
const DANGER: ThemeColour = colour("--danger", "#c4233b", "#ff6b7d");
const GROUND: ThemeColour = colour("--ground", "#ffffff", "#11161b");
const FONT: ThemeColour = colour("--font", "system-ui, sans-serif", "system-ui, sans-serif");

const fn colour(property: &'static str, light: &'static str, dark: &'static str) -> ThemeColour {
    ThemeColour {
        property,
        light,
        dark,
    }
}

impl Palette {
    /// The light theme of the style sheet.
    pub fn light() -> Self {
        Self::from_values(|colour| Cow::Borrowed(colour.light))
    }

    /// The dark theme of the style sheet.
    pub fn dark() -> Self {
        Self::from_values(|colour| Cow::Borrowed(colour.dark))
    }

    fn from_values(value: impl Fn(&ThemeColour) -> Cow<'static, str>) -> Self {
        Self {
            hues: TECHNIQUES.map(|look| value(&look.hue)),
            text: value(&TEXT),
            soft: value(&SOFT),
            rule: value(&RULE),
            danger: value(&DANGER),
            ground: value(&GROUND),
            font: value(&FONT),
        }
    }

    /// The CSS colour of an ink.
    pub fn colour(&self, ink: Ink) -> &str {
        match ink {
            Ink::Hue(technique) => &self.hues[technique.index()],
            Ink::Text => &self.text,
            Ink::Soft => &self.soft,
            Ink::Rule => &self.rule,
            Ink::Danger => &self.danger,
            Ink::Ground => &self.ground,
        }
    }

    /// The palette that applies to `element`; a property that is not set has its value from [`Palette::light`].
    ///
    /// This computes styles: read it when the theme changes, not with every frame.
    #[cfg(target_arch = "wasm32")]
    pub fn read(element: &web_sys::Element) -> Self {
        let style =
            web_sys::window().and_then(|window| window.get_computed_style(element).ok().flatten());
        Self::from_values(|colour| {
            let set = style
                .as_ref()
                .and_then(|style| style.get_property_value(colour.property).ok());
            match set.as_deref().map(str::trim) {
                None | Some("") => Cow::Borrowed(colour.light),
                Some(set) => Cow::Owned(set.to_owned()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: &str) -> f64 {
        let channel = |from: usize| {
            let value = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// The two values of a custom property in the style sheet.
    fn in_the_style_sheet(property: &str) -> [&'static str; 2] {
        let sheet = include_str!("../../../style/tokens.css");
        let opening = format!("    {property}: light-dark(");
        let (_, values) = sheet.split_once(&opening).unwrap();
        let (values, _) = values.split_once(')').unwrap();
        let (light, dark) = values.split_once(", ").unwrap();
        [light, dark]
    }

    #[test]
    fn drawings_have_the_colours_of_the_style_sheet() {
        let hues = TECHNIQUES.map(|look| look.hue);
        for colour in [TEXT, SOFT, RULE, DANGER, GROUND].iter().chain(&hues) {
            let sheet = in_the_style_sheet(colour.property);
            assert_eq!([colour.light, colour.dark], sheet, "{}", colour.property);
        }
    }

    #[test]
    fn borders_and_texts_have_enough_contrast() {
        for (property, ratio_min) in [
            ("--edge", 3.0),
            ("--soft", 4.5),
            ("--danger", 4.5),
            ("--good", 4.5),
        ] {
            for background in ["--ground", "--raised"] {
                let colours = in_the_style_sheet(property);
                for (colour, behind) in colours.into_iter().zip(in_the_style_sheet(background)) {
                    let ratio = contrast(colour, behind);
                    assert!(ratio >= ratio_min, "{property} on {background}: {ratio:.2}");
                }
            }
        }
    }

    #[test]
    fn every_hue_contrasts_with_both_backgrounds() {
        for theme in [Palette::light(), Palette::dark()] {
            for technique in Technique::ALL {
                let ratio = contrast(theme.colour(Ink::Hue(technique)), &theme.ground);
                assert!(ratio >= 4.5, "{technique} on {}: {ratio:.2}", theme.ground);
            }
            for (ink, least) in [(Ink::Text, 7.0), (Ink::Soft, 4.5), (Ink::Danger, 4.5)] {
                let ratio = contrast(theme.colour(ink), &theme.ground);
                assert!(ratio >= least, "{ink:?} on {}: {ratio:.2}", theme.ground);
            }
        }
    }
}
