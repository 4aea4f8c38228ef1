//! Polling on the page: an orange circle.

use tailwater_protocol::Technique;

use super::{Face, Shape};
use crate::app::language::Bilingual;

/// How it looks and what it does.
pub const FACE: Face = Face {
    technique: Technique::Poll,
    label: "Polling",
    shape: Shape::Circle,
    gloss: Bilingual {
        english: "asks every so often",
        korean: "주기마다 묻는다",
    },
    spoken: Bilingual {
        english: "polling",
        korean: "폴링",
    },
    asks: true,
    theory: Bilingual {
        english: "half an interval and the way down; a straight line",
        korean: "주기의 절반과 내려오는 시간 — 곧은 직선",
    },
};
