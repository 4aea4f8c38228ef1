//! The JSON of subscriptions: the subscription itself, and a wake as a webhook, an event and a
//! claim.
//!
//! Source: Durable Streams protocol, sections 6.3, 7.1 and 7.2.

use super::definition::{Delivery, SubscriptionId};
use super::note::SubscriptionRecord;
use super::signing::Keys;
use super::state::{Moment, StreamInfo, SubscriptionState, WakeKey};
use serde::Serialize;
use std::time::Duration;
use tailwater_core::StreamName;
use tailwater_protocol::{percent, timestamp};

/// The response to a GET of a subscription.
pub type SubscriptionView = DescribedSubscription<LinkViews>;
/// A subscription in the list.
pub type SubscriptionSummary = DescribedSubscription<LinkCounts>;

/// A page of the list of subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubscriptionList {
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionSummary>,
    /// The `after` of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The number of all subscriptions, independent of the query.
    pub total: usize,
}

/// A subscription, with its streams as `S` describes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DescribedSubscription<S> {
    id: String,
    subscription_id: String,
    r#type: &'static str,
    pattern: Option<String>,
    #[serde(flatten)]
    streams: S,
    webhook: Option<WebhookView>,
    wake_stream: Option<String>,
    lease_ttl_ms: u64,
    created_at: String,
    status: &'static str,
    paused: bool,
    description: Option<String>,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

/// How the streams of a subscription are described.
pub trait DescribeLinks {
    /// The description of the streams of `state`.
    fn of(state: &SubscriptionState) -> Self;
}

/// Each stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkViews {
    streams: Vec<LinkView>,
}

/// The number of streams, and of those with messages that are not acked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkCounts {
    stream_count: usize,
    pending_count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LinkView {
    path: String,
    link_type: &'static str,
    acked_offset: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct WebhookView {
    url: String,
    signing: SigningView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SigningView {
    alg: &'static str,
    kid: String,
    jwks_url: String,
}

/// A stream of a wake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WakeStreamView {
    #[serde(flatten)]
    link: LinkView,
    tail_offset: String,
    has_pending: bool,
}

/// The body of a webhook.
#[derive(Debug, Serialize)]
pub struct WebhookBody<'a> {
    /// Which subscription.
    pub subscription_id: &'a str,
    /// Which wake.
    pub wake_id: &'a str,
    /// Its generation.
    pub generation: u64,
    /// The linked streams.
    pub streams: Vec<WakeStreamView>,
    /// The URL to call back.
    pub callback_url: String,
    /// The token for that.
    pub callback_token: String,
}

/// The event on a wake stream.
#[derive(Debug, Serialize)]
pub struct WakeEvent<'a> {
    /// Always `wake`.
    pub r#type: &'static str,
    /// Which subscription.
    pub subscription_id: &'a str,
    /// The first stream with pending data.
    pub stream: &'a str,
    /// The wake's generation.
    pub generation: u64,
    /// Milliseconds since 1970.
    pub ts: u64,
}

/// The response to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimView {
    /// Which wake.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
    /// The token for acks.
    pub token: String,
    /// The linked streams.
    pub streams: Vec<WakeStreamView>,
    /// Time after which the lease of a worker that sends no requests expires.
    pub lease_ttl_ms: u64,
}

impl DescribeLinks for LinkViews {
    fn of(state: &SubscriptionState) -> Self {
        Self {
            streams: state.streams().map(|info| LinkView::new(&info)).collect(),
        }
    }
}

impl DescribeLinks for LinkCounts {
    fn of(state: &SubscriptionState) -> Self {
        Self {
            stream_count: state.links(),
            pending_count: state.pending_links(),
        }
    }
}

impl<S: DescribeLinks> DescribedSubscription<S> {
    /// A subscription as it is shown.
    ///
    /// - `base`: the server's URL, without a slash at the end.
    pub fn new(
        id: &SubscriptionId,
        record: &SubscriptionRecord,
        state: &SubscriptionState,
        keys: &Keys,
        base: &str,
    ) -> Self {
        let definition = &record.definition;
        let (r#type, webhook) = match &definition.delivery {
            Delivery::PullWake(_) => ("pull-wake", None),
            Delivery::Webhook(url) => {
                let jwks_url = format!("{base}/v1/stream/__ds/jwks.json");
                let signing = SigningView {
                    alg: "ed25519",
                    kid: keys.kid().to_owned(),
                    jwks_url,
                };
                (
                    "webhook",
                    Some(WebhookView {
                        url: url.clone(),
                        signing,
                    }),
                )
            }
        };
        let retry = state.retry();
        Self {
            id: id.to_string(),
            subscription_id: id.to_string(),
            r#type,
            pattern: definition.pattern.as_ref().map(ToString::to_string),
            streams: S::of(state),
            webhook,
            wake_stream: definition.wake_stream().map(ToString::to_string),
            lease_ttl_ms: definition.lease_ttl_ms(),
            created_at: rfc3339(record.created),
            status: if retry.is_some() { "failed" } else { "active" },
            paused: state.is_paused(),
            description: definition.description.clone(),
            generation: state.generation(),
            next_attempt_at: retry
                .filter(|_| !state.is_paused())
                .map(|retry| rfc3339(retry.at)),
            last_error: retry.map(|retry| retry.reason.clone()),
        }
    }
}

impl LinkView {
    fn new(info: &StreamInfo) -> Self {
        Self {
            path: info.path.to_string(),
            link_type: if info.explicit { "explicit" } else { "glob" },
            acked_offset: info.acked_offset().to_string(),
        }
    }
}

impl WakeStreamView {
    /// A stream of a wake.
    pub fn new(info: &StreamInfo) -> Self {
        let (tail_offset, has_pending) = (info.tail_offset().to_string(), info.has_pending());
        Self {
            link: LinkView::new(info),
            tail_offset,
            has_pending,
        }
    }
}

/// The webhook body for a wake.
pub fn webhook_body(
    id: &SubscriptionId,
    key: &WakeKey,
    streams: &[StreamInfo],
    callback_url: String,
    callback_token: String,
) -> Vec<u8> {
    let streams = streams.iter().map(WakeStreamView::new).collect();
    let (wake_id, generation) = (key.wake_id.as_str(), key.generation);
    let subscription_id = id.as_str();
    json(&WebhookBody {
        subscription_id,
        wake_id,
        generation,
        streams,
        callback_url,
        callback_token,
    })
}

/// The wake stream's event for a wake.
pub fn wake_event(
    id: &SubscriptionId,
    generation: u64,
    stream: &StreamName,
    now: Moment,
) -> Vec<u8> {
    let (subscription_id, stream) = (id.as_str(), stream.as_str());
    json(&WakeEvent {
        r#type: "wake",
        subscription_id,
        stream,
        generation,
        ts: now.0,
    })
}

/// The callback URL of a subscription.
pub fn callback_url(base: &str, id: &SubscriptionId) -> String {
    format!(
        "{base}/v1/stream/__ds/subscriptions/{}/callback",
        percent::encode_value(id.as_str())
    )
}

fn rfc3339(moment: Moment) -> String {
    timestamp::print(Duration::from_millis(moment.0))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and lists can always be serialized.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_url_decodes_to_its_subscription_id() {
        let url = |id: &str| callback_url("http://h:1", &SubscriptionId::parse(id).unwrap());
        assert_eq!(
            url("sub-1"),
            "http://h:1/v1/stream/__ds/subscriptions/sub-1/callback"
        );
        assert_eq!(
            url("a b?#é"),
            "http://h:1/v1/stream/__ds/subscriptions/a%20b%3F%23%C3%A9/callback"
        );
    }

    #[test]
    fn moments_are_printed_in_utc_with_milliseconds() {
        assert_eq!(
            rfc3339(Moment(1_778_324_210_007)),
            "2026-05-09T10:56:50.007Z"
        );
    }
}
