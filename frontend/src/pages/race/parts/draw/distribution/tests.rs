//! Tests of the distribution with few and with many samples, on both scales.

use super::*;
use crate::widgets::canvas::scene::Series;

fn uniform(samples: u32, most_ms: f64) -> CurvePoints {
    (1..=samples)
        .map(|n| f64::from(n) / f64::from(samples))
        .map(|share| (share * most_ms, share))
        .collect()
}

fn chart(curves: Vec<Curve>) -> DistributionChart {
    DistributionChart {
        curves,
        ..DistributionChart::default()
    }
}

fn series(scene: &Scene, wanted: impl Fn(&Series) -> bool) -> Vec<Series> {
    scene
        .series()
        .filter(|series| wanted(series))
        .cloned()
        .collect()
}

#[test]
fn few_samples_are_dots_and_many_a_line() {
    for (samples, dots) in [(199_u32, true), (200, false)] {
        let curve = Curve {
            technique: Technique::Poll,
            measured: uniform(samples, 1_000.0),
            kind: PointKind::of_samples(u64::from(samples), PointKind::Buckets),
            theory: Vec::new(),
        };
        let mut distribution = chart(vec![curve]);
        let scene = distribution.layout(Scale::Linear, (600.0, 200.0), Language::English);
        assert_eq!(
            series(scene, |series| series.style.kind == SeriesKind::Path).is_empty(),
            dots,
            "{samples} samples"
        );
    }
}

#[test]
fn quantiles_are_joined_by_lines() {
    let curve = Curve {
        technique: Technique::Poll,
        measured: vec![(10.0, 0.0), (20.0, 0.5), (30.0, 1.0)],
        kind: PointKind::Quantiles,
        theory: Vec::new(),
    };
    let mut distribution = chart(vec![curve]);
    let scene = distribution.layout(Scale::Linear, (600.0, 200.0), Language::English);
    let paths = series(scene, |series| series.style.kind == SeriesKind::Path);
    let [_, a, b, c] = paths[0].items[..] else {
        panic!("expected four points, got {paths:?}")
    };
    assert!(b[0] - a[0] > 1.0 && (c[0] - b[0] - (b[0] - a[0])).abs() < 1e-9);
    assert!(a[1] - b[1] > 1.0 && (b[1] - c[1] - (a[1] - b[1])).abs() < 1e-9);
}

#[test]
fn theory_is_dashed_and_a_uniform_one_is_a_straight_line() {
    let theory = vec![(0.0, 0.0), (500.0, 0.5), (1_000.0, 1.0)];
    let curve = Curve {
        technique: Technique::Poll,
        measured: Vec::new(),
        kind: PointKind::Buckets,
        theory,
    };
    let mut distribution = chart(vec![curve]);
    let scene = distribution.layout(Scale::Linear, (600.0, 200.0), Language::English);
    let dashed = series(scene, |series| series.style.dash == Dash::Dashed);
    let [_, a, b, c, ..] = dashed[0].items[..] else {
        panic!("expected four points, got {dashed:?}")
    };
    assert!(((b[1] - a[1]) / (b[0] - a[0]) - (c[1] - b[1]) / (c[0] - b[0])).abs() < 1e-9);
}

#[test]
fn everything_stands_inside_the_drawing_on_both_scales() {
    let theory = vec![(0.001, 0.0), (90_000.0, 1.0)];
    let curves = vec![
        Curve {
            technique: Technique::Poll,
            measured: uniform(500, 5_000.0),
            kind: PointKind::Buckets,
            theory,
        },
        Curve {
            technique: Technique::Sse,
            measured: uniform(500, 0.05),
            kind: PointKind::Buckets,
            theory: Vec::new(),
        },
    ];
    for (scale, width) in [
        (Scale::Linear, 320.0),
        (Scale::Log, 320.0),
        (Scale::Linear, 900.0),
        (Scale::Log, 900.0),
    ] {
        let mut distribution = chart(curves.clone());
        let scene = distribution.layout(scale, (width, 180.0), Language::Korean);
        for [x, y, ..] in scene.series().flat_map(|series| &series.items) {
            assert!(
                (0.0..=width).contains(x) && (0.0..=180.0).contains(y),
                "{x}, {y} at {width} {scale:?}"
            );
        }
        let labels = scene
            .labels()
            .iter()
            .filter(|label| label.align == Align::Middle)
            .collect::<Vec<_>>();
        assert!(
            labels.len() >= 3,
            "{} labels at {width} {scale:?}",
            labels.len()
        );
        assert!(
            labels
                .windows(2)
                .all(|pair| (pair[1].x - pair[0].x).abs() >= 36.0),
            "labels overlap: {labels:?}"
        );
    }
}

#[test]
fn a_uniform_theory_bends_on_the_logarithmic_scale() {
    let theory = vec![(10.0, 0.0), (1_010.0, 1.0)];
    let curve = Curve {
        technique: Technique::Poll,
        measured: Vec::new(),
        kind: PointKind::Buckets,
        theory,
    };
    let mut distribution = chart(vec![curve]);
    let scene = distribution.layout(Scale::Log, (600.0, 200.0), Language::English);
    let points = series(scene, |series| series.style.dash == Dash::Dashed)[0]
        .items
        .clone();
    let ([x0, y0, ..], [x1, y1, ..]) = (points[0], points[points.len() - 1]);
    let middle = points.iter().min_by(|a, b| {
        (a[0] - (x0 + x1) / 2.0)
            .abs()
            .total_cmp(&(b[0] - (x0 + x1) / 2.0).abs())
    });
    let climbed = (y0 - middle.unwrap()[1]) / (y0 - y1);
    assert!(
        (0.05..0.15).contains(&climbed),
        "at 100 ms a tenth has arrived: {climbed}"
    );
}

#[test]
fn the_axis_range_is_stable_while_extremes_vary() {
    let range = LatencyRange::default().keep((2.0, 1_000.0));
    assert_eq!((range.least_ms, range.most_ms), (1.0, 1_100.0));
    for wanted in [(1.0, 1_099.0), (15.0, 600.0), (2.0, 1_100.0)] {
        assert_eq!(range.keep(wanted), range, "{wanted:?}");
    }
    assert!(range.keep((2.0, 1_101.0)).most_ms > 1_101.0);
    assert!(range.keep((2.0, 200.0)).most_ms < 300.0);
    assert!(range.keep((0.5, 1_000.0)).least_ms < 0.5);
    assert!(range.keep((50.0, 1_000.0)).least_ms > 5.0);
}

#[test]
fn the_latency_at_a_place_is_the_one_that_is_drawn_there() {
    let curve = Curve {
        technique: Technique::Poll,
        measured: uniform(500, 900.0),
        kind: PointKind::Buckets,
        theory: Vec::new(),
    };
    for scale in [Scale::Linear, Scale::Log] {
        let mut chart = chart(vec![curve.clone()]);
        chart.layout(scale, (600.0, 200.0), Language::English);
        let plot = Plot::new(scale, chart.range, 600.0, 200.0);
        let (left, right) = axis_ends(600.0);
        for place in [0.0, 0.25, 0.5, 1.0] {
            let x = plot.x(chart.latency_at(place));
            let expected = left + place * (right - left);
            assert!((x - expected).abs() < 1e-6, "{scale:?} at {place}: {x}");
        }
    }
}
