//! A worker as the page sees it: started with the page's own module, and given messages once it listens.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, JsString, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::message::{PageMessage, WorkerMessage};

/// The script that starts a worker, beside the page's bindings.
const SCRIPT: &str = "worker.js";

#[wasm_bindgen]
extern "C" {
    type ImportMeta;

    #[wasm_bindgen(method, getter)]
    fn url(this: &ImportMeta) -> JsString;

    #[wasm_bindgen(thread_local_v2, js_namespace = import, js_name = meta)]
    static IMPORT_META: ImportMeta;
}

/// A worker; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct WorkerThread {
    worker: Worker,
    /// What was sent before the worker listened; `None` once it does.
    waiting: Rc<RefCell<Option<Vec<PageMessage>>>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(Event)>,
}

impl WorkerThread {
    /// Starts a worker.
    ///
    /// - `on_message`: receives what it sends.
    /// - `on_failure`: it could not be started, or has stopped by a fault.
    ///
    /// # Errors
    /// What the browser threw, if it gives no workers at all.
    pub(super) fn start(
        on_message: impl Fn(WorkerMessage) + 'static,
        on_failure: impl Fn() + 'static,
    ) -> Result<Self, JsValue> {
        let bindings = IMPORT_META.with(ImportMeta::url);
        let script = web_sys::Url::new_with_base(SCRIPT, &String::from(&bindings))?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&script.href(), &options)?;
        let waiting = Rc::new(RefCell::new(Some(Vec::new())));
        let (queue, receiver) = (Rc::clone(&waiting), worker.clone());
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            match event.data().dyn_into::<Uint8Array>() {
                Ok(bytes) => {
                    if let Ok(message) = postcard::from_bytes(&bytes.to_vec()) {
                        on_message(message);
                    }
                }
                // Its first message only says that it listens.
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
            waiting,
            _on_message: on_message,
            _on_error: on_error,
        })
    }

    /// Sends a message, or keeps it until the worker listens.
    pub(super) fn send(&self, message: PageMessage) {
        match self.waiting.borrow_mut().as_mut() {
            Some(waiting) => waiting.push(message),
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
    // Texts and numbers can always be encoded, and bytes can always be sent.
    let bytes = postcard::to_allocvec(message).unwrap_or_default();
    worker.post_message(&Uint8Array::from(&bytes[..])).ok();
}
