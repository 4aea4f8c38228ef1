//! A server of its own for each test, and the words in which tests speak to it.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_protocol::{Problem, headers};
use tokio::sync::oneshot;

/// What no wait in a test may exceed; nothing is expected to come near it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// The media type of JSON streams.
pub(crate) const JSON: &str = "application/json";
/// The media type of text streams.
pub(crate) const TEXT: &str = "text/plain";
/// The media type of streams of bytes.
pub(crate) const BINARY: &str = "application/octet-stream";

/// `future`, or a failure that says what was waited for.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// Asks again and again until `look` finds something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let again = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(what, again).await
}

/// A running server; told to stop when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<std::io::Result<()>>>,
}

impl Server {
    /// With the settings of the bare command line, on a free port.
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// With the settings that `change` makes of those.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        // The same tests hold with the hand-off of live readers and without it.
        let hand_off = std::env::var_os("TAILWATER_TEST_WITHOUT_HAND_OFF").is_none();
        let mut config = Config {
            workers: Some(2),
            store: StoreKind::Memory,
            hand_off,
            ..Config::default()
        };
        change(&mut config);
        Self::run(move |listener, shutdown| tailwater::server::run(listener, config, shutdown))
    }

    /// Anything that serves a listener until it is told to stop, on a thread of its own.
    pub(crate) fn run<F>(serve: impl FnOnce(TcpListener, Shutdown) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let shutdown: Shutdown = Box::pin(async move {
                let _dropped_means_stop = stopped.await;
            });
            let outcome = actix_web::rt::System::new().block_on(serve(listener, shutdown));
            let _nobody_waits = end.send(outcome);
        });
        Self {
            address,
            http: client(),
            stop: Some(stop),
            ended: Some(ended),
        }
    }

    /// The URL of something on this server.
    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Sends a request without a body and reads the answer whole.
    pub(crate) async fn ask(&self, method: Method, target: &str) -> Answer {
        self.send(self.http.request(method, self.url(target))).await
    }

    /// Sends a request and reads the answer whole.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        within("an answer", async {
            Answer::of(request.send().await.unwrap()).await
        })
        .await
    }

    /// Creates a stream.
    pub(crate) async fn stream(&self, name: &str, content_type: &'static str) -> Stream<'_> {
        let stream = Stream {
            server: self,
            name: name.to_owned(),
            content_type,
        };
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

    /// Tells the server to stop, without waiting.
    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has returned from a stop.
    pub(crate) async fn stopped(&mut self) {
        let ended = self.ended.take().unwrap();
        within("the server to return after a stop", ended)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Done when the server shall stop.
pub(crate) type Shutdown = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A client that follows nothing, decodes nothing and asks no proxy.
pub(crate) fn client() -> reqwest::Client {
    // Only the first call installs it; there is no TLS here, but the client wants to know how it would be done.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A stream on a server.
#[derive(Debug, Clone)]
pub(crate) struct Stream<'a> {
    pub(crate) server: &'a Server,
    pub(crate) name: String,
    pub(crate) content_type: &'static str,
}

impl Stream<'_> {
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

    /// POSTs with the stream's own content type.
    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.server
            .send(
                self.request(Method::POST, "")
                    .header(CONTENT_TYPE, self.content_type)
                    .body(body),
            )
            .await
    }

    /// Appends, and says where the stream then ends.
    pub(crate) async fn append(&self, body: impl Into<reqwest::Body>) -> String {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.next()
    }

    /// Closes without data, and says where the stream ends.
    pub(crate) async fn close(&self) -> String {
        let answer = self
            .server
            .send(
                self.request(Method::POST, "")
                    .header(headers::STREAM_CLOSED, "true"),
            )
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.next()
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

    /// GETs, whatever comes.
    pub(crate) async fn get(&self, query: &str) -> Answer {
        self.server.send(self.request(Method::GET, query)).await
    }

    /// Everything from `offset` on, page after page, as the bodies came.
    pub(crate) async fn pages(&self, offset: &str) -> Vec<Answer> {
        let mut pages = Vec::new();
        let mut from = offset.to_owned();
        loop {
            let page = self.get(&format!("offset={from}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            let next = page.next();
            let is_last = page.is(headers::STREAM_UP_TO_DATE);
            assert!(
                is_last || next > from,
                "a page that is not the last moves on: {page:?}"
            );
            assert!(pages.len() < 10_000, "pages without end");
            pages.push(page);
            if is_last {
                return pages;
            }
            from = next;
        }
    }

    /// The tail, as HEAD tells it.
    pub(crate) async fn tail(&self) -> String {
        self.server
            .send(self.request(Method::HEAD, ""))
            .await
            .next()
    }
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            body: response.bytes().await.unwrap(),
        }
    }

    /// A header's text, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Whether a boolean header is `true`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.header(name) == Some("true")
    }

    /// `Stream-Next-Offset`.
    pub(crate) fn next(&self) -> String {
        let next = self.header(headers::STREAM_NEXT_OFFSET);
        next.unwrap_or_else(|| panic!("no Stream-Next-Offset in {self:?}"))
            .to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Checks that this refuses with `status` and a problem document that agrees with it, and returns the document.
    pub(crate) fn refuses(&self, status: u16) -> Problem {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some(Problem::CONTENT_TYPE),
            "{self:?}"
        );
        let problem =
            Problem::parse(&self.body).unwrap_or_else(|| panic!("no problem document: {self:?}"));
        assert_eq!(problem.status, status, "{problem:?}");
        for text in [&problem.kind, &problem.title, &problem.detail] {
            assert!(!text.is_empty(), "{problem:?}");
        }
        problem
    }
}
