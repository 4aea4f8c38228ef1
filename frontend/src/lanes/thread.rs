//! The page's handle to a worker, which runs the same module as the page.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, JsString, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::message::{PageMessage, WorkerMessage};

/// The script that starts a worker, relative to the URL of the page's bindings.
const SCRIPT: &str = "worker.js";

#[wasm_bindgen]
extern "C" {
    type ImportMeta;

    #[wasm_bindgen(method, getter)]
    fn url(this: &ImportMeta) -> JsString;

    #[wasm_bindgen(thread_local_v2, js_namespace = import, js_name = meta)]
    static IMPORT_META: ImportMeta;
}

/// A worker, which is terminated when this is dropped.
#[derive(Debug)]
pub(super) struct WorkerThread {
    worker: Worker,
    /// Messages sent before the worker is ready; `None` once it is.
    pending: Rc<RefCell<Option<Vec<PageMessage>>>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl WorkerThread {
    /// Starts a worker.
    ///
    /// - `on_message`: receives its messages.
    /// - `on_failure`: called if it can't be started, or after an uncaught error.
    ///
    /// # Errors
    /// The exception of the browser, if it does not support workers.
    pub(super) fn start(
        on_message: impl Fn(WorkerMessage) + 'static,
        on_failure: impl Fn() + 'static,
    ) -> Result<Self, JsValue> {
        let bindings = IMPORT_META.with(ImportMeta::url);
        let script = web_sys::Url::new_with_base(SCRIPT, &String::from(&bindings))?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&script.href(), &options)?;
        let pending = Rc::new(RefCell::new(Some(Vec::new())));
        let (queue, receiver) = (Rc::clone(&pending), worker.clone());
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            match event.data().dyn_into::<Uint8Array>() {
                Ok(bytes) => {
                    if let Ok(message) = postcard::from_bytes(&bytes.to_vec()) {
                        on_message(message);
                    }
                }
                // The first message is `true`: the worker is ready.
                Err(_) => {
                    for message in queue.take().unwrap_or_default() {
                        post(&receiver, &message);
                    }
                }
            }
        });
        let on_error = Closure::<dyn FnMut(Event)>::new(move |_| on_failure());
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        worker.post_message(&Array::of2(&bindings, &wasm_bindgen::module()))?;
        Ok(Self {
            worker,
            pending,
            _on_message: on_message,
            _on_error: on_error,
        })
    }

    /// Sends a message, or queues it until the worker is ready.
    pub(super) fn send(&self, message: PageMessage) {
        match self.pending.borrow_mut().as_mut() {
            Some(pending) => pending.push(message),
            None => post(&self.worker, &message),
        }
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

fn post(worker: &Worker, message: &PageMessage) {
    // Encoding strings and numbers can't fail, nor can posting bytes.
    let bytes = postcard::to_allocvec(message).unwrap_or_default();
    worker.post_message(&Uint8Array::from(&bytes[..])).ok();
}
