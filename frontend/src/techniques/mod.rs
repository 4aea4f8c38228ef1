//! How each technique looks and is explained on the page: one file each, the same names as in the server.

pub mod long_poll;
pub mod ndjson;
pub mod poll;
pub mod sse;
pub mod websocket;

use tailwater_protocol::Technique;

use crate::app::language::Bilingual;

/// A shape that tells a technique apart without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Polling.
    Circle,
    /// Long-polling.
    Square,
    /// NDJSON streaming.
    Triangle,
    /// Server-sent events.
    Diamond,
    /// WebSocket.
    Hexagon,
}

impl Shape {
    /// The shape as points of an SVG polygon in a box of 16 by 16; `None` for the circle.
    pub fn points(self) -> Option<&'static str> {
        match self {
            Self::Circle => None,
            Self::Square => Some("2,2 14,2 14,14 2,14"),
            Self::Triangle => Some("8,1 15.4,14.4 0.6,14.4"),
            Self::Diamond => Some("8,0.4 15.6,8 8,15.6 0.4,8"),
            Self::Hexagon => Some("4.2,1.4 11.8,1.4 15.6,8 11.8,14.6 4.2,14.6 0.4,8"),
        }
    }
}

/// What a technique looks like and what it does, in few words.
#[derive(Debug, Clone, Copy)]
pub struct Face {
    /// Which technique.
    pub technique: Technique,
    /// Its name as a person reads it; the same in every language.
    pub label: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// What it does, beside its name.
    pub gloss: Bilingual,
    /// What it is called in a sentence.
    pub spoken: Bilingual,
    /// Whether it asks again and again, so that answers without news can be counted.
    pub asks: bool,
    /// What theory says of its latency, in a line.
    pub theory: Bilingual,
}

/// The face of a technique.
pub fn face(technique: Technique) -> &'static Face {
    match technique {
        Technique::Poll => &poll::FACE,
        Technique::LongPoll => &long_poll::FACE,
        Technique::Ndjson => &ndjson::FACE,
        Technique::Sse => &sse::FACE,
        Technique::Websocket => &websocket::FACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_technique_has_its_own_face() {
        for (index, technique) in Technique::ALL.into_iter().enumerate() {
            assert_eq!(face(technique).technique, technique);
            for other in &Technique::ALL[..index] {
                assert_ne!(face(technique).shape, face(*other).shape);
                assert_ne!(face(technique).label, face(*other).label);
            }
        }
    }
}
