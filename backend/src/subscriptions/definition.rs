//! A subscription's configuration: parsed from a request, normalised, and compared by its hash.

use super::glob::{Glob, GlobError};
use super::state::DeliveryWay;
use super::target::{self, WebhookUrlError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use tailwater_core::{NameError, StreamName};
use tailwater_protocol::percent;

/// Default lease, in milliseconds.
const LEASE_DEFAULT_MS: u64 = 30_000;
/// Allowed leases, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// Maximum description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;

/// Maximum host name with port, in bytes.
const HOST_BYTES_MAX: usize = 261;

/// A subscription's id, chosen by the client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionId(String);

impl SubscriptionId {
    /// Maximum length in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Parses an id: one segment of a path, percent-decoded.
    ///
    /// # Errors
    /// [`DefinitionError::Id`] (400).
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let is_plain = |c: char| !c.is_control() && c != '/' && c != char::REPLACEMENT_CHARACTER;
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain);
        if fits && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(DefinitionError::Id)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SubscriptionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A worker's name, chosen by the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerName(String);

impl WorkerName {
    /// Maximum length in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Parses a name of 1 to 256 bytes.
    ///
    /// # Errors
    /// [`DefinitionError::Worker`] (400).
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(DefinitionError::Worker(text.len()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The server's URL according to a request's `Host` header; stored with the subscription.
///
/// # Errors
/// [`DefinitionError::Host`] when it is not a host with an optional port, in at most 261 bytes
/// (400).
pub fn base_url(host: &str) -> Result<String, DefinitionError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_plain) {
        return Ok(format!("http://{host}"));
    }
    Err(DefinitionError::Host)
}

/// The JSON body of a PUT; unknown fields are ignored, since extensions of the protocol may define
/// them.
#[derive(Debug, Clone, Deserialize)]
pub struct DefinitionRequest {
    #[serde(rename = "type")]
    way: RequestedType,
    pattern: Option<String>,
    #[serde(default)]
    streams: Vec<String>,
    webhook: Option<RequestedWebhook>,
    wake_stream: Option<String>,
    lease_ttl_ms: Option<u64>,
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RequestedType {
    Webhook,
    PullWake,
}

#[derive(Debug, Clone, Deserialize)]
struct RequestedWebhook {
    url: String,
}

/// A subscription's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// How its wakes reach a worker, and where.
    pub delivery: Delivery,
    /// Pattern of the streams to follow, including future ones.
    pub pattern: Option<Glob>,
    /// Streams to follow by name.
    pub streams: BTreeSet<StreamName>,
    /// Time after which the lease of a worker that sends no requests expires.
    pub lease_ttl: Duration,
    /// A description for people.
    pub description: Option<String>,
}

/// How wakes reach a worker, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// By a request to this URL.
    Webhook(String),
    /// By an event on this stream.
    PullWake(StreamName),
}

/// Why a configuration is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The id is invalid.
    #[error(
        "the subscription's id must be one path segment of 1 to 128 bytes without control characters"
    )]
    Id,
    /// A worker's name is empty or too long.
    #[error("`worker` has {0} bytes: expected 1 to {max}", max = WorkerName::BYTES_MAX)]
    Worker(usize),
    /// The `Host` header can't be used in a callback URL.
    #[error("the Host header must be a host and perhaps a port, in at most {HOST_BYTES_MAX} bytes")]
    Host,
    /// Neither pattern nor streams.
    #[error("neither `pattern` nor `streams` is given, expected at least one")]
    NothingToFollow,
    /// The pattern is invalid.
    #[error(transparent)]
    Pattern(#[from] GlobError),
    /// A path is no valid stream name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path is reserved for the server.
    #[error("`{0}` is reserved: paths under __ds are not streams")]
    Reserved(String),
    /// A field required by this type is missing.
    #[error("`{0}` is missing, which this type of subscription requires")]
    Missing(&'static str),
    /// The lease is out of range.
    #[error("`lease_ttl_ms` is {0}: expected 1000 to 600000")]
    Lease(u64),
    /// The description is too long.
    #[error("`description` has {0} bytes, the limit is {DESCRIPTION_BYTES_MAX}")]
    Description(usize),
    /// The wake stream is one of the followed streams.
    #[error("`wake_stream` can't be one of `streams`: each wake would cause the next")]
    WakesItself,
    /// The webhook's URL is not allowed.
    #[error(transparent)]
    Target(#[from] WebhookUrlError),
}

impl Definition {
    /// Validates a request.
    ///
    /// - `allow_local`: allow webhooks on this machine.
    ///
    /// # Errors
    /// All of [`DefinitionError`] (400).
    pub fn new(request: DefinitionRequest, allow_local: bool) -> Result<Self, DefinitionError> {
        let pattern = request
            .pattern
            .filter(|text| !text.is_empty())
            .map(|text| Glob::parse(&text))
            .transpose()?;
        let streams = names(&request.streams)?;
        if pattern.is_none() && streams.is_empty() {
            return Err(DefinitionError::NothingToFollow);
        }
        let lease_ms = request.lease_ttl_ms.unwrap_or(LEASE_DEFAULT_MS);
        if !LEASE_MS.contains(&lease_ms) {
            return Err(DefinitionError::Lease(lease_ms));
        }
        if let Some(text) = request
            .description
            .as_ref()
            .filter(|text| text.len() > DESCRIPTION_BYTES_MAX)
        {
            return Err(DefinitionError::Description(text.len()));
        }
        let delivery = match request.way {
            RequestedType::Webhook => {
                let url = request
                    .webhook
                    .ok_or(DefinitionError::Missing("webhook.url"))?
                    .url;
                target::check(&url, allow_local)?;
                Delivery::Webhook(url)
            }
            RequestedType::PullWake => {
                let wake_stream = name(
                    &request
                        .wake_stream
                        .ok_or(DefinitionError::Missing("wake_stream"))?,
                )?;
                if streams.contains(&wake_stream) {
                    return Err(DefinitionError::WakesItself);
                }
                Delivery::PullWake(wake_stream)
            }
        };
        let lease_ttl = Duration::from_millis(lease_ms);
        Ok(Self {
            delivery,
            pattern,
            streams,
            lease_ttl,
            description: request.description,
        })
    }

    /// How its wakes reach a worker.
    pub fn way(&self) -> DeliveryWay {
        match self.delivery {
            Delivery::Webhook(_) => DeliveryWay::Webhook,
            Delivery::PullWake(_) => DeliveryWay::PullWake,
        }
    }

    /// The stream that its wakes are appended to.
    pub fn wake_stream(&self) -> Option<&StreamName> {
        match &self.delivery {
            Delivery::Webhook(_) => None,
            Delivery::PullWake(stream) => Some(stream),
        }
    }

    /// Whether the pattern matches `name`. It never matches its own wake stream: each wake would
    /// cause the next.
    pub fn matches(&self, name: &StreamName) -> bool {
        self.pattern.as_ref().is_some_and(|glob| glob.matches(name))
            && self.wake_stream() != Some(name)
    }

    /// A hash that is equal for equal configurations only, however they were written.
    ///
    /// Source: Durable Streams protocol, section 6.2.
    pub fn hash(&self) -> String {
        #[derive(Serialize)]
        struct Canonical<'a> {
            r#type: &'static str,
            pattern: Option<&'a str>,
            streams: Vec<&'a str>,
            target: &'a str,
            lease_ttl_ms: u64,
            description: Option<&'a str>,
        }
        let (kind, target) = match &self.delivery {
            Delivery::Webhook(url) => ("webhook", url.as_str()),
            Delivery::PullWake(stream) => ("pull-wake", stream.as_str()),
        };
        let canonical = Canonical {
            r#type: kind,
            pattern: self.pattern.as_ref().map(Glob::as_str),
            streams: self.streams.iter().map(StreamName::as_str).collect(),
            target,
            lease_ttl_ms: self.lease_ttl_ms(),
            description: self.description.as_deref(),
        };
        // Strings, numbers and lists can always be serialized.
        let text = serde_json::to_vec(&canonical).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, &text))
    }

    /// The lease in milliseconds, the protocol's unit.
    pub fn lease_ttl_ms(&self) -> u64 {
        u64::try_from(self.lease_ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Parses stream names, without duplicates; a leading slash is ignored.
///
/// # Errors
/// [`DefinitionError::Name`], [`DefinitionError::Reserved`] (400).
pub fn names(texts: &[String]) -> Result<BTreeSet<StreamName>, DefinitionError> {
    texts.iter().map(|text| name(text)).collect()
}

/// Parses a stream name; a leading slash is ignored.
///
/// # Errors
/// As [`names`].
pub fn name(text: &str) -> Result<StreamName, DefinitionError> {
    let name = StreamName::parse(text.strip_prefix('/').unwrap_or(text))?;
    if name.is_reserved() {
        Err(DefinitionError::Reserved(name.to_string()))
    } else {
        Ok(name)
    }
}

/// Parses a stream name in a URL's path, percent-decoded once; its slashes may be escaped, too.
///
/// Source: Durable Streams protocol, section 6.4.
///
/// # Errors
/// As [`names`].
pub fn name_in_path(part: &str) -> Result<StreamName, DefinitionError> {
    name(&percent::decode(part).map_err(NameError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn define(value: Value) -> Result<Definition, String> {
        let request = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Definition::new(request, true).map_err(|error| error.to_string())
    }

    fn changed(field: &str, value: Value) -> Value {
        let mut whole = json!({
            "type": "webhook", "pattern": "events/*", "streams": ["b", "a"], "lease_ttl_ms": 1000, "description": "d",
            "webhook": {"url": "https://worker.example/hook"}, "wake_stream": "wake/pool"
        });
        whole[field] = value;
        whole
    }

    #[test]
    fn equal_configurations_have_equal_hashes() {
        let hash = |value| define(value).unwrap().hash();
        let plain = hash(changed("ignored", json!(1)));
        for same in [
            changed("streams", json!(["/a", "b", "a"])),
            changed("pattern", json!("/events/*")),
            // Not sent to webhooks.
            changed("wake_stream", Value::Null),
        ] {
            assert_eq!(hash(same), plain);
        }
        for other in [
            changed("type", json!("pull-wake")),
            changed("pattern", json!("events/**")),
            changed("pattern", Value::Null),
            changed("streams", json!(["a"])),
            changed("webhook", json!({"url": "https://worker.example/hook2"})),
            changed("lease_ttl_ms", json!(1001)),
            changed("lease_ttl_ms", Value::Null),
            changed("description", json!("e")),
            changed("description", Value::Null),
        ] {
            assert_ne!(hash(other.clone()), plain, "{other}");
        }
    }

    #[test]
    fn an_invalid_configuration_is_refused_with_its_reason() {
        for wrong in [
            changed("type", json!("push")),
            changed("type", Value::Null),
            changed("pattern", json!("a//b")),
            changed("streams", json!(["__ds/x"])),
            changed("streams", json!([""])),
            changed("streams", json!(["a/../b"])),
            changed("streams", json!("a")),
            changed("webhook", Value::Null),
            changed("webhook", json!({"url": "http://10.0.0.1/hook"})),
            changed("lease_ttl_ms", json!(999)),
            changed("lease_ttl_ms", json!(600_001)),
            changed("lease_ttl_ms", json!(-1)),
            changed("lease_ttl_ms", json!(1.5)),
            changed("description", json!("x".repeat(1025))),
            json!({"type": "webhook", "webhook": {"url": "https://worker.example/"}}),
            json!({"type": "pull-wake", "pattern": "a/*"}),
            json!({"type": "pull-wake", "streams": ["a"], "wake_stream": "a"}),
            json!({"type": "pull-wake", "streams": ["a"], "wake_stream": "__ds"}),
            json!([]),
        ] {
            assert!(define(wrong.clone()).is_err(), "{wrong}");
        }
        for wrong in ["", "a/b", ".", "..", "a\nb", &"x".repeat(129)] {
            assert!(SubscriptionId::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_wake_stream_does_not_wake_its_own_subscription() {
        let pull =
            define(json!({"type": "pull-wake", "pattern": "**", "wake_stream": "wake/pool"}))
                .unwrap();
        assert!(pull.matches(&name("wake/other").unwrap()));
        assert!(!pull.matches(&name("wake/pool").unwrap()));
    }
}
