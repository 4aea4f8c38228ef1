//! The relay's counts of one lane since the run began.

use tailwater_protocol::lab::LaneCounts;

/// The relay's counts at the beginning of the run and now, each with the events that had arrived by then.
#[derive(Debug, Clone, Copy, Default)]
pub struct RelayMeter {
    base: Option<(LaneCounts, u64)>,
    now: Option<(LaneCounts, u64)>,
}

impl RelayMeter {
    /// Updates the relay's counts of this lane; `events` had arrived by then.
    ///
    /// Smaller counts than before are those of another listener: the run's bytes begin anew.
    pub fn counted(&mut self, counts: LaneCounts, events: u64) {
        let now = (counts, events);
        let falls = self
            .now
            .is_some_and(|(before, _)| total_bytes(&counts) < total_bytes(&before));
        if falls || self.base.is_none() {
            self.base = Some(now);
        }
        self.now = Some(now);
    }

    /// The relay's counts since the run began; `None` without a relay.
    pub fn counts(&self) -> Option<LaneCounts> {
        let (base, now) = (self.base?.0, self.now?.0);
        Some(minus(now, base))
    }

    /// Events that arrived while the bytes were counted.
    pub fn events(&self) -> Option<u64> {
        self.now?.1.checked_sub(self.base?.1)
    }

    /// Application bytes in both directions per event since the run began, without those that are sent only because the lane
    /// has its own port; `None` without a relay or without events.
    pub fn bytes_per_event(&self) -> Option<f64> {
        let own = |counts| total_bytes(&counts).saturating_sub(counts.cross_origin_bytes);
        self.per_event(own)
    }

    /// Bytes per event that are sent only because the lane has its own port.
    pub fn cross_origin_per_event(&self) -> Option<f64> {
        self.per_event(|counts| counts.cross_origin_bytes)
    }

    fn per_event(&self, bytes: impl FnOnce(LaneCounts) -> u64) -> Option<f64> {
        let (events, counts) = (self.events()?, self.counts()?);
        (events > 0).then(|| bytes(counts) as f64 / events as f64)
    }
}

/// All application bytes of a lane, both directions.
pub fn total_bytes(counts: &LaneCounts) -> u64 {
    counts.request_head_bytes
        + counts.request_body_bytes
        + counts.request_framing_bytes
        + counts.response_head_bytes
        + counts.response_body_bytes
        + counts.response_framing_bytes
}

/// The increase since `base`; saturating, as the counts of a new listener are smaller.
fn minus(now: LaneCounts, base: LaneCounts) -> LaneCounts {
    LaneCounts {
        connections: now.connections.saturating_sub(base.connections),
        connections_open: now.connections_open,
        requests: now.requests.saturating_sub(base.requests),
        responses: now.responses.saturating_sub(base.responses),
        empty_responses: now.empty_responses.saturating_sub(base.empty_responses),
        request_head_bytes: now
            .request_head_bytes
            .saturating_sub(base.request_head_bytes),
        request_body_bytes: now
            .request_body_bytes
            .saturating_sub(base.request_body_bytes),
        request_framing_bytes: now
            .request_framing_bytes
            .saturating_sub(base.request_framing_bytes),
        response_head_bytes: now
            .response_head_bytes
            .saturating_sub(base.response_head_bytes),
        response_body_bytes: now
            .response_body_bytes
            .saturating_sub(base.response_body_bytes),
        response_framing_bytes: now
            .response_framing_bytes
            .saturating_sub(base.response_framing_bytes),
        cross_origin_bytes: now
            .cross_origin_bytes
            .saturating_sub(base.cross_origin_bytes),
    }
}
