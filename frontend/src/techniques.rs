//! The appearance and the description of each technique: one table for all pages.

use tailwater_protocol::Technique;

use crate::language::Bilingual;
use crate::theme::ThemeColour;

/// The appearance of a technique, and short texts about it.
#[derive(Debug, Clone, Copy)]
pub struct TechniqueLook {
    /// Which technique.
    pub technique: Technique,
    /// Its name as a label.
    pub label: Bilingual,
    /// Its shape, which contains its letter.
    pub shape: Shape,
    /// Its colour.
    pub hue: ThemeColour,
    /// What it does; shown beside its name.
    pub description: Bilingual,
    /// Its name within a sentence.
    pub name_in_sentence: Bilingual,
    /// The latency that theory predicts, in one line.
    pub theory: Bilingual,
    /// Height of its tag beside its curve in a distribution, as a share of the height; different for each technique, so that
    /// tags do not overlap.
    pub tag_share: f64,
}

/// In the order of [`Technique::ALL`].
pub const TECHNIQUES: [TechniqueLook; Technique::COUNT] = [
    TechniqueLook {
        technique: Technique::Poll,
        label: Bilingual::same("Polling"),
        shape: Shape::Circle,
        hue: ThemeColour {
            property: "--hue-poll",
            light: "#c25400",
            dark: "#ff9d4d",
        },
        description: Bilingual {
            english: "sends a request at a fixed interval",
            korean: "일정 주기로 요청합니다",
        },
        name_in_sentence: Bilingual {
            english: "polling",
            korean: "Polling",
        },
        theory: Bilingual {
            english: "half a poll interval plus the transit to the client; the distribution is a straight line",
            korean: "지연은 평균적으로 주기의 절반에 서버에서 클라이언트까지의 전달 시간을 더한 값이며, 누적 분포는 직선입니다",
        },
        tag_share: 0.6,
    },
    TechniqueLook {
        technique: Technique::LongPoll,
        label: Bilingual {
            english: "Long-polling",
            korean: "Long Polling",
        },
        shape: Shape::Square,
        hue: ThemeColour {
            property: "--hue-long-poll",
            light: "#1f55c4",
            dark: "#7ba6ff",
        },
        description: Bilingual {
            english: "sends a request, which the server holds until there is data",
            korean: "요청해 두고, 이벤트가 생길 때까지 응답을 기다립니다",
        },
        // The hyphen and the space do not break, as sentences wrap.
        name_in_sentence: Bilingual {
            english: "long\u{2011}polling",
            korean: "Long\u{a0}Polling",
        },
        theory: Bilingual {
            english: "the transit to the client; an event between two requests waits for the next one",
            korean: "지연은 서버에서 클라이언트까지의 전달 시간이며, 다음 요청이 도착하기 전에 생긴 이벤트는 그 요청을 기다립니다",
        },
        tag_share: 0.84,
    },
    TechniqueLook {
        technique: Technique::Ndjson,
        label: Bilingual::same("NDJSON"),
        shape: Shape::Triangle,
        hue: ThemeColour {
            property: "--hue-ndjson",
            light: "#00805a",
            dark: "#3fcf9b",
        },
        description: Bilingual {
            english: "streaming: one request; the response is an endless series of lines",
            korean: "Streaming: 한 번 요청하고, 끊기지 않는 응답을 한 줄씩 받습니다",
        },
        name_in_sentence: Bilingual::same("NDJSON"),
        theory: Bilingual {
            english: "always the transit to the client",
            korean: "지연은 항상 서버에서 클라이언트까지의 전달 시간입니다",
        },
        tag_share: 0.45,
    },
    TechniqueLook {
        technique: Technique::Sse,
        label: Bilingual::same("SSE"),
        shape: Shape::Diamond,
        hue: ThemeColour {
            property: "--hue-sse",
            light: "#8e3fa6",
            dark: "#d493ee",
        },
        description: Bilingual {
            english: "streaming: one request; the response is an endless series of events",
            korean: "Streaming: 한 번 요청하고, 끊기지 않는 응답을 이벤트로 받습니다",
        },
        name_in_sentence: Bilingual::same("SSE"),
        theory: Bilingual {
            english: "always the transit to the client",
            korean: "지연은 항상 서버에서 클라이언트까지의 전달 시간입니다",
        },
        tag_share: 0.3,
    },
    TechniqueLook {
        technique: Technique::Websocket,
        label: Bilingual::same("WebSocket"),
        shape: Shape::Hexagon,
        hue: ThemeColour {
            property: "--hue-websocket",
            light: "#0a7aa3",
            dark: "#58c8f2",
        },
        description: Bilingual {
            english: "upgrades the connection; both sides can send",
            korean: "연결을 업그레이드해 양방향으로 주고받습니다",
        },
        name_in_sentence: Bilingual::same("WebSocket"),
        theory: Bilingual {
            english: "always the transit to the client",
            korean: "지연은 항상 서버에서 클라이언트까지의 전달 시간입니다",
        },
        tag_share: 0.15,
    },
];

/// The row of a technique.
pub fn look(technique: Technique) -> &'static TechniqueLook {
    const ROWS: &[TechniqueLook; Technique::COUNT] = &TECHNIQUES;
    &ROWS[technique.index()]
}

/// A shape that identifies a technique without colour; all have similar areas.
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
    /// The corners around the origin, for radius 1, y downwards; none for the circle.
    pub fn corners(self) -> &'static [(f64, f64)] {
        match self {
            Self::Circle => &[],
            Self::Square => &[(-0.87, -0.87), (0.87, -0.87), (0.87, 0.87), (-0.87, 0.87)],
            Self::Triangle => &[(0.0, -1.28), (1.18, 0.88), (-1.18, 0.88)],
            Self::Diamond => &[(0.0, -1.24), (1.24, 0.0), (0.0, 1.24), (-1.24, 0.0)],
            Self::Hexagon => &[
                (-1.09, 0.0),
                (-0.545, -0.944),
                (0.545, -0.944),
                (1.09, 0.0),
                (0.545, 0.944),
                (-0.545, 0.944),
            ],
        }
    }

    /// Distance of the middle of a letter below the origin, in a shape of radius 9.
    pub fn letter_drop(self) -> f64 {
        match self {
            Self::Triangle => 2.0,
            Self::Circle | Self::Square | Self::Diamond | Self::Hexagon => 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_protocol::TechniqueKind;

    #[test]
    fn every_technique_has_a_row_of_its_own() {
        for (index, technique) in Technique::ALL.into_iter().enumerate() {
            assert_eq!(technique.index(), index);
            assert_eq!(look(technique).technique, technique);
            for other in &TECHNIQUES[..index] {
                assert_ne!(look(technique).shape, other.shape);
                assert_ne!(look(technique).label, other.label);
                assert_ne!(look(technique).hue, other.hue);
            }
        }
    }

    #[test]
    fn ndjson_and_sse_are_called_streaming() {
        for row in &TECHNIQUES {
            let is_streaming = row.technique.kind() == TechniqueKind::Streaming;
            let Bilingual { english, korean } = row.description;
            assert_eq!(english.starts_with("streaming: "), is_streaming);
            assert_eq!(korean.starts_with("Streaming: "), is_streaming);
        }
    }

    #[test]
    fn the_shapes_have_similar_areas() {
        let area = |corners: &[(f64, f64)]| {
            let next = corners.iter().cycle().skip(1);
            corners
                .iter()
                .zip(next)
                .map(|((x0, y0), (x1, y1))| x0 * y1 - x1 * y0)
                .sum::<f64>()
                .abs()
                / 2.0
        };
        for row in TECHNIQUES.iter().filter(|row| row.shape != Shape::Circle) {
            let area = area(row.shape.corners());
            assert!(
                (2.4..3.3).contains(&area),
                "{}: {area:.2} beside the circle's 3.14",
                row.label.english
            );
        }
    }
}
