//! One reader: a follower, the messages cut from what it brings, and the browser's own time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use tailwater_client::FollowReport;
use tailwater_client::drivers::browser::{Follower, follow_from};
use tailwater_protocol::Technique;
use wasm_bindgen_futures::spawn_local;

use super::message::{ClientTime, LaneOptions, ReaderReport, ReaderRole, ReaderSeat, duration_ms};
use super::pieces::Cutter;
use super::report::LaneReport;
use crate::browser;

/// Between two looks at how late timers fire, ms.
const LOOP_EVERY_MS: f64 = 100.0;

/// Completed requests whose times have not come yet.
const COMPLETED_MAX: usize = 256;

/// Receives what a reader reports.
type OnReport = Rc<dyn Fn(ReaderReport)>;

/// Follows one stream; dropping it ends that.
#[derive(Debug)]
pub(super) struct LaneReader {
    follower: Follower,
    watch: Option<AbortHandle>,
}

impl LaneReader {
    /// Begins to follow.
    ///
    /// - `url`: of the stream, absolute.
    /// - `ahead_ms`: this thread's `performance.timeOrigin` minus the page's.
    /// - `on_report`: receives all that happens, in order; times are on the page's clock.
    pub(super) fn start(
        seat: ReaderSeat,
        url: &str,
        options: &LaneOptions,
        ahead_ms: f64,
        on_report: OnReport,
    ) -> Self {
        let requests = Rc::new(RequestTimes::new(url, ahead_ms));
        let watch = (seat.role == ReaderRole::Lane)
            .then(|| watch_loop(Rc::clone(&on_report), Rc::clone(&requests)));
        let mut cutter = Cutter::default();
        let options = options.follow_options(seat.lane);
        let follower = follow_from(url, options, duration_ms(ahead_ms), move |report| {
            requests.take(&report);
            let report = cutter.cut_report(report);
            match seat.role {
                ReaderRole::Lane => on_report(ReaderReport::Lane(report)),
                ReaderRole::Null => report_stamps(report, &on_report),
            }
        });
        Self { follower, watch }
    }

    pub(super) fn set_poll_interval(&self, interval_ms: f64) {
        self.follower.set_poll_interval(duration_ms(interval_ms));
    }
}

impl Drop for LaneReader {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Reports how late this thread's timers fire, and what requests cost, until it is aborted.
fn watch_loop(on_report: OnReport, requests: Rc<RequestTimes>) -> AbortHandle {
    let (watching, watch) = abortable(async move {
        loop {
            let due_ms = browser::now_ms() + LOOP_EVERY_MS;
            browser::sleep(LOOP_EVERY_MS).await;
            on_report(ReaderReport::LoopLate(
                (browser::now_ms() - due_ms).max(0.0),
            ));
            for time in requests.costs() {
                on_report(ReaderReport::Client(time));
            }
        }
    });
    spawn_local(async move {
        let _aborted = watching.await;
    });
    watch
}

/// Of a null reader only the times of its live events are of use.
fn report_stamps(report: LaneReport, on_report: &OnReport) {
    if let FollowReport::Batch { at_ms, batch, .. } = report {
        let stamps = batch.messages.iter().filter_map(|message| message.stamps);
        for sent_us in stamps.filter_map(|stamps| stamps.sent_us) {
            on_report(ReaderReport::Null { at_ms, sent_us });
        }
    }
}

/// Pairs the script's times of requests with those of Resource Timing, which come later.
#[derive(Debug)]
struct RequestTimes {
    url: String,
    ahead_ms: f64,
    /// The request under way and when the script sent it, ms on the page's clock.
    open: Cell<Option<(u64, f64)>>,
    /// When the script sent completed requests and had their answers, oldest first.
    completed: RefCell<VecDeque<(f64, f64)>>,
}

impl RequestTimes {
    fn new(url: &str, ahead_ms: f64) -> Self {
        Self {
            url: url.to_owned(),
            ahead_ms,
            open: Cell::new(None),
            completed: RefCell::default(),
        }
    }

    /// Notes when polls and long-polls are sent and answered.
    fn take(&self, report: &FollowReport) {
        match report {
            FollowReport::Requested {
                id,
                at_ms,
                technique: Technique::Poll | Technique::LongPoll,
            } => self.open.set(Some((*id, *at_ms))),
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

    /// What the browser itself took for completed requests, as far as their times have come since the last call.
    fn costs(&self) -> Vec<ClientTime> {
        let mut completed = self.completed.borrow_mut();
        if completed.is_empty() {
            return Vec::new();
        }
        let timings = browser::timings(&self.url);
        let costs = timings.iter().filter_map(|timing| {
            let left_ms = timing.request_start() + self.ahead_ms;
            let arrived_ms = timing.response_end() + self.ahead_ms;
            // Its request is the one that was sent before and answered after it.
            let place = completed
                .iter()
                .position(|(sent_ms, had_ms)| *sent_ms <= left_ms && arrived_ms <= *had_ms)?;
            let (sent_ms, had_ms) = completed[place];
            completed.drain(..=place);
            Some(ClientTime {
                up_ms: left_ms - sent_ms,
                down_ms: had_ms - arrived_ms,
            })
        });
        costs.collect()
    }
}
