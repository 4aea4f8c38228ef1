//! The shape of each technique: circle, square, triangle, diamond, hexagon, alike in area.

use tailwater_protocol::Technique;

const SQUARE: [(f64, f64); 4] = [(-0.87, -0.87), (0.87, -0.87), (0.87, 0.87), (-0.87, 0.87)];
const TRIANGLE: [(f64, f64); 3] = [(0.0, -1.28), (1.18, 0.88), (-1.18, 0.88)];
const DIAMOND: [(f64, f64); 4] = [(0.0, -1.24), (1.24, 0.0), (0.0, 1.24), (-1.24, 0.0)];
const HEXAGON: [(f64, f64); 6] = [
    (-1.09, 0.0),
    (-0.545, -0.944),
    (0.545, -0.944),
    (1.09, 0.0),
    (0.545, 0.944),
    (-0.545, 0.944),
];

/// The corners of the technique's shape around the origin, for radius 1, y downwards; none for the circle.
pub fn corners(technique: Technique) -> &'static [(f64, f64)] {
    match technique {
        Technique::Poll => &[],
        Technique::LongPoll => &SQUARE,
        Technique::Ndjson => &TRIANGLE,
        Technique::Sse => &DIAMOND,
        Technique::Websocket => &HEXAGON,
    }
}

/// How far below the origin a letter of ten pixels sits well in a shape of radius nine.
pub fn letter_drop(technique: Technique) -> f64 {
    if technique == Technique::Ndjson {
        2.0
    } else {
        0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_alike_in_area_and_no_two_are_the_same() {
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
        for technique in Technique::ALL.into_iter().skip(1) {
            let area = area(corners(technique));
            assert!(
                (2.4..3.3).contains(&area),
                "{technique}: {area:.2} beside the circle's 3.14"
            );
        }
        for (index, one) in Technique::ALL.iter().enumerate() {
            assert!(
                Technique::ALL[..index]
                    .iter()
                    .all(|other| corners(*other) != corners(*one)),
                "{one}"
            );
        }
    }
}
