//! HTTP streaming as lines of JSON on the page: a green triangle.

use tailwater_protocol::Technique;

use super::{Face, Shape};
use crate::app::language::Bilingual;

/// How it looks and what it does.
pub const FACE: Face = Face {
    technique: Technique::Ndjson,
    label: "NDJSON",
    shape: Shape::Triangle,
    gloss: Bilingual {
        english: "asks once; lines that never end",
        korean: "한 번 묻고, 끝나지 않는 줄을 받는다",
    },
    spoken: Bilingual {
        english: "NDJSON",
        korean: "NDJSON",
    },
    asks: false,
    theory: Bilingual {
        english: "the way down, every time",
        korean: "늘 내려오는 시간만큼",
    },
};
