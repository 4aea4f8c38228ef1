//! Sends wakes to webhooks by HTTP: one POST to an address that was checked, no redirects, no proxies, within a time.

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

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for the next wake.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How much of an answer is read; `{"done":true}` needs little.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Sends wakes by HTTP and HTTPS.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    http: reqwest::Client,
    allow_local: bool,
    /// Why https can't be spoken, if it can't: the system has no certificates that it trusts.
    no_https: Option<String>,
}

impl WebhookClient {
    /// A client that trusts what this system trusts. Where that is nothing, as in a container without certificates, the
    /// server still runs, and webhooks over https say what is missing.
    ///
    /// - `allow_local`: webhooks may be on this machine, by plain http.
    ///
    /// # Errors
    /// In words, when the client can't be set up at all.
    pub fn new(allow_local: bool) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| in_words(&fault))?;
        let (tls, no_https) = match builder.clone().with_platform_verifier() {
            Ok(builder) => (builder.with_no_client_auth(), None),
            Err(fault) => {
                let reason = format!(
                    "this system trusts no certificates (install ca-certificates): {}",
                    in_words(&fault)
                );
                let nobody = rustls::RootCertStore::empty();
                (
                    builder.with_root_certificates(nobody).with_no_client_auth(),
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
            .map_err(|fault| in_words(&fault))?;
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
            // Again: the subscription may have been made when this server allowed more. Addresses in the URL itself are
            // checked here, names when they are resolved.
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
                .map_err(|fault| in_words(&fault.without_url()))?;
            let status = answer.status();
            if !status.is_success() {
                return Err(format!("it answered {status}: expected 200 to 299"));
            }
            Ok(receipt(answer).await)
        })
    }
}

/// What the body of a success says. The wake was taken in any case, so a body that can't be read is none.
async fn receipt(mut answer: reqwest::Response) -> Receipt {
    #[derive(Deserialize)]
    struct Says {
        #[serde(default)]
        done: bool,
    }
    let announced = answer
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > ANSWER_BYTES_MAX) {
        return Receipt::Taken;
    }
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(piece)) if body.len() + piece.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&piece);
            }
            Ok(None) => break,
            // Too long, or it broke off: what came may look whole and is not.
            Ok(Some(_)) | Err(_) => return Receipt::Taken,
        }
    }
    match tailwater_protocol::document::read(&body) {
        Ok(Says { done: true }) => Receipt::Done,
        _ => Receipt::Taken,
    }
}

/// Resolves names to addresses that may be connected to, all of them or none.
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

/// A failure with what caused it, innermost last.
fn in_words(fault: &(dyn Error + 'static)) -> String {
    let mut words = fault.to_string();
    let mut inner = fault.source();
    while let Some(cause) = inner {
        words = format!("{words}: {cause}");
        inner = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::net::TcpListener;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to_unless_that_is_allowed() {
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
    async fn a_url_is_checked_again_when_the_wake_leaves() {
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
        assert!(listener.accept().is_err(), "nobody connected");
    }
}
