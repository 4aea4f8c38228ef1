//! One reader: follows a stream, splits its data into messages, and measures the time that the browser itself takes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use tailwater_client::drivers::browser::{Follower, follow_from};
use tailwater_client::{FollowReport, duration_ms};
use wasm_bindgen_futures::spawn_local;

use super::message::{ClientTime, LaneOptions, ReaderId, ReaderReport, ReaderRole};
use super::pieces::Cutter;
use super::report::LaneReport;
use crate::browser;

/// Interval in which the delay of timers is measured, ms.
const TIMER_MS: f64 = 100.0;

/// The most completed requests without an entry in Resource Timing that are kept.
const COMPLETED_MAX: usize = 256;

/// Receives the reports of a reader.
type OnReport = Rc<dyn Fn(ReaderReport)>;

/// Follows one stream until it is dropped.
#[derive(Debug)]
pub(super) struct LaneReader {
    follower: Follower,
    timer_task: Option<AbortHandle>,
}

impl LaneReader {
    /// Starts following a stream.
    ///
    /// - `url`: of the stream, absolute.
    /// - `origin_offset_ms`: this thread's `performance.timeOrigin` minus the page's.
    /// - `on_report`: receives the reports in order; times are on the page's clock.
    pub(super) fn start(
        seat: ReaderId,
        url: &str,
        options: &LaneOptions,
        origin_offset_ms: f64,
        on_report: OnReport,
    ) -> Self {
        let requests = Rc::new(RequestTimes::new(url, origin_offset_ms));
        let timer_task = (seat.role == ReaderRole::Lane)
            .then(|| measure_timers(Rc::clone(&on_report), Rc::clone(&requests)));
        let mut cutter = Cutter::default();
        let options = options.follow_options(seat.lane);
        let follower = follow_from(url, options, duration_ms(origin_offset_ms), move |report| {
            requests.record(&report);
            let report = cutter.cut_report(report);
            match seat.role {
                ReaderRole::Lane => on_report(ReaderReport::Lane(report)),
                ReaderRole::Null => report_stamps(report, &on_report),
            }
        });
        Self {
            follower,
            timer_task,
        }
    }

    pub(super) fn set_poll_interval(&self, interval_ms: f64) {
        self.follower.set_poll_interval(duration_ms(interval_ms));
    }
}

impl Drop for LaneReader {
    fn drop(&mut self) {
        if let Some(timer_task) = &self.timer_task {
            timer_task.abort();
        }
    }
}

/// Reports the delay of this thread's timers and the times of completed requests, until it is aborted.
fn measure_timers(on_report: OnReport, requests: Rc<RequestTimes>) -> AbortHandle {
    let (task, handle) = abortable(async move {
        loop {
            let due_ms = browser::now_ms() + TIMER_MS;
            browser::sleep(TIMER_MS).await;
            on_report(ReaderReport::TimerDelay(
                (browser::now_ms() - due_ms).max(0.0),
            ));
            for time in requests.completed_times() {
                on_report(ReaderReport::Client(time));
            }
        }
    });
    spawn_local(async move {
        let _aborted = task.await;
    });
    handle
}

/// Reports the times of a null reader's events; its other reports are not used.
fn report_stamps(report: LaneReport, on_report: &OnReport) {
    if let FollowReport::Batch { at_ms, batch, .. } = report {
        let stamps = batch.messages.iter().filter_map(|message| message.stamps);
        for sent_us in stamps.filter_map(|stamps| stamps.sent_us) {
            on_report(ReaderReport::Null { at_ms, sent_us });
        }
    }
}

/// Matches the script's times of requests with those of Resource Timing, which are available later.
#[derive(Debug)]
struct RequestTimes {
    url: String,
    origin_offset_ms: f64,
    /// The id of the request in progress and when the script sent it, ms on the page's clock.
    open: Cell<Option<(u64, f64)>>,
    /// When the script sent completed requests and received their responses, oldest first.
    completed: RefCell<VecDeque<(f64, f64)>>,
}

impl RequestTimes {
    fn new(url: &str, origin_offset_ms: f64) -> Self {
        Self {
            url: url.to_owned(),
            origin_offset_ms,
            open: Cell::new(None),
            completed: RefCell::default(),
        }
    }

    /// Records when polls and long-polls are sent and completed.
    fn record(&self, report: &FollowReport) {
        match report {
            FollowReport::Requested {
                id,
                at_ms,
                technique,
            } if technique.repeats_requests() => self.open.set(Some((*id, *at_ms))),
            FollowReport::Ended {
                id,
                at_ms,
                fault: None,
            } => {
                if let Some((_, sent_ms)) = self.open.take().filter(|(open, _)| open == id) {
                    let mut completed = self.completed.borrow_mut();
                    if completed.len() == COMPLETED_MAX {
                        completed.pop_front();
                    }
                    completed.push_back((sent_ms, *at_ms));
                }
            }
            _ => {}
        }
    }

    /// The time that the browser itself took for requests whose entries became available since the last call.
    fn completed_times(&self) -> Vec<ClientTime> {
        let mut completed = self.completed.borrow_mut();
        if completed.is_empty() {
            return Vec::new();
        }
        let timings = browser::timings(&self.url);
        let times = timings.iter().filter_map(|timing| {
            let start_ms = timing.request_start() + self.origin_offset_ms;
            let end_ms = timing.response_end() + self.origin_offset_ms;
            // The script sends a request earlier and receives its response later than the network.
            let index = completed.iter().position(|(sent_ms, received_ms)| {
                *sent_ms <= start_ms && end_ms <= *received_ms
            })?;
            let (sent_ms, received_ms) = completed[index];
            completed.drain(..=index);
            Some(ClientTime {
                up_ms: start_ms - sent_ms,
                down_ms: received_ms - end_ms,
            })
        });
        times.collect()
    }
}
