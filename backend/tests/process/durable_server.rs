//! A server with a disk store that can be killed and started again, and requests to it.

use super::{ServerFolder, ServerOptions, http_client};
use reqwest::Method;
use tailwater_harness::wait::within;
use tailwater_harness::{Response, ServerProcess};
use tailwater_protocol::headers;

/// Header fields of a request to a JSON stream.
pub(crate) const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
/// Header fields of a request to a text stream.
pub(crate) const TEXT: [(&str, &str); 1] = [("content-type", "text/plain")];

/// A server that can be killed and started again on the same data.
#[derive(Debug)]
pub(crate) struct DurableServer {
    pub(crate) folder: ServerFolder,
    pub(crate) options: ServerOptions,
    pub(crate) process: Option<ServerProcess>,
    http: reqwest::Client,
    /// Whether the folder is removed when this is dropped.
    owns_folder: bool,
}

impl DurableServer {
    /// Starts a server on an empty directory; `name` is the name of the test.
    pub(crate) fn new(name: &str) -> Self {
        let mut server = Self::closed(ServerFolder::new(name));
        server.start();
        server
    }

    /// A server that has not been started yet.
    pub(crate) fn closed(folder: ServerFolder) -> Self {
        Self {
            folder,
            options: ServerOptions::on_disk(),
            process: None,
            http: http_client(),
            owns_folder: true,
        }
    }

    /// A server that has not been started yet, on a folder that is not removed with it.
    pub(crate) fn on_shared_folder(folder: ServerFolder) -> Self {
        let mut server = Self::closed(folder);
        server.owns_folder = false;
        server
    }

    pub(crate) fn start(&mut self) {
        self.try_start()
            .unwrap_or_else(|wrong| panic!("{wrong}\n{}", self.folder.log_tail()));
    }

    /// Starts the server.
    ///
    /// # Errors
    /// The end of its log, when it ends before it listens.
    pub(crate) fn try_start(&mut self) -> Result<(), String> {
        self.process = Some(self.folder.start(&self.options)?);
        // With new connections: those to the killed server are unusable.
        self.http = http_client();
        Ok(())
    }

    /// Kills the server with SIGKILL and starts a new one on the same data.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.start();
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill().unwrap();
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = self
            .http
            .request(method, self.folder.url(&format!("/v1/stream/{target}")))
            .body(body.to_owned());
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let asking = async {
            let response = request.send().await.unwrap();
            let (status, fields) = (response.status().as_u16(), response.headers().clone());
            Response::new(status, &fields, response.bytes().await.unwrap())
        };
        within("a response", asking).await
    }

    pub(crate) async fn put(&self, target: &str, head: &[(&str, &str)], body: &str) -> Response {
        self.ask(Method::PUT, target, head, body).await
    }

    pub(crate) async fn post(&self, target: &str, head: &[(&str, &str)], body: &str) -> Response {
        self.ask(Method::POST, target, head, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.ask(Method::GET, target, &[], "").await
    }

    pub(crate) async fn head(&self, target: &str) -> Response {
        self.ask(Method::HEAD, target, &[], "").await
    }

    pub(crate) async fn delete(&self, target: &str) -> Response {
        self.ask(Method::DELETE, target, &[], "").await
    }

    /// Appends as producer `p`.
    pub(crate) async fn produce(
        &self,
        target: &str,
        epoch: &str,
        seq: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let own = [
            (headers::PRODUCER_ID, "p"),
            (headers::PRODUCER_EPOCH, epoch),
            (headers::PRODUCER_SEQ, seq),
        ];
        self.post(target, &[&TEXT[..], &own[..], more].concat(), body)
            .await
    }
}

impl Drop for DurableServer {
    fn drop(&mut self) {
        self.process = None;
        if self.owns_folder && !std::thread::panicking() {
            self.folder.remove();
        }
    }
}
