//! Server-sent events on the page: a purple diamond.

use tailwater_protocol::Technique;

use super::{Face, Shape};
use crate::app::language::Bilingual;

/// How it looks and what it does.
pub const FACE: Face = Face {
    technique: Technique::Sse,
    label: "SSE",
    shape: Shape::Diamond,
    gloss: Bilingual {
        english: "asks once; events that never end",
        korean: "한 번 묻고, 끝나지 않는 이벤트를 받는다",
    },
    spoken: Bilingual {
        english: "SSE",
        korean: "SSE",
    },
    asks: false,
    theory: Bilingual {
        english: "the way down, every time",
        korean: "늘 내려오는 시간만큼",
    },
};
