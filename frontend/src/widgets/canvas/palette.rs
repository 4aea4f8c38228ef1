//! The colours of the drawings, read from the page's CSS custom properties.

use std::borrow::Cow;
use tailwater_protocol::Technique;

/// What a series is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ink {
    /// A technique's own hue.
    Hue(Technique),
    /// Text, and lines that must be seen.
    Text,
    /// Text that steps back; requests and answers without news.
    Soft,
    /// Life lines, guides, axes.
    Rule,
    /// Faults.
    Danger,
    /// The ground: halos and letters inside shapes.
    Ground,
}

/// One colour per [`Ink`] and the font of the few labels, as CSS understands them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// In the order of [`Technique::ALL`].
    pub hues: [Cow<'static, str>; 5],
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

/// The custom properties a theme is read from: the five hues, then text, soft, rule, danger, ground, font.
pub const PROPERTIES: [&str; 11] = [
    "--hue-poll",
    "--hue-long-poll",
    "--hue-ndjson",
    "--hue-sse",
    "--hue-websocket",
    "--text",
    "--soft",
    "--rule",
    "--danger",
    "--ground",
    "--font",
];

const FONT: &str = "system-ui, sans-serif";
const LIGHT: [&str; 11] = [
    "#c25400", "#1f55c4", "#00805a", "#8e3fa6", "#0b86b3", "#1b2127", "#69737d", "#c3cad1",
    "#c4233b", "#ffffff", FONT,
];
const DARK: [&str; 11] = [
    "#ff9d4d", "#7ba6ff", "#3fcf9b", "#d493ee", "#58c8f2", "#e8ecf0", "#8d99a5", "#3b4650",
    "#ff6b7d", "#11161b", FONT,
];

impl Theme {
    /// The light theme as the style sheet has it.
    pub fn light() -> Self {
        Self::from_values(LIGHT.map(Cow::Borrowed))
    }

    /// The dark theme as the style sheet has it.
    pub fn dark() -> Self {
        Self::from_values(DARK.map(Cow::Borrowed))
    }

    /// A theme from the values of [`PROPERTIES`], in their order.
    pub fn from_values(values: [Cow<'static, str>; 11]) -> Self {
        let [
            poll,
            long_poll,
            ndjson,
            sse,
            websocket,
            text,
            soft,
            rule,
            danger,
            ground,
            font,
        ] = values;
        Self {
            hues: [poll, long_poll, ndjson, sse, websocket],
            text,
            soft,
            rule,
            danger,
            ground,
            font,
        }
    }

    /// The CSS colour of an ink.
    pub fn colour(&self, ink: Ink) -> &str {
        match ink {
            Ink::Hue(technique) => match technique {
                Technique::Poll => &self.hues[0],
                Technique::LongPoll => &self.hues[1],
                Technique::Ndjson => &self.hues[2],
                Technique::Sse => &self.hues[3],
                Technique::Websocket => &self.hues[4],
            },
            Ink::Text => &self.text,
            Ink::Soft => &self.soft,
            Ink::Rule => &self.rule,
            Ink::Danger => &self.danger,
            Ink::Ground => &self.ground,
        }
    }

    /// The theme that holds at `element`; a property that is not set keeps its value from [`Theme::light`].
    ///
    /// Costs a style computation: read it when the theme changes, not with every frame.
    #[cfg(target_arch = "wasm32")]
    pub fn read(element: &web_sys::Element) -> Self {
        let style =
            web_sys::window().and_then(|window| window.get_computed_style(element).ok().flatten());
        let value = |index: usize| {
            let set = style
                .as_ref()
                .and_then(|style| style.get_property_value(PROPERTIES[index]).ok());
            match set.as_deref().map(str::trim) {
                None | Some("") => Cow::Borrowed(LIGHT[index]),
                Some(set) => Cow::Owned(set.to_owned()),
            }
        };
        Self::from_values(std::array::from_fn(value))
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

    #[test]
    fn every_hue_stands_out_from_both_grounds() {
        for theme in [Theme::light(), Theme::dark()] {
            for technique in Technique::ALL {
                let ratio = contrast(theme.colour(Ink::Hue(technique)), &theme.ground);
                assert!(ratio >= 3.0, "{technique} on {}: {ratio:.2}", theme.ground);
            }
            for (ink, least) in [(Ink::Text, 7.0), (Ink::Soft, 4.5), (Ink::Danger, 3.0)] {
                let ratio = contrast(theme.colour(ink), &theme.ground);
                assert!(ratio >= least, "{ink:?} on {}: {ratio:.2}", theme.ground);
            }
        }
    }
}
