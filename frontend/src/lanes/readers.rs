//! The page's side: the readers of each lane, in a worker or, where there is none, here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tailwater_protocol::Technique;
use wasm_bindgen_futures::spawn_local;

use super::ReaderPlace;
use super::message::{LaneOptions, PageMessage, ReaderReport, ReaderRole, ReaderSeat};
use super::reader::LaneReader;
use super::thread::WorkerThread;
use crate::browser;

/// A reader that runs.
#[derive(Debug)]
struct RunningReader {
    seat: ReaderSeat,
    run: u32,
    /// The reader itself, if it runs on this thread.
    here: Option<LaneReader>,
}

/// The readers of all lanes; they end when this is dropped.
pub struct LaneReaders {
    on_report: Box<dyn Fn(Technique, ReaderReport)>,
    on_move: Box<dyn Fn()>,
    /// None where the readers run on the page's thread.
    workers: RefCell<Vec<WorkerThread>>,
    place: Cell<ReaderPlace>,
    /// Two for each lane at most.
    running: RefCell<Vec<RunningReader>>,
    runs: Cell<u32>,
}

impl std::fmt::Debug for LaneReaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneReaders")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl LaneReaders {
    /// Starts the workers.
    ///
    /// - `on_report`: receives what a lane's present readers report, each in order; times are on the page's clock.
    /// - `on_move`: a worker has failed; from now on readers run on this thread, and none is running.
    pub fn new(
        on_report: impl Fn(Technique, ReaderReport) + 'static,
        on_move: impl Fn() + 'static,
    ) -> Rc<Self> {
        let (place, count) = if browser::processors() > 1 {
            (ReaderPlace::OwnWorkers, Technique::COUNT)
        } else {
            (ReaderPlace::OneWorker, 1)
        };
        let readers = Rc::new(Self {
            on_report: Box::new(on_report),
            on_move: Box::new(on_move),
            workers: RefCell::default(),
            place: Cell::new(place),
            running: RefCell::default(),
            runs: Cell::new(0),
        });
        let workers: Result<Vec<_>, _> = (0..count).map(|_| readers.worker()).collect();
        match workers {
            Ok(workers) => *readers.workers.borrow_mut() = workers,
            Err(_) => readers.place.set(ReaderPlace::Page),
        }
        readers
    }

    fn worker(self: &Rc<Self>) -> Result<WorkerThread, wasm_bindgen::JsValue> {
        let (receiver, failed) = (Rc::downgrade(self), Rc::downgrade(self));
        WorkerThread::start(
            move |message| {
                if let Some(readers) = receiver.upgrade() {
                    for report in message.reports {
                        readers.take(message.seat, message.run, report);
                    }
                }
            },
            move || {
                // Not at once: the worker that is dropped then is the one that is calling.
                if let Some(readers) = failed.upgrade() {
                    spawn_local(async move { readers.move_here() });
                }
            },
        )
    }

    /// Where the readers run.
    pub fn place(&self) -> ReaderPlace {
        self.place.get()
    }

    /// Whether a lane's own reader runs.
    pub fn is_running(&self, lane: Technique) -> bool {
        let role = ReaderRole::Lane;
        let seat = ReaderSeat { lane, role };
        self.running
            .borrow()
            .iter()
            .any(|reader| reader.seat == seat)
    }

    /// Begins to follow a stream; a former reader in the same place ends.
    ///
    /// - `url`: of the stream, absolute.
    pub fn start(self: &Rc<Self>, seat: ReaderSeat, url: &str, options: &LaneOptions) {
        self.stop(seat);
        let run = self.runs.get().wrapping_add(1);
        self.runs.set(run);
        let is_sent = self.with_worker(seat.lane, || PageMessage::Start {
            seat,
            run,
            url: url.to_owned(),
            options: options.clone(),
            page_origin_ms: browser::performance().time_origin(),
        });
        let here = (!is_sent).then(|| {
            let receiver = Rc::downgrade(self);
            let on_report = Rc::new(move |report| {
                if let Some(readers) = receiver.upgrade() {
                    readers.take(seat, run, report);
                }
            });
            LaneReader::start(seat, url, options, 0.0, on_report)
        });
        let reader = RunningReader { seat, run, here };
        self.running.borrow_mut().push(reader);
    }

    /// Polls at another interval.
    pub fn set_poll_interval(&self, lane: Technique, interval_ms: f64) {
        self.with_worker(lane, || PageMessage::PollInterval { lane, interval_ms });
        let (running, role) = (self.running.borrow(), ReaderRole::Lane);
        let seat = ReaderSeat { lane, role };
        let reader = running.iter().find(|reader| reader.seat == seat);
        if let Some(here) = reader.and_then(|reader| reader.here.as_ref()) {
            here.set_poll_interval(interval_ms);
        }
    }

    /// Ends the readers of a lane; nothing more is reported of them.
    pub fn stop_lane(&self, lane: Technique) {
        for role in [ReaderRole::Lane, ReaderRole::Null] {
            self.stop(ReaderSeat { lane, role });
        }
    }

    fn stop(&self, seat: ReaderSeat) {
        let index = self
            .running
            .borrow()
            .iter()
            .position(|one| one.seat == seat);
        if let Some(index) = index {
            let _former = self.running.borrow_mut().swap_remove(index);
            self.with_worker(seat.lane, || PageMessage::Stop { seat });
        }
    }

    /// Passes on what a reader reports, unless another one has taken its place.
    fn take(&self, seat: ReaderSeat, run: u32, report: ReaderReport) {
        let is_present = self
            .running
            .borrow()
            .iter()
            .any(|reader| reader.seat == seat && reader.run == run);
        if is_present {
            (self.on_report)(seat.lane, report);
        }
    }

    /// Sends a message to the lane's worker; whether there is one.
    fn with_worker(&self, lane: Technique, message: impl FnOnce() -> PageMessage) -> bool {
        let workers = self.workers.borrow();
        let Some(last) = workers.len().checked_sub(1) else {
            return false;
        };
        workers[lane.index().min(last)].send(message());
        true
    }

    fn move_here(&self) {
        if self.place.replace(ReaderPlace::Page) != ReaderPlace::Page {
            self.running.take();
            self.workers.take();
            (self.on_move)();
        }
    }
}
