//! What a subscription was asked to be: parsed at the edge, normalised, and comparable by its hash.

use super::glob::{Glob, GlobError};
use super::state::DeliveryWay;
use super::target::{self, WebhookUrlError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;
use tailwater_core::{NameError, StreamName};
use tailwater_protocol::percent;

/// The lease of a subscription that asks for none, in milliseconds.
const LEASE_DEFAULT_MS: u64 = 30_000;
/// The shortest and the longest lease, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 1024;

/// The longest host name with a port, in bytes.
const HOST_BYTES_MAX: usize = 261;

/// What a client calls a subscription.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriptionId(String);

impl SubscriptionId {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// The id that `text` spells: one segment of a path, percent-decoded.
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

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a worker calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerName(String);

impl WorkerName {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// The name that `text` spells: 1 to 256 bytes.
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

/// The URL under which a request's `Host` header knows this server; it is kept with the subscription.
///
/// # Errors
/// [`DefinitionError::Host`] when it is not a host and perhaps a port, in at most 261 bytes (400).
pub fn base_url(host: &str) -> Result<String, DefinitionError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_plain) {
        return Ok(format!("http://{host}"));
    }
    Err(DefinitionError::Host)
}

/// What a PUT asks for, as JSON; unknown fields are left aside, as extensions of the protocol may have them.
#[derive(Debug, Clone, Deserialize)]
pub struct DefinitionRequest {
    #[serde(rename = "type")]
    way: AskedWay,
    pattern: Option<String>,
    #[serde(default)]
    streams: Vec<String>,
    webhook: Option<AskedWebhook>,
    wake_stream: Option<String>,
    lease_ttl_ms: Option<u64>,
    description: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AskedWay {
    Webhook,
    PullWake,
}

#[derive(Debug, Clone, Deserialize)]
struct AskedWebhook {
    url: String,
}

/// What a subscription was asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// How its wakes reach a worker, and where.
    pub delivery: Delivery,
    /// Streams to follow, those to come included.
    pub pattern: Option<Glob>,
    /// Streams to follow by name.
    pub streams: BTreeSet<StreamName>,
    /// How long a worker holds the lease without a sign of life.
    pub lease_ttl: Duration,
    /// For people.
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

/// What is wrong with a request for a subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Not an id.
    #[error(
        "the subscription's id must be one path segment of 1 to 128 bytes without control characters"
    )]
    Id,
    /// A worker's name that is empty or too long.
    #[error("`worker` has {0} bytes: expected 1 to {max}", max = WorkerName::BYTES_MAX)]
    Worker(usize),
    /// A `Host` header that callback URLs can't be made of.
    #[error("the Host header must be a host and perhaps a port, in at most {HOST_BYTES_MAX} bytes")]
    Host,
    /// Neither pattern nor streams.
    #[error("neither `pattern` nor `streams` is given: expected at least one of them")]
    NothingToFollow,
    /// A pattern that is none.
    #[error(transparent)]
    Pattern(#[from] GlobError),
    /// A path that can't name a stream.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path that belongs to the server.
    #[error("`{0}` is reserved: paths under __ds are no streams")]
    Reserved(String),
    /// A field that this type needs is missing.
    #[error("`{0}` is missing, which a subscription of this type needs")]
    Missing(&'static str),
    /// A lease that is too short or too long.
    #[error("`lease_ttl_ms` is {0}: expected 1000 to 600000")]
    Lease(u64),
    /// A description that is too long.
    #[error("`description` has {0} bytes, the limit is {DESCRIPTION_BYTES_MAX}")]
    Description(usize),
    /// The wake stream is among the streams that wake.
    #[error("`wake_stream` can't be one of `streams`: each wake would cause the next")]
    WakesItself,
    /// The webhook may not go there.
    #[error(transparent)]
    Target(#[from] WebhookUrlError),
}

impl Definition {
    /// What `asked` comes to.
    ///
    /// - `allow_local`: webhooks may go to this machine.
    ///
    /// # Errors
    /// All of [`DefinitionError`] (400).
    pub fn new(asked: DefinitionRequest, allow_local: bool) -> Result<Self, DefinitionError> {
        let pattern = asked
            .pattern
            .filter(|text| !text.is_empty())
            .map(|text| Glob::parse(&text))
            .transpose()?;
        let streams = names(&asked.streams)?;
        if pattern.is_none() && streams.is_empty() {
            return Err(DefinitionError::NothingToFollow);
        }
        let lease_ms = asked.lease_ttl_ms.unwrap_or(LEASE_DEFAULT_MS);
        if !LEASE_MS.contains(&lease_ms) {
            return Err(DefinitionError::Lease(lease_ms));
        }
        if let Some(text) = asked
            .description
            .as_ref()
            .filter(|text| text.len() > DESCRIPTION_BYTES_MAX)
        {
            return Err(DefinitionError::Description(text.len()));
        }
        let delivery = match asked.way {
            AskedWay::Webhook => {
                let url = asked
                    .webhook
                    .ok_or(DefinitionError::Missing("webhook.url"))?
                    .url;
                target::check(&url, allow_local)?;
                Delivery::Webhook(url)
            }
            AskedWay::PullWake => {
                let wake_stream = name(
                    &asked
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
            description: asked.description,
        })
    }

    /// How its wakes reach a worker.
    pub fn way(&self) -> DeliveryWay {
        match self.delivery {
            Delivery::Webhook(_) => DeliveryWay::Webhook,
            Delivery::PullWake(_) => DeliveryWay::PullWake,
        }
    }

    /// The stream that its wakes are written to.
    pub fn wake_stream(&self) -> Option<&StreamName> {
        match &self.delivery {
            Delivery::Webhook(_) => None,
            Delivery::PullWake(stream) => Some(stream),
        }
    }

    /// Whether the pattern makes `name` one of its streams. Its own wake stream never is: each wake would cause the next.
    pub fn matches(&self, name: &StreamName) -> bool {
        self.pattern.as_ref().is_some_and(|glob| glob.matches(name))
            && self.wake_stream() != Some(name)
    }

    /// The same for the same configuration and for no other, however it was written.
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
        // Strings, numbers and lists always have a JSON form.
        let text = serde_json::to_vec(&canonical).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, &text))
    }

    /// The lease in the unit of the protocol.
    pub fn lease_ttl_ms(&self) -> u64 {
        u64::try_from(self.lease_ttl.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The streams that `texts` name, each once; a leading slash does not count.
///
/// # Errors
/// [`DefinitionError::Name`], [`DefinitionError::Reserved`] (400).
pub fn names(texts: &[String]) -> Result<BTreeSet<StreamName>, DefinitionError> {
    texts.iter().map(|text| name(text)).collect()
}

/// The stream that `text` names; a leading slash does not count.
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

/// The stream that a part of a URL's path names, percent-decoded once; its slashes may be escaped, too.
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
        let asked = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Definition::new(asked, true).map_err(|error| error.to_string())
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
    fn the_hash_tells_configurations_apart_but_not_ways_of_writing_them() {
        let hash = |value| define(value).unwrap().hash();
        let plain = hash(changed("ignored", json!(1)));
        for same in [
            changed("streams", json!(["/a", "b", "a"])),
            changed("pattern", json!("/events/*")),
            // Not a part of how a webhook is delivered.
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
    fn what_is_no_subscription_is_refused_in_words() {
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
