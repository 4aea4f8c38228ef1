//! Sends wakes to webhooks by HTTP: one POST to a checked address, no redirects, no proxies, with a
//! time limit.

use super::target;
use super::webhook::{Posting, Receipt, WebhookRequest, WebhookTransport};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::headers::content_length;

/// Time limit for connecting.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next wake.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Maximum response that is read; `{"done":true}` needs little.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Sends wakes by HTTP and HTTPS.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    http: reqwest::Client,
    allow_local: bool,
    /// Why https is not available, if so: the system trusts no certificates.
    no_https: Option<String>,
}

impl WebhookClient {
    /// A client that trusts the system's certificates. Without any, as in a minimal container, the
    /// server still runs, and webhooks over https report what is missing.
    ///
    /// - `allow_local`: allow webhooks on this machine, over plain http.
    ///
    /// # Errors
    /// A text, when the client can't be set up at all.
    pub fn new(allow_local: bool) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| with_causes(&fault))?;
        let (tls, no_https) = match builder.clone().with_platform_verifier() {
            Ok(builder) => (builder.with_no_client_auth(), None),
            Err(fault) => {
                let reason = format!(
                    "this system trusts no certificates (install ca-certificates): {}",
                    with_causes(&fault)
                );
                let empty_store = rustls::RootCertStore::empty();
                (
                    builder
                        .with_root_certificates(empty_store)
                        .with_no_client_auth(),
                    Some(reason),
                )
            }
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("tailwater/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(CheckedNames { allow_local }))
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_nodelay(true)
            .build()
            .map_err(|fault| with_causes(&fault))?;
        Ok(Self {
            http,
            allow_local,
            no_https,
        })
    }
}

impl WebhookTransport for WebhookClient {
    fn post(&self, request: WebhookRequest) -> Posting {
        let Self {
            http,
            allow_local,
            no_https,
        } = self.clone();
        Box::pin(async move {
            // Checked again: the subscription may have been created with other settings. Addresses
            // in the URL are checked here, names when they are resolved.
            let url =
                target::check(&request.url, allow_local).map_err(|fault| fault.to_string())?;
            if let Some(reason) = no_https.filter(|_| url.scheme() == "https") {
                return Err(reason);
            }
            let request = http
                .post(url)
                .timeout(request.within)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .header(SIGNATURE, request.signature)
                .body(request.body);
            let answer = request
                .send()
                .await
                .map_err(|fault| with_causes(&fault.without_url()))?;
            let status = answer.status();
            if !status.is_success() {
                return Err(format!("it responded {status}, expected 200 to 299"));
            }
            Ok(receipt(answer).await)
        })
    }
}

/// Parses the body of a success. The wake was accepted in any case, so an invalid body counts as
/// empty.
async fn receipt(mut answer: reqwest::Response) -> Receipt {
    #[derive(Deserialize)]
    struct WebhookReply {
        #[serde(default)]
        done: bool,
    }
    let announced = answer
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| content_length(value.as_bytes()));
    if announced.is_some_and(|bytes| bytes > ANSWER_BYTES_MAX) {
        return Receipt::Accepted;
    }
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) if (body.len() + piece.len()) as u64 <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&piece);
            }
            Ok(None) => break,
            // Too long or truncated: the part received may be valid JSON by accident.
            Ok(Some(_)) | Err(_) => return Receipt::Accepted,
        }
    }
    match tailwater_protocol::document::read(&body) {
        Ok(WebhookReply { done: true }) => Receipt::Done,
        _ => Receipt::Accepted,
    }
}

/// Resolves names to allowed addresses, all of them or none.
#[derive(Debug)]
struct CheckedNames {
    allow_local: bool,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_local = self.allow_local;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
            target::check_addresses(name.as_str(), &addresses, allow_local)?;
            let checked: Addrs = Box::new(found.into_iter());
            Ok(checked)
        })
    }
}

/// An error and its causes, innermost last.
fn with_causes(fault: &(dyn Error + 'static)) -> String {
    let mut text = fault.to_string();
    let mut inner = fault.source();
    while let Some(cause) = inner {
        text = format!("{text}: {cause}");
        inner = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_unless_allowed() {
        let resolve =
            |allow_local| CheckedNames { allow_local }.resolve("localhost".parse().unwrap());
        let refused = resolve(false).await.err().map(|fault| fault.to_string());
        assert!(
            refused
                .as_ref()
                .is_some_and(|text| text.contains("not a public address")),
            "{refused:?}"
        );
        assert!(
            resolve(true)
                .await
                .unwrap()
                .all(|address| address.ip().is_loopback())
        );
    }

    #[tokio::test]
    async fn a_url_is_checked_again_before_each_delivery() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let request = WebhookRequest {
            url,
            body: Bytes::new(),
            signature: "t=1".to_owned(),
            within: Duration::from_secs(5),
        };
        let refused = WebhookClient::new(false).unwrap().post(request).await;
        assert!(
            refused
                .as_ref()
                .is_err_and(|reason| reason.contains("--webhook-allow-local")),
            "{refused:?}"
        );
        assert!(listener.accept().is_err(), "expected no connection");
    }
}
