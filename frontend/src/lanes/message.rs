//! The messages between the page and its workers, encoded with postcard.

use serde::{Deserialize, Serialize};
use tailwater_client::duration_ms;
use tailwater_client::reader::FollowOptions;
use tailwater_protocol::{Technique, Token};

use super::report::LaneReport;

/// From the page to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PageMessage {
    /// Starts a reader; it replaces the reader in the same seat.
    Start {
        /// The seat of the reader.
        seat: ReaderId,
        /// The number of the reader, which its reports carry.
        run: u32,
        /// The stream's URL.
        url: String,
        /// The options of the lane.
        options: LaneOptions,
        /// `performance.timeOrigin` of the page, ms; all reported times are relative to it.
        page_origin_ms: f64,
    },
    /// Changes the poll interval of a lane.
    PollInterval {
        /// The lane.
        lane: Technique,
        /// The poll interval, ms.
        interval_ms: f64,
    },
    /// Stops a reader.
    Stop {
        /// The seat of the reader.
        seat: ReaderId,
    },
}

/// Identifies a reader: each lane has at most one for each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderId {
    /// The lane, and the technique of its readers.
    pub lane: Technique,
    /// The role of the reader.
    pub role: ReaderRole,
}

/// The role of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderRole {
    /// Reads the stream of the lane.
    Lane,
    /// Reads a stream with few events, without added delay, so that its transit time is known. The remaining latency of
    /// its events is the time that the browser itself takes for a chunk or a frame.
    Null,
}

/// The options of a reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneOptions {
    /// The position to start at.
    pub from: Token,
    /// The poll interval, ms.
    pub interval_ms: f64,
    /// The time that the server may hold a long-poll, s.
    pub hold_s: f64,
    /// The seed of the backoff.
    pub seed: u64,
}

impl LaneOptions {
    /// The client's options; a lane never falls back to another technique.
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

/// From a worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerMessage {
    /// The seat of the reader.
    pub seat: ReaderId,
    /// The number of the reader.
    pub run: u32,
    /// The reports since the last message, in order.
    pub reports: Vec<ReaderReport>,
}

/// A report of a reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ReaderReport {
    /// A report of the follower.
    Lane(LaneReport),
    /// The time that the browser itself took for one request and its response.
    Client(ClientTime),
    /// An event of the null reader.
    Null {
        /// When it arrived, ms on the page's clock.
        at_ms: f64,
        /// When it was appended, microseconds on the server's clock.
        sent_us: u64,
    },
    /// The delay of a timer on the reader's thread, ms.
    TimerDelay(f64),
}

/// The time that the browser itself takes for a request, without the network, from Resource Timing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClientTime {
    /// From the script's request until its first byte is sent, ms.
    pub up_ms: f64,
    /// From the arrival of the last byte until the script receives it, ms.
    pub down_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::super::pieces::Cutter;
    use super::*;
    use tailwater_client::{FollowReport, ReceivedBatch};
    use tailwater_protocol::Data;

    #[test]
    fn messages_round_trip_through_postcard() {
        let mut cutter = Cutter::default();
        let texts = ["{\"seq\":7,\"due_us\":1000,\"sent_us\":1010}", "\"plain\""];
        let batch = ReceivedBatch {
            data: Data::Json(texts.map(str::to_owned).to_vec()),
            next: Token::now(),
            up_to_date: true,
            closed: false,
        };
        let message = WorkerMessage {
            seat: ReaderId {
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
                ReaderReport::TimerDelay(0.25),
            ],
        };
        let bytes = postcard::to_allocvec(&message).unwrap();
        assert_eq!(
            postcard::from_bytes::<WorkerMessage>(&bytes).unwrap(),
            message
        );
        let start = PageMessage::Start {
            seat: ReaderId {
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
