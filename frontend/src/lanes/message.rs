//! What page and workers say to each other, encoded with postcard.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tailwater_client::reader::FollowOptions;
use tailwater_protocol::{Technique, Token};

use super::report::LaneReport;

/// From the page to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PageMessage {
    /// Follow a stream; a former reader in the same place ends.
    Start {
        /// Its place.
        seat: ReaderSeat,
        /// Which reader in that place this is; its reports carry the same number.
        run: u32,
        /// The stream's URL.
        url: String,
        /// How to follow it.
        options: LaneOptions,
        /// `performance.timeOrigin` of the page, ms; all times handed over count from there.
        page_origin_ms: f64,
    },
    /// Poll at another interval.
    PollInterval {
        /// The lane.
        lane: Technique,
        /// From request to request, ms.
        interval_ms: f64,
    },
    /// End a reader.
    Stop {
        /// Its place.
        seat: ReaderSeat,
    },
}

/// One of the two readers of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderSeat {
    /// The lane, and the technique by which its readers follow.
    pub lane: Technique,
    /// What the reader is for.
    pub role: ReaderRole,
}

/// What a reader is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderRole {
    /// It is the lane.
    Lane,
    /// Its way is known: no delay, few events. What its events take beyond that is the browser's own time for a piece of an
    /// answer or a frame.
    Null,
}

/// How a lane follows its stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneOptions {
    /// Where to begin.
    pub from: Token,
    /// From poll to poll, ms.
    pub interval_ms: f64,
    /// How long the server should hold a long-poll, s.
    pub hold_s: f64,
    /// Seed of the pauses after a fault.
    pub seed: u64,
}

impl LaneOptions {
    /// As the client takes them; the lane of a technique never falls back to another one.
    pub fn follow_options(&self, technique: Technique) -> FollowOptions {
        FollowOptions {
            technique,
            from: self.from.clone(),
            poll_interval: duration_ms(self.interval_ms),
            hold: Some(duration_ms(self.hold_s * 1_000.0)),
            fallback: false,
            seed: self.seed,
            ..FollowOptions::default()
        }
    }
}

/// A duration of so many milliseconds; what is no duration is zero.
pub fn duration_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

/// From a worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerMessage {
    /// Whose.
    pub seat: ReaderSeat,
    /// The number of the reader.
    pub run: u32,
    /// What happened since the last message, in order.
    pub reports: Vec<ReaderReport>,
}

/// What a reader hands over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReaderReport {
    /// Something happened in the lane.
    Lane(LaneReport),
    /// The browser's own time for one request and its answer.
    Client(ClientTime),
    /// An event of the null reader.
    Null {
        /// When it arrived, ms on the page's clock.
        at_ms: f64,
        /// When it was appended, microseconds on the server's clock.
        sent_us: u64,
    },
    /// A timer of the reader's thread fired so much too late, ms.
    LoopLate(f64),
}

/// The browser's own time for a request, apart from the network's. Source: Resource Timing, as the worker reads it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClientTime {
    /// From the script's request to the first byte that leaves, ms.
    pub up_ms: f64,
    /// From the last byte that arrived to the script, ms.
    pub down_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::super::pieces::Cutter;
    use super::*;
    use tailwater_client::{FollowReport, ReceivedBatch};
    use tailwater_protocol::Data;

    #[test]
    fn messages_survive_the_way_between_page_and_worker() {
        let mut cutter = Cutter::default();
        let texts = ["{\"seq\":7,\"due_us\":1000,\"sent_us\":1010}", "\"plain\""];
        let batch = ReceivedBatch {
            data: Data::Json(texts.map(str::to_owned).to_vec()),
            next: Token::now(),
            up_to_date: true,
            closed: false,
        };
        let message = WorkerMessage {
            seat: ReaderSeat {
                lane: Technique::LongPoll,
                role: ReaderRole::Lane,
            },
            run: 3,
            reports: vec![
                ReaderReport::Lane(cutter.cut_report(FollowReport::Batch {
                    id: 9,
                    at_ms: 12.5,
                    batch,
                })),
                ReaderReport::Lane(FollowReport::Finished {
                    at_ms: 13.0,
                    fault: Some("gone".to_owned()),
                }),
                ReaderReport::LoopLate(0.25),
            ],
        };
        let bytes = postcard::to_allocvec(&message).unwrap();
        assert_eq!(
            postcard::from_bytes::<WorkerMessage>(&bytes).unwrap(),
            message
        );
        let start = PageMessage::Start {
            seat: ReaderSeat {
                lane: Technique::Poll,
                role: ReaderRole::Null,
            },
            run: 1,
            url: "http://127.0.0.1:1/v1/stream/a".to_owned(),
            options: LaneOptions {
                from: Token::beginning(),
                interval_ms: 250.0,
                hold_s: 25.0,
                seed: 7,
            },
            page_origin_ms: 1.5,
        };
        let bytes = postcard::to_allocvec(&start).unwrap();
        assert_eq!(postcard::from_bytes::<PageMessage>(&bytes).unwrap(), start);
    }
}
