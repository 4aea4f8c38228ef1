//! WebSocket on the page: a sky-blue hexagon.

use tailwater_protocol::Technique;

use super::{Face, Shape};
use crate::app::language::Bilingual;

/// How it looks and what it does.
pub const FACE: Face = Face {
    technique: Technique::Websocket,
    label: "WebSocket",
    shape: Shape::Hexagon,
    gloss: Bilingual {
        english: "upgrades; both sides may speak",
        korean: "연결을 바꿔 양쪽이 말한다",
    },
    spoken: Bilingual {
        english: "WebSocket",
        korean: "WebSocket",
    },
    asks: false,
    theory: Bilingual {
        english: "the way down, every time",
        korean: "늘 내려오는 시간만큼",
    },
};
