//! A latency distribution made of atoms and uniform pieces, as the theory of the techniques uses it.

use std::time::Duration;

use crate::ascending;

/// One piece: `share` of the events, spread evenly over `from_s..=to_s`; an atom when both are equal.
#[derive(Debug, Clone, Copy, PartialEq)]
struct UniformPiece {
    share: f64,
    from_s: f64,
    to_s: f64,
}

impl UniformPiece {
    /// Share of all events that belong to this piece and have at most the latency `latency_s`.
    fn below(&self, latency_s: f64) -> f64 {
        if latency_s >= self.to_s {
            self.share
        } else if latency_s < self.from_s {
            0.0
        } else {
            self.share * (latency_s - self.from_s) / (self.to_s - self.from_s)
        }
    }
}

/// The distribution of latencies, as shares that add up to 1.
///
/// Polling is one uniform piece (a straight line), long-polling an atom and a uniform piece, streaming an atom (a step).
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyDistribution {
    pieces: Vec<UniformPiece>,
}

impl LatencyDistribution {
    /// All events have the latency `latency_s`, in seconds.
    pub fn atom(latency_s: f64) -> Self {
        Self::uniform(latency_s, latency_s)
    }

    /// Latencies are uniform from `from_s` to `to_s`, in seconds.
    pub fn uniform(from_s: f64, to_s: f64) -> Self {
        Self {
            pieces: vec![UniformPiece {
                share: 1.0,
                from_s,
                to_s: to_s.max(from_s),
            }],
        }
    }

    /// `share` of the events from `of`, the rest from `self`.
    #[must_use]
    pub fn mixed(mut self, share: f64, of: Self) -> Self {
        let share = share.clamp(0.0, 1.0);
        self.pieces
            .iter_mut()
            .for_each(|piece| piece.share *= 1.0 - share);
        self.pieces
            .extend(of.pieces.into_iter().map(|piece| UniformPiece {
                share: piece.share * share,
                ..piece
            }));
        self.pieces.retain(|piece| piece.share > 0.0);
        self
    }

    /// Each of `latencies_s` (seconds) with the same share; an atom at zero if it is empty.
    pub fn of_samples(latencies_s: &[f64]) -> Self {
        if latencies_s.is_empty() {
            return Self::atom(0.0);
        }
        let share = 1.0 / latencies_s.len() as f64;
        Self {
            pieces: latencies_s
                .iter()
                .map(|&at| UniformPiece {
                    share,
                    from_s: at,
                    to_s: at,
                })
                .collect(),
        }
    }

    /// Share of events with at most this latency, 0 to 1.
    pub fn cdf(&self, latency: Duration) -> f64 {
        self.cdf_s(latency.as_secs_f64())
    }

    /// [`LatencyDistribution::cdf`] for a latency in seconds; 0 if it is negative.
    pub fn cdf_s(&self, latency_s: f64) -> f64 {
        self.pieces
            .iter()
            .map(|piece| piece.below(latency_s))
            .sum::<f64>()
            .min(1.0)
    }

    /// The latency that `share` (0 to 1) of the events do not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_secs_f64(self.quantile_s(share).max(0.0))
    }

    /// [`LatencyDistribution::quantile`] in seconds.
    pub fn quantile_s(&self, share: f64) -> f64 {
        let vertices = self.vertices();
        let Some(&(first, _)) = vertices.first() else {
            return 0.0;
        };
        let mut before = (first, 0.0);
        for &(at, reached) in &vertices {
            if reached >= share {
                let rise = reached - before.1;
                let part = if rise > 0.0 {
                    ((share - before.1) / rise).clamp(0.0, 1.0)
                } else {
                    0.0
                };
                return before.0 + (at - before.0) * part;
            }
            before = (at, reached);
        }
        before.0
    }

    /// Mean latency in seconds.
    pub fn mean_s(&self) -> f64 {
        self.pieces
            .iter()
            .map(|piece| piece.share * (piece.from_s + piece.to_s) / 2.0)
            .sum()
    }

    /// Standard deviation in seconds.
    pub fn deviation_s(&self) -> f64 {
        let mean = self.mean_s();
        let squares: f64 = self
            .pieces
            .iter()
            .map(|piece| {
                let centre = (piece.from_s + piece.to_s) / 2.0 - mean;
                let width = piece.to_s - piece.from_s;
                piece.share * (centre * centre + width * width / 12.0)
            })
            .sum();
        squares.max(0.0).sqrt()
    }

    /// The largest latency in seconds.
    pub fn max_s(&self) -> f64 {
        self.pieces
            .iter()
            .map(|piece| piece.to_s)
            .fold(0.0, f64::max)
    }

    /// The vertices `(latency in seconds, share)` of the cumulative curve, in ascending order.
    ///
    /// Straight lines between them are exactly the curve; a step is two vertices with the same latency.
    pub fn vertices(&self) -> Vec<(f64, f64)> {
        let edges = self.pieces.iter();
        let mut edges = ascending(edges.flat_map(|piece| [piece.from_s, piece.to_s]));
        edges.dedup();
        let mut corners = Vec::with_capacity(edges.len() * 2);
        for edge in edges {
            let atoms: f64 = self
                .pieces
                .iter()
                .filter(|piece| piece.from_s == edge && piece.to_s == edge)
                .map(|piece| piece.share)
                .sum();
            let reached = self.cdf_s(edge);
            corners.push((edge, (reached - atoms).max(0.0)));
            if atoms > 0.0 {
                corners.push((edge, reached));
            }
        }
        corners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atom_and_a_ramp_have_the_quantiles_of_their_curve() {
        let curve =
            LatencyDistribution::atom(0.05).mixed(0.4, LatencyDistribution::uniform(0.05, 0.15));
        assert!((curve.cdf_s(0.05) - 0.6).abs() < 1e-12);
        assert!((curve.cdf_s(0.1) - 0.8).abs() < 1e-12);
        assert!((curve.quantile_s(0.5) - 0.05).abs() < 1e-12);
        assert!((curve.quantile_s(0.8) - 0.1).abs() < 1e-12);
        assert!((curve.mean_s() - (0.6 * 0.05 + 0.4 * 0.1)).abs() < 1e-12);
        assert_eq!(curve.vertices().len(), 3);
        assert_eq!(curve.cdf_s(0.049), 0.0);
        assert!((curve.max_s() - 0.15).abs() < 1e-12);
    }

    #[test]
    fn quantile_inverts_the_curve_wherever_it_rises() {
        let curve = LatencyDistribution::uniform(0.02, 1.02)
            .mixed(0.25, LatencyDistribution::uniform(0.5, 3.0));
        for step in 1..100 {
            let share = f64::from(step) / 100.0;
            assert!(
                (curve.cdf_s(curve.quantile_s(share)) - share).abs() < 1e-9,
                "{share}"
            );
        }
    }

    #[test]
    fn a_uniform_part_deviates_by_width_over_root_twelve() {
        assert!(
            (LatencyDistribution::uniform(0.0, 1.0).deviation_s() - 1.0 / 12f64.sqrt()).abs()
                < 1e-12
        );
    }
}
