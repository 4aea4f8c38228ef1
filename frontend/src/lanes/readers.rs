//! The page's handle to the readers of all lanes, in workers or on the page's own thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tailwater_protocol::Technique;
use wasm_bindgen_futures::spawn_local;

use super::ReaderPlace;
use super::message::{LaneOptions, PageMessage, ReaderId, ReaderReport, ReaderRole};
use super::reader::LaneReader;
use super::thread::WorkerThread;
use crate::browser;

/// A running reader.
#[derive(Debug)]
struct RunningReader {
    seat: ReaderId,
    run: u32,
    /// The reader itself, if it runs on the page's thread.
    local: Option<LaneReader>,
}

/// The readers of all lanes, which are stopped when this is dropped.
pub struct LaneReaders {
    on_report: Box<dyn Fn(Technique, ReaderReport)>,
    on_worker_failure: Box<dyn Fn()>,
    /// Empty if the readers run on the page's thread.
    workers: RefCell<Vec<WorkerThread>>,
    place: Cell<ReaderPlace>,
    /// At most two for each lane.
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
    /// Has neither readers nor workers yet.
    ///
    /// - `on_report`: receives the reports of the running readers, in order for each; times are on the page's clock.
    /// - `on_worker_failure`: called when a worker has failed. All readers are stopped then, and new ones run on this
    ///   thread.
    pub fn new(
        on_report: impl Fn(Technique, ReaderReport) + 'static,
        on_worker_failure: impl Fn() + 'static,
    ) -> Rc<Self> {
        let place = if browser::processors() > 1 {
            ReaderPlace::OwnWorkers
        } else {
            ReaderPlace::OneWorker
        };
        Rc::new(Self {
            on_report: Box::new(on_report),
            on_worker_failure: Box::new(on_worker_failure),
            workers: RefCell::default(),
            place: Cell::new(place),
            running: RefCell::default(),
            runs: Cell::new(0),
        })
    }

    /// Starts the workers, unless they have been started.
    pub fn start_workers(self: &Rc<Self>) {
        let count = match self.place.get() {
            ReaderPlace::OwnWorkers => Technique::COUNT,
            ReaderPlace::OneWorker => 1,
            ReaderPlace::Page => return,
        };
        if !self.workers.borrow().is_empty() {
            return;
        }
        let workers: Result<Vec<_>, _> = (0..count).map(|_| self.start_worker()).collect();
        match workers {
            Ok(workers) => *self.workers.borrow_mut() = workers,
            Err(_) => self.place.set(ReaderPlace::Page),
        }
    }

    fn start_worker(self: &Rc<Self>) -> Result<WorkerThread, wasm_bindgen::JsValue> {
        let (receiver, failed) = (Rc::downgrade(self), Rc::downgrade(self));
        WorkerThread::start(
            move |message| {
                if let Some(readers) = receiver.upgrade() {
                    for report in message.reports {
                        readers.forward(message.seat, message.run, report);
                    }
                }
            },
            move || {
                // Deferred, because it drops the worker that is calling.
                if let Some(readers) = failed.upgrade() {
                    spawn_local(async move { readers.move_to_page() });
                }
            },
        )
    }

    /// The threads on which the readers run.
    pub fn place(&self) -> ReaderPlace {
        self.place.get()
    }

    /// Whether the reader of a lane, other than its null reader, is running.
    pub fn is_running(&self, lane: Technique) -> bool {
        let role = ReaderRole::Lane;
        let seat = ReaderId { lane, role };
        self.running
            .borrow()
            .iter()
            .any(|reader| reader.seat == seat)
    }

    /// Starts a reader; it replaces the reader in the same seat.
    ///
    /// - `url`: of the stream, absolute.
    pub fn start(self: &Rc<Self>, seat: ReaderId, url: &str, options: &LaneOptions) {
        self.stop(seat);
        let run = self.runs.get().wrapping_add(1);
        self.runs.set(run);
        let is_sent = self.send(seat.lane, || PageMessage::Start {
            seat,
            run,
            url: url.to_owned(),
            options: options.clone(),
            page_origin_ms: browser::performance().time_origin(),
        });
        let local = (!is_sent).then(|| {
            let receiver = Rc::downgrade(self);
            let on_report = Rc::new(move |report| {
                if let Some(readers) = receiver.upgrade() {
                    readers.forward(seat, run, report);
                }
            });
            LaneReader::start(seat, url, options, 0.0, on_report)
        });
        let reader = RunningReader { seat, run, local };
        self.running.borrow_mut().push(reader);
    }

    /// Changes the poll interval of a lane.
    pub fn set_poll_interval(&self, lane: Technique, interval_ms: f64) {
        self.send(lane, || PageMessage::PollInterval { lane, interval_ms });
        let (running, role) = (self.running.borrow(), ReaderRole::Lane);
        let seat = ReaderId { lane, role };
        let reader = running.iter().find(|reader| reader.seat == seat);
        if let Some(local) = reader.and_then(|reader| reader.local.as_ref()) {
            local.set_poll_interval(interval_ms);
        }
    }

    /// Stops the readers of a lane; their later reports are dropped.
    pub fn stop_lane(&self, lane: Technique) {
        for role in [ReaderRole::Lane, ReaderRole::Null] {
            self.stop(ReaderId { lane, role });
        }
    }

    fn stop(&self, seat: ReaderId) {
        let index = self
            .running
            .borrow()
            .iter()
            .position(|one| one.seat == seat);
        if let Some(index) = index {
            let _former = self.running.borrow_mut().swap_remove(index);
            self.send(seat.lane, || PageMessage::Stop { seat });
        }
    }

    /// Forwards a report, unless its reader was stopped or replaced.
    fn forward(&self, seat: ReaderId, run: u32, report: ReaderReport) {
        let is_running = self
            .running
            .borrow()
            .iter()
            .any(|reader| reader.seat == seat && reader.run == run);
        if is_running {
            (self.on_report)(seat.lane, report);
        }
    }

    /// Sends a message to the worker of a lane, and returns whether there is one.
    fn send(&self, lane: Technique, message: impl FnOnce() -> PageMessage) -> bool {
        let workers = self.workers.borrow();
        let Some(last) = workers.len().checked_sub(1) else {
            return false;
        };
        workers[lane.index().min(last)].send(message());
        true
    }

    fn move_to_page(&self) {
        if self.place.replace(ReaderPlace::Page) != ReaderPlace::Page {
            self.running.take();
            self.workers.take();
            (self.on_worker_failure)();
        }
    }
}
