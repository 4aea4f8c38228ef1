//! Steps with reads that wait (long-polls and live responses) while another connection appends.

use super::SequenceRun;
use crate::recorded::{Recorded, RecordedResponse, RecordingConnection};
use crate::script::ScriptRequest;
use std::time::Instant;

impl SequenceRun {
    /// Waits until all long-polls on `wires` count as readers, or have a response.
    async fn until_waiting(&mut self, wires: &mut [(usize, RecordingConnection)]) {
        let begun = Instant::now();
        while begun.elapsed() < self.deadline {
            let waiting = self.readers().await;
            let answered = wires
                .iter_mut()
                .filter_map(|(_, wire)| wire.has_answer().then_some(()))
                .count();
            if waiting + answered >= wires.len() {
                return;
            }
        }
    }

    /// Sends the requests of readers, each on its connection.
    async fn send_reads(
        &mut self,
        readers: &[(usize, ScriptRequest)],
    ) -> Vec<(usize, RecordingConnection)> {
        let mut wires = Vec::new();
        for (connection, request) in readers {
            let mut wire = self.wire(*connection).await;
            // The body is sent once the server has seen the head.
            let (bytes, body) = (self.fill(&request.bytes()), self.fill(&request.body));
            let cuts = if body.is_empty() {
                Vec::new()
            } else {
                vec![bytes.len() - body.len()]
            };
            self.send_cut(&mut wire, &bytes, &cuts).await;
            wires.push((*connection, wire));
        }
        wires
    }

    pub(super) async fn follow(
        &mut self,
        at: usize,
        readers: &[(usize, ScriptRequest)],
        changes: &[ScriptRequest],
        beyond: &[ScriptRequest],
    ) {
        let mut wires = self.send_reads(readers).await;
        let is_live = readers.first().is_some_and(|(_, request)| {
            crate::recorded::find(&request.line, b"live=long").is_none()
        });
        if !is_live {
            self.until_waiting(&mut wires).await;
        }
        let mut waits = Vec::new();
        for (connection, mut wire) in wires {
            let wait = if is_live {
                self.begin_live(at, &mut wire).await
            } else {
                PendingRead::LongPoll
            };
            waits.push((connection, wire, wait));
        }
        if let Some((_, first, _)) = waits.first_mut() {
            let bytes: Vec<u8> = beyond
                .iter()
                .flat_map(|request| self.fill(&request.bytes()))
                .collect();
            first.send(&bytes).await;
        }
        let mut positions = 1;
        for (round, change) in changes.iter().enumerate() {
            let answer = self.ask_side(&change.bytes(), 1).await.remove(0);
            // A refused request does not end any wait.
            positions += usize::from(answer.status < 300);
            self.record(
                format!("step {at}, what another connection did"),
                Recorded::Response(answer),
            );
            for (_, wire, wait) in &mut waits {
                if let PendingRead::Live(live) = wait
                    && round + 1 < changes.len()
                {
                    live.read_until(wire, positions).await;
                }
            }
        }
        for (place, (connection, mut wire, wait)) in waits.into_iter().enumerate() {
            let goes_on = match wait {
                PendingRead::LongPoll => self.one_answer(at, &mut wire, false).await,
                PendingRead::Live(live) => self.end_live(at, &mut wire, live).await,
                PendingRead::Over { goes_on } => goes_on,
            };
            let beyond = if place == 0 { beyond } else { &[] };
            if goes_on && self.answers(at, &mut wire, beyond).await {
                self.connections[connection] = Some(wire);
            }
        }
    }

    /// Reads the head and the first part of a live response, or all of another response.
    async fn begin_live(&mut self, at: usize, wire: &mut RecordingConnection) -> PendingRead {
        loop {
            let seen = match wire.head(false).await {
                Ok(answer) if wire.is_chunked() => {
                    let mut live = Box::new(LiveResponse {
                        answer,
                        body: Vec::new(),
                        is_whole: false,
                        ended: None,
                    });
                    live.read_until(wire, 1).await;
                    return PendingRead::Live(live);
                }
                Ok(answer) => match wire.body().await {
                    Ok(body) => Recorded::Response(RecordedResponse { body, ..answer }),
                    Err(ended) => ended,
                },
                Err(ended) => ended,
            };
            if let Some(goes_on) = self.final_answer(at, wire, seen).await {
                return PendingRead::Over { goes_on };
            }
        }
    }

    /// Reads a live response to its end; returns whether the connection stays open.
    async fn end_live(
        &mut self,
        at: usize,
        wire: &mut RecordingConnection,
        mut live: Box<LiveResponse>,
    ) -> bool {
        live.read_until(wire, usize::MAX).await;
        let LiveResponse {
            answer,
            body,
            ended,
            ..
        } = *live;
        let goes_on = ended.is_none() && !answer.closes();
        let body = crate::recorded::RecordedBody::Whole(body);
        self.record(
            format!("step {at}"),
            Recorded::Response(RecordedResponse { body, ..answer }),
        );
        if let Some(ended) = ended {
            self.record(format!("step {at}, at the end of the response"), ended);
        }
        goes_on
    }
}

/// A read that waits.
enum PendingRead {
    /// A long-poll: it has one response.
    LongPoll,
    Live(Box<LiveResponse>),
    /// It was answered otherwise.
    Over {
        /// Whether its connection stays open.
        goes_on: bool,
    },
}

/// A live response in progress.
struct LiveResponse {
    answer: RecordedResponse,
    body: Vec<u8>,
    /// Whether its last chunk has arrived.
    is_whole: bool,
    /// What arrived instead of the next chunk.
    ended: Option<Recorded>,
}

impl LiveResponse {
    /// Reads until `positions` positions have arrived, or to the end.
    async fn read_until(&mut self, wire: &mut RecordingConnection, positions: usize) {
        const POSITION: &[u8] = b"streamNextOffset";
        let told = |body: &[u8]| {
            body.windows(POSITION.len())
                .filter(|window| *window == POSITION)
                .count()
        };
        while !self.is_whole && self.ended.is_none() && told(&self.body) < positions {
            match wire.chunk().await {
                Ok(chunk) if chunk.is_empty() => self.is_whole = true,
                Ok(chunk) => self.body.extend(chunk),
                Err(ended) => self.ended = Some(ended),
            }
        }
    }
}
