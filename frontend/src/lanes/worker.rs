//! The main function of a worker: runs readers, and sends their reports to the page in batches.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use super::message::{PageMessage, ReaderId, ReaderReport, ReaderRole, WorkerMessage};
use super::reader::LaneReader;
use crate::browser;

/// The minimum interval between two messages of a reader to the page, ms.
const BATCH_MS: f64 = 100.0;

/// The worker's global object; `None` outside of a worker.
pub fn scope() -> Option<DedicatedWorkerGlobalScope> {
    js_sys::global().dyn_into().ok()
}

/// Handles the messages of the page until the worker is terminated.
pub fn run(scope: &DedicatedWorkerGlobalScope) {
    let readers = RefCell::new(Vec::new());
    let page = scope.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let bytes = event.data().unchecked_into::<Uint8Array>().to_vec();
        if let Ok(message) = postcard::from_bytes(&bytes) {
            handle(&page, &mut readers.borrow_mut(), message);
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // Needed until the worker is terminated.
    on_message.forget();
    // Notifies the page that the worker is ready.
    scope.post_message(&true.into()).ok();
}

fn handle(
    page: &DedicatedWorkerGlobalScope,
    readers: &mut Vec<(ReaderId, LaneReader)>,
    message: PageMessage,
) {
    match message {
        PageMessage::Start {
            seat,
            run,
            url,
            options,
            page_origin_ms,
        } => {
            let sender = Rc::new(ReportSender::new(page.clone(), seat, run));
            let origin_offset_ms = browser::performance().time_origin() - page_origin_ms;
            let on_report = Rc::new(move |report| sender.push(report));
            let reader = LaneReader::start(seat, &url, &options, origin_offset_ms, on_report);
            readers.retain(|(other, _)| *other != seat);
            readers.push((seat, reader));
        }
        PageMessage::PollInterval { lane, interval_ms } => {
            let role = ReaderRole::Lane;
            let seat = ReaderId { lane, role };
            if let Some((_, reader)) = readers.iter().find(|(other, _)| *other == seat) {
                reader.set_poll_interval(interval_ms);
            }
        }
        PageMessage::Stop { seat } => {
            readers.retain(|(other, _)| *other != seat);
        }
    }
}

/// Collects the reports of a reader, and sends them at most ten times per second.
struct ReportSender {
    page: DedicatedWorkerGlobalScope,
    seat: ReaderId,
    run: u32,
    reports: RefCell<Vec<ReaderReport>>,
    sent_ms: Cell<f64>,
    is_due: Cell<bool>,
}

impl ReportSender {
    fn new(page: DedicatedWorkerGlobalScope, seat: ReaderId, run: u32) -> Self {
        Self {
            page,
            seat,
            run,
            reports: RefCell::default(),
            sent_ms: Cell::new(0.0),
            is_due: Cell::new(false),
        }
    }

    fn push(self: &Rc<Self>, report: ReaderReport) {
        self.reports.borrow_mut().push(report);
        if !self.is_due.replace(true) {
            let sender = Rc::clone(self);
            let wait_ms = self.sent_ms.get() + BATCH_MS - browser::now_ms();
            spawn_local(async move {
                browser::sleep(wait_ms).await;
                sender.send();
            });
        }
    }

    fn send(&self) {
        self.is_due.set(false);
        self.sent_ms.set(browser::now_ms());
        let message = WorkerMessage {
            seat: self.seat,
            run: self.run,
            reports: self.reports.take(),
        };
        // Encoding strings and numbers can't fail.
        let bytes = Uint8Array::from(&postcard::to_allocvec(&message).unwrap_or_default()[..]);
        let buffer = js_sys::Array::of1(&bytes.buffer());
        self.page.post_message_with_transfer(&bytes, &buffer).ok();
    }
}
