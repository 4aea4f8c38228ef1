//! The version of the server, which a result names.

use std::rc::Rc;

use wasm_bindgen_futures::spawn_local;

use super::RaceController;
use crate::api::request::ApiRequest;
use crate::api::send::send;
use crate::api::server::ServerFacts;

impl RaceController {
    /// Asks the server for its version; without an answer it stays unknown.
    pub(super) fn ask_version(self: &Rc<Self>) {
        let controller = self.clone();
        spawn_local(async move {
            if let Ok(response) = send(ApiRequest::server()).await
                && let Some(facts) = ServerFacts::parse(&String::from_utf8_lossy(&response.body))
            {
                *controller.server_version.borrow_mut() = facts.version;
            }
        });
    }
}
