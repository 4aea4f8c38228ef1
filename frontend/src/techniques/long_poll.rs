//! Long-polling on the page: a blue square.

use tailwater_protocol::Technique;

use super::{Face, Shape};
use crate::app::language::Bilingual;

/// How it looks and what it does.
pub const FACE: Face = Face {
    technique: Technique::LongPoll,
    label: "Long-polling",
    shape: Shape::Square,
    gloss: Bilingual {
        english: "asks, and the question is held",
        korean: "묻고, 답이 생길 때까지 기다린다",
    },
    // The hyphen does not break: it stands in sentences that wrap.
    spoken: Bilingual {
        english: "long\u{2011}polling",
        korean: "롱 폴링",
    },
    asks: true,
    theory: Bilingual {
        english: "the way down; events that fall into the re-arm gap wait for it",
        korean: "내려오는 시간 — 다시 묻는 틈에 든 이벤트만 그만큼 기다린다",
    },
};
