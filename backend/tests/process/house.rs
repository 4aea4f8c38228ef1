//! A server on disk that can be killed and started anew, and the words in which tests speak to it.

use super::{DEADLINE, Place, Server, Start};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tailwater_protocol::{Problem, headers};

/// The head of a request about a JSON stream.
pub(crate) const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
/// The head of a request about a text stream.
pub(crate) const TEXT: [(&str, &str); 1] = [("content-type", "text/plain")];

/// A server that can be killed and started anew on the same data.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) place: Place,
    pub(crate) way: Start,
    pub(crate) server: Option<Server>,
    http: reqwest::Client,
    /// Whether the place goes with it.
    owns_place: bool,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) map: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.map.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn next(&self) -> &str {
        self.header(headers::STREAM_NEXT_OFFSET)
            .unwrap_or_else(|| panic!("no offset: {self:?}"))
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.header(name) == Some("true")
    }

    /// The problem document's type, whose status must be the answer's.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        let problem = Problem::parse(self.body.as_bytes())
            .unwrap_or_else(|| panic!("no problem document: {self:?}"));
        assert_eq!(problem.status, self.status, "{self:?}");
        problem.kind
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl House {
    /// A server on an empty directory; `name` is the test's.
    pub(crate) fn new(name: &str) -> Self {
        let mut house = Self::closed(Place::new(name));
        house.start();
        house
    }

    /// No server yet.
    pub(crate) fn closed(place: Place) -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Self {
            place,
            way: Start::on_disk(),
            server: None,
            http: reqwest::Client::new(),
            owns_place: true,
        }
    }

    /// On a place that others still need.
    pub(crate) fn guest(place: Place) -> Self {
        let mut house = Self::closed(place);
        house.owns_place = false;
        house
    }

    pub(crate) fn start(&mut self) {
        self.try_start()
            .unwrap_or_else(|wrong| panic!("{wrong}\n{}", self.place.last_words()));
    }

    /// Starts the server, if it lets itself be started.
    ///
    /// # Errors
    /// How it ended.
    pub(crate) fn try_start(&mut self) -> Result<(), String> {
        let mut server = Server::spawn(&self.place, &self.way);
        server.ready()?;
        self.server = Some(server);
        // With connections of its own: those to the dead one are no good.
        self.http = reqwest::Client::builder().no_proxy().build().unwrap();
        Ok(())
    }

    /// SIGKILL, and a new server on what is left.
    pub(crate) fn crash(&mut self) {
        self.kill();
        self.start();
    }

    pub(crate) fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        target: &str,
        head: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = self
            .http
            .request(method, self.place.url(&format!("/v1/stream/{target}")))
            .body(body.to_owned());
        for (name, value) in head {
            request = request.header(*name, *value);
        }
        let asking = async {
            let response = request.send().await.unwrap();
            let (status, map) = (response.status().as_u16(), response.headers().clone());
            Answer {
                status,
                map,
                body: response.text().await.unwrap(),
            }
        };
        tokio::time::timeout(DEADLINE, asking)
            .await
            .expect("an answer in time")
    }

    pub(crate) async fn put(&self, target: &str, head: &[(&str, &str)], body: &str) -> Answer {
        self.ask(Method::PUT, target, head, body).await
    }

    pub(crate) async fn post(&self, target: &str, head: &[(&str, &str)], body: &str) -> Answer {
        self.ask(Method::POST, target, head, body).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[], "").await
    }

    pub(crate) async fn head(&self, target: &str) -> Answer {
        self.ask(Method::HEAD, target, &[], "").await
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
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
    ) -> Answer {
        let own = [
            (headers::PRODUCER_ID, "p"),
            (headers::PRODUCER_EPOCH, epoch),
            (headers::PRODUCER_SEQ, seq),
        ];
        self.post(target, &[&TEXT[..], &own[..], more].concat(), body)
            .await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.server = None;
        if self.owns_place && !std::thread::panicking() {
            self.place.remove();
        }
    }
}
