//! The native driver: reqwest for HTTP, tokio-tungstenite for WebSocket, inside a tokio runtime.

mod append;
mod refusal;
mod transfer;
mod websocket;

pub use super::drive::Follower;
pub use crate::reader::FollowOptions;
pub use append::{StreamWriteError, StreamWriter, WriteReceipt};
pub use transfer::TransferError;

use super::drive::{self, Transport, TransportEvent};
use crate::FollowReport;
use crate::reader::{ReadRequest, StreamReader, StreamResponseHead};
use futures_util::stream::{self, BoxStream, StreamExt};
use rustls_platform_verifier::BuilderVerifierExt;
use std::error::Error;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tailwater_protocol::TechniqueKind;

/// Timeout for establishing a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an idle connection is kept; longer than usual poll intervals.
const IDLE_MAX: Duration = Duration::from_secs(85);

/// An HTTP and WebSocket client with one TLS configuration. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct NativeClient {
    /// For reads, which follow redirects.
    http: reqwest::Client,
    /// For requests with side effects.
    writes: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
}

/// The client can't be set up: TLS or the system's certificates are unusable.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't be set up: {0}")]
pub struct SetupError(String);

impl NativeClient {
    /// A client that trusts the certificates of this system.
    ///
    /// # Errors
    /// [`SetupError`] when there is no usable TLS on this system.
    pub fn new() -> Result<Self, SetupError> {
        let setup = |fault: &(dyn Error + 'static)| SetupError(error_text(fault));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|fault| setup(&fault))?
            .with_no_client_auth();
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("tailwater/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_MAX)
                .pool_idle_timeout(IDLE_MAX)
                .tcp_nodelay(true)
        };
        let http = builder().build().map_err(|fault| setup(&fault))?;
        let writes = builder()
            .redirect(refusal::redirect_policy())
            .build()
            .map_err(|fault| setup(&fault))?;
        Ok(Self {
            http,
            writes,
            tls: Arc::new(tls),
        })
    }

    /// Follows a stream while the returned future is polled; dropping it aborts the current request.
    ///
    /// - `on_report`: called for every report, in order; returns whether to continue. Nothing is read while it runs, so a
    ///   slow callback applies backpressure to the server.
    pub async fn run(
        &self,
        stream_url: &str,
        options: FollowOptions,
        on_report: impl FnMut(FollowReport) -> ControlFlow<()>,
    ) {
        let (follower, control) = Follower::new();
        drive::drive(
            self.transport(stream_url),
            StreamReader::new(options),
            control,
            on_report,
        )
        .await;
        drop(follower);
    }

    /// Follows a stream in a task of its own, until the stream ends or the [`Follower`] is dropped.
    ///
    /// Must be called within a tokio runtime.
    pub fn follow(
        &self,
        stream_url: &str,
        options: FollowOptions,
        mut on_report: impl FnMut(FollowReport) + Send + 'static,
    ) -> Follower {
        let (follower, control) = Follower::new();
        let on_report = move |report| {
            on_report(report);
            ControlFlow::Continue(())
        };
        tokio::spawn(drive::drive(
            self.transport(stream_url),
            StreamReader::new(options),
            control,
            on_report,
        ));
        follower
    }

    fn transport(&self, stream_url: &str) -> NativeTransport {
        NativeTransport {
            client: self.clone(),
            stream_url: stream_url.to_owned(),
            begin: Instant::now(),
        }
    }
}

/// Follows a stream with a client of its own; see [`NativeClient::follow`].
///
/// # Errors
/// [`SetupError`] when there is no usable TLS on this system.
pub fn follow(
    stream_url: &str,
    options: FollowOptions,
    on_report: impl FnMut(FollowReport) + Send + 'static,
) -> Result<Follower, SetupError> {
    Ok(NativeClient::new()?.follow(stream_url, options, on_report))
}

#[derive(Debug)]
struct NativeTransport {
    client: NativeClient,
    stream_url: String,
    begin: Instant,
}

impl Transport for NativeTransport {
    type Response = BoxStream<'static, TransportEvent>;
    type Sleep = Pin<Box<tokio::time::Sleep>>;

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> Self::Sleep {
        Box::pin(tokio::time::sleep_until((self.begin + at).into()))
    }

    fn send(&self, request: &ReadRequest) -> Self::Response {
        let url = drive::with_query(&self.stream_url, &request.query);
        match request.technique.kind() {
            TechniqueKind::Websocket => {
                websocket::connect(drive::websocket_url(&url), Arc::clone(&self.client.tls))
            }
            TechniqueKind::Polling | TechniqueKind::LongPolling | TechniqueKind::Streaming => {
                get(self.client.http.get(url))
            }
        }
    }
}

/// The state of a request and its response.
enum GetState {
    Unsent(reqwest::RequestBuilder),
    Started(reqwest::Response),
    Done,
}

fn get(request: reqwest::RequestBuilder) -> BoxStream<'static, TransportEvent> {
    stream::unfold(GetState::Unsent(request), |state| async {
        match state {
            GetState::Unsent(request) => Some(match request.send().await {
                Ok(response) => (
                    TransportEvent::Head(head(&response)),
                    GetState::Started(response),
                ),
                Err(fault) => (TransportEvent::Fault(error_text(&fault)), GetState::Done),
            }),
            GetState::Started(mut response) => Some(match response.chunk().await {
                Ok(Some(bytes)) => (TransportEvent::Piece(bytes), GetState::Started(response)),
                Ok(None) => (TransportEvent::End, GetState::Done),
                Err(fault) => (TransportEvent::Fault(error_text(&fault)), GetState::Done),
            }),
            GetState::Done => None,
        }
    })
    .boxed()
}

fn head(response: &reqwest::Response) -> StreamResponseHead {
    let headers = response.headers();
    StreamResponseHead::read(response.status().as_u16(), since_1970(), |name| {
        headers.get(name)?.to_str().ok().map(str::to_owned)
    })
}

fn since_1970() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// An error and its root cause: `error sending request: Connection refused (os error 111)`.
///
/// Without the errors between them, and without the URL, whose query may contain secrets.
fn error_text(fault: &(dyn Error + 'static)) -> String {
    let text = without_url(&fault.to_string());
    let mut cause = fault;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let deepest = without_url(&cause.to_string());
    if text.contains(&deepest) {
        text
    } else {
        format!("{text}: {deepest}")
    }
}

fn without_url(text: &str) -> String {
    match text.find(" for url (") {
        Some(at) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}
