//! Steps on a WebSocket: frames that are sent and received.

use super::{ANSWERS_MAX, SequenceRun};
use crate::recorded::Recorded;
use crate::script::{ScriptFrame, ScriptRequest};

impl SequenceRun {
    pub(super) async fn web_socket(
        &mut self,
        at: usize,
        connection: usize,
        request: &ScriptRequest,
        frames: &[ScriptFrame],
    ) {
        let mut wire = self.wire(connection).await;
        wire.send(&self.fill(&request.bytes())).await;
        let seen = wire.answer(false).await;
        let (is_open, goes_on) = match &seen {
            Recorded::Response(answer) => (answer.status == 101, !answer.closes()),
            _ => (false, false),
        };
        self.record(format!("step {at}"), seen);
        if !is_open {
            self.connections[connection] = goes_on.then_some(wire);
            return;
        }
        let mut greeting = vec![wire.frame().await];
        self.record_frames(at, &mut greeting);
        for frame in frames {
            wire.send(&self.fill(&frame.bytes)).await;
            let mut came = Vec::new();
            while came.len() < frame.answers.unwrap_or(ANSWERS_MAX) {
                came.push(wire.frame().await);
                // A refused append has a response but no data frame.
                let is_refusal =
                    |payload: &[u8]| crate::recorded::find(payload, b"\"problem\":").is_some();
                let goes_on = matches!(came.last(), Some(Recorded::Frame(_, payload))
                    if frame.answers.is_none() || !is_refusal(payload));
                if !goes_on {
                    break;
                }
            }
            let has_ended = came.iter().any(|seen| !matches!(seen, Recorded::Frame(..)));
            self.record_frames(at, &mut came);
            if has_ended {
                return;
            }
        }
    }

    /// Records frames that may arrive in any order, one by one.
    pub(super) fn record_frames(&mut self, at: usize, frames: &mut Vec<Recorded>) {
        frames.iter_mut().for_each(|frame| self.normal.apply(frame));
        frames.sort_by_key(|frame| format!("{frame:?}"));
        frames
            .drain(..)
            .for_each(|frame| self.transcript.push((format!("step {at}"), frame)));
    }
}
