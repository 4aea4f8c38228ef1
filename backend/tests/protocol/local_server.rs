//! A server in this process for each test, and the requests that tests send to it.

use super::in_process::serve;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Instant;
use tailwater::config::{Config, StoreKind};
use tailwater_harness::wait::{until, within};
use tailwater_harness::{RawConnection, Response, ServerThread, Shutdown};
use tailwater_protocol::headers;

/// The media type of JSON streams.
pub(crate) const JSON: &str = "application/json";
/// The media type of text streams.
pub(crate) const TEXT: &str = "text/plain";
/// The media type of streams of bytes.
pub(crate) const BINARY: &str = "application/octet-stream";

/// A running server; told to stop when dropped.
#[derive(Debug)]
pub(crate) struct LocalServer {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    thread: ServerThread,
}

impl LocalServer {
    /// Starts a server with the default settings, on a free port.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a server with the default settings after `change`.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        // The same tests must pass with and without the takeover of connections.
        let takeover = std::env::var_os("TAILWATER_TEST_WITHOUT_TAKEOVER").is_none();
        let mut config = Config {
            workers: Some(2),
            store: StoreKind::Memory,
            takeover,
            ..Config::default()
        };
        change(&mut config);
        Self::over(serve(config))
    }

    /// Serves a listener with `serve` until it is told to stop.
    pub(crate) fn run<F>(serve: impl FnOnce(TcpListener, Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>>,
    {
        let ip = Ipv4Addr::LOCALHOST.into();
        Self::over(ServerThread::start(ip, move |listener, shutdown| {
            actix_web::rt::System::new().block_on(serve(listener, shutdown))
        }))
    }

    fn over(thread: ServerThread) -> Self {
        Self {
            address: thread.address,
            http: client(),
            thread,
        }
    }

    /// The URL of a target on this server.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Sends a request without a body and reads the whole response.
    pub(crate) async fn ask(&self, method: Method, target: &str) -> Response {
        self.send(self.http.request(method, self.url(target))).await
    }

    /// Sends a request and reads the whole response.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Response {
        within("a response", async {
            whole(request.send().await.unwrap()).await
        })
        .await
    }

    /// Creates a stream.
    pub(crate) async fn stream(&self, name: &str, content_type: &'static str) -> LocalStream<'_> {
        let stream = self.at(name, content_type);
        let answer = self
            .send(
                stream
                    .request(Method::PUT, "")
                    .header(CONTENT_TYPE, content_type),
            )
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        stream
    }

    /// The stream `name`, whether it exists or not.
    pub(crate) fn at(&self, name: &str, content_type: &'static str) -> LocalStream<'_> {
        LocalStream {
            server: self,
            name: name.to_owned(),
            content_type,
        }
    }

    /// Sends a PUT to the stream `name` with these header fields and this body.
    pub(crate) async fn put(
        &self,
        name: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Response {
        let mut request = self
            .http
            .put(self.url(&format!("/v1/stream/{name}")))
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Opens a raw connection.
    pub(crate) async fn connect(&self) -> RawConnection {
        RawConnection::open(self.address).await
    }

    /// Opens a connection and sends a request line and header fields, each with its line end.
    pub(crate) async fn ask_raw(&self, line: &str, headers: &str) -> RawConnection {
        let mut wire = self.connect().await;
        let host = self.address;
        wire.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"))
            .await;
        wire
    }

    /// A connection whose long-poll for `target` is held by the server.
    pub(crate) async fn waiting(&self, target: &str) -> RawConnection {
        let mut wire = self.connect().await;
        self.wait_on(&mut wire, target).await;
        wire
    }

    /// Sends a long-poll for `target` on a connection, and returns once the server holds it.
    pub(crate) async fn wait_on(&self, wire: &mut RawConnection, target: &str) {
        let name = target
            .strip_prefix("/v1/stream/")
            .and_then(|rest| rest.split('?').next())
            .unwrap();
        let readers = async || -> Vec<f64> {
            let answer = self.ask(Method::GET, &format!("/v1/streams/{name}")).await;
            let details: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let readers = details["readers"].as_array().unwrap();
            let seconds = |reader: &serde_json::Value| reader["seconds"].as_f64().unwrap();
            readers.iter().map(seconds).collect()
        };
        let before = readers().await.len();
        // A reader that has just been answered may still be counted, but it has existed since
        // before this point.
        let since = Instant::now();
        let host = self.address;
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        until("a waiting reader", async || {
            let passed = since.elapsed().as_secs_f64();
            let now = readers().await;
            let is_new = |seconds: &f64| *seconds < passed;
            (now.len() > before || now.iter().any(is_new)).then_some(())
        })
        .await;
    }

    /// Tells the server to stop, without waiting.
    pub(crate) fn tell_to_stop(&mut self) {
        self.thread.tell_to_stop();
    }

    /// Waits until the server has returned from a stop.
    pub(crate) async fn stopped(&mut self) {
        self.thread.stopped().await;
    }
}

/// A response with its whole body.
pub(crate) async fn whole(response: reqwest::Response) -> Response {
    let (status, fields) = (response.status().as_u16(), response.headers().clone());
    Response::new(status, &fields, response.bytes().await.unwrap())
}

/// A client that follows no redirects, decodes no content and uses no proxy.
pub(crate) fn client() -> reqwest::Client {
    // Only the first call installs the provider. There is no TLS here, but the client requires one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A stream on a server.
#[derive(Debug, Clone)]
pub(crate) struct LocalStream<'a> {
    pub(crate) server: &'a LocalServer,
    pub(crate) name: String,
    pub(crate) content_type: &'static str,
}

impl LocalStream<'_> {
    /// Path and query.
    pub(crate) fn target(&self, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/v1/stream/{}{mark}{query}", self.name)
    }

    pub(crate) fn request(&self, method: Method, query: &str) -> reqwest::RequestBuilder {
        self.server
            .http
            .request(method, self.server.url(&self.target(query)))
    }

    /// Sends a POST with the stream's own content type.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Response {
        self.server
            .send(
                self.request(Method::POST, "")
                    .header(CONTENT_TYPE, self.content_type)
                    .body(body),
            )
            .await
    }

    /// Appends, and returns the tail afterwards.
    pub(crate) async fn append(&self, body: impl Into<reqwest::Body>) -> String {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.next_offset()
    }

    /// Closes the stream without data, and returns its tail.
    pub(crate) async fn close(&self) -> String {
        let answer = self
            .server
            .send(
                self.request(Method::POST, "")
                    .header(headers::STREAM_CLOSED, "true"),
            )
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.next_offset()
    }

    pub(crate) async fn delete(&self) {
        assert_eq!(
            self.server
                .send(self.request(Method::DELETE, ""))
                .await
                .status,
            204
        );
    }

    /// Sends a GET and returns the response, whatever its status is.
    pub(crate) async fn get(&self, query: &str) -> Response {
        self.server.send(self.request(Method::GET, query)).await
    }

    /// All pages from `offset` to the tail.
    pub(crate) async fn pages(&self, offset: &str) -> Vec<Response> {
        let mut pages = Vec::new();
        let mut from = offset.to_owned();
        loop {
            let page = self.get(&format!("offset={from}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            let next = page.next_offset();
            let is_last = page.is(headers::STREAM_UP_TO_DATE);
            assert!(
                is_last || next > from,
                "a page before the last must advance: {page:?}"
            );
            assert!(pages.len() < 10_000, "too many pages");
            pages.push(page);
            if is_last {
                return pages;
            }
            from = next;
        }
    }

    /// The tail, as returned by HEAD.
    pub(crate) async fn tail(&self) -> String {
        self.server
            .send(self.request(Method::HEAD, ""))
            .await
            .next_offset()
    }
}
