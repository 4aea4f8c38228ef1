//! The distribution of a lane's latencies as a curve: measured and predicted.

use tailwater_protocol::Technique;

use super::race::RaceState;

/// Points `(latency in ms, share of events that took at most as long, 0..=1)`, both ascending.
pub type CurvePoints = Vec<(f64, f64)>;

impl RaceState {
    /// The measured curve of a lane; empty without a sample.
    pub fn measured_curve(&self, technique: Technique) -> CurvePoints {
        in_ms(self.measured(technique).cdf_points(), 1e-3)
    }

    /// The predicted curve of a lane; empty without a prediction.
    pub fn predicted_curve(&self, technique: Technique, now_ms: f64) -> CurvePoints {
        let prediction = self.prediction(technique, now_ms);
        let corners = prediction.map(|prediction| prediction.latency.vertices());
        in_ms(corners.unwrap_or_default(), 1e3)
    }
}

fn in_ms(points: Vec<(f64, f64)>, unit_ms: f64) -> CurvePoints {
    let points = points.into_iter();
    points.map(|(at, share)| (at * unit_ms, share)).collect()
}

/// When a curve, interpolated linearly, reaches a share; its end if it does not.
pub fn time_of(points: &[(f64, f64)], share: f64) -> Option<f64> {
    let after = points
        .partition_point(|(_, reached)| *reached < share)
        .min(points.len().checked_sub(1)?);
    let (ms1, share1) = points[after];
    let (ms0, share0) = points[after.saturating_sub(1)];
    let way = if share1 > share0 {
        ((share - share0) / (share1 - share0)).clamp(0.0, 1.0)
    } else {
        1.0
    };
    Some(ms0 + (ms1 - ms0) * way)
}
