//! Subscriptions: the requests that make, show and delete one, and what the server says of it.
//!
//! Source: Durable Streams protocol, section 6; docs/subscriptions.md.

use serde_json::Value;
use tailwater_protocol::percent::encode_path;

use crate::api::request::{ApiRequest, Confirmation};

/// A subscription that is to be made, as a person types it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionForm {
    /// Its id.
    pub id: String,
    /// Whether workers are woken by an event on a stream, and not by a webhook.
    pub pulls: bool,
    /// Which streams it follows: `logs/*`.
    pub pattern: String,
    /// The URL of the webhook, or the name of the wake stream.
    pub target: String,
}

/// What the server says of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionDetails {
    /// `active`, or `failed` while an attempt is awaited.
    pub status: String,
    /// Counts the wakes.
    pub generation: u64,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the next attempt is made, as RFC 3339 says it.
    pub next_attempt_at: Option<String>,
    /// The streams that it follows, each with the offset that has been acknowledged.
    pub cursors: Vec<[String; 2]>,
}

impl SubscriptionDetails {
    /// Reads them by name, which takes less code than a derived reader; `None` for anything else.
    pub fn parse(json: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(json).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let cursors = said["streams"].as_array()?.iter().map(|stream| {
            let part = |name: &str| text(&stream[name]).unwrap_or_default();
            [part("path"), part("acked_offset")]
        });
        Some(Self {
            status: text(&said["status"])?,
            generation: said["generation"].as_u64()?,
            last_error: text(&said["last_error"]),
            next_attempt_at: text(&said["next_attempt_at"]),
            cursors: cursors.collect(),
        })
    }
}

impl SubscriptionForm {
    /// Whether it has an id, which every request needs.
    pub fn is_named(&self) -> bool {
        !self.id.trim().is_empty()
    }

    fn request(&self, method: &'static str) -> ApiRequest {
        let id = encode_path(self.id.trim()).replace('/', "%2F");
        ApiRequest::new(method, format!("/v1/stream/__ds/subscriptions/{id}"))
    }

    /// Show it.
    pub fn show(&self) -> ApiRequest {
        self.request("GET")
    }

    /// Delete it.
    pub fn delete(&self) -> ApiRequest {
        ApiRequest {
            confirmation: Confirmation::NoContent,
            ..self.request("DELETE")
        }
    }

    /// Make it.
    pub fn create(&self) -> ApiRequest {
        let text = |text: &str| serde_json::to_string(text.trim()).unwrap_or_default();
        let (pattern, target) = (text(&self.pattern), text(&self.target));
        let body = if self.pulls {
            format!(r#"{{"type":"pull-wake","pattern":{pattern},"wake_stream":{target}}}"#)
        } else {
            format!(r#"{{"type":"webhook","pattern":{pattern},"webhook":{{"url":{target}}}}}"#)
        };
        self.request("PUT")
            .with("content-type", "application/json")
            .with_body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pulls: bool) -> SubscriptionForm {
        SubscriptionForm {
            id: " a b ".to_owned(),
            pulls,
            pattern: "logs/\"*".to_owned(),
            target: "wake/jobs".to_owned(),
        }
    }

    #[test]
    fn each_kind_has_its_body_and_every_request_its_line() {
        let line = |request: ApiRequest| request.curl("O");
        assert_eq!(
            line(form(false).create()),
            r#"curl -X PUT -H 'content-type: application/json' --data-raw '{"type":"webhook","pattern":"logs/\"*","webhook":{"url":"wake/jobs"}}' O/v1/stream/__ds/subscriptions/a%20b"#
        );
        assert_eq!(
            form(true).create().body.unwrap(),
            r#"{"type":"pull-wake","pattern":"logs/\"*","wake_stream":"wake/jobs"}"#
        );
        assert_eq!(
            line(form(true).show()),
            "curl O/v1/stream/__ds/subscriptions/a%20b"
        );
        assert_eq!(
            line(form(true).delete()),
            "curl -X DELETE O/v1/stream/__ds/subscriptions/a%20b"
        );
        assert!(form(true).is_named() && !SubscriptionForm::default().is_named());
    }

    #[test]
    fn what_the_server_says_is_read() {
        let said = r#"{"id":"jobs","subscription_id":"jobs","type":"pull-wake","pattern":"jobs/**",
            "streams":[{"path":"jobs/a","link_type":"glob","acked_offset":"0000000000000003"}],"webhook":null,
            "wake_stream":"wake/jobs","lease_ttl_ms":30000,"created_at":"2026-01-01T00:00:00Z","status":"failed",
            "description":null,"generation":4,"next_attempt_at":"2026-01-01T00:00:01Z","last_error":"no such stream"}"#;
        let details = SubscriptionDetails::parse(said).unwrap();
        assert_eq!((details.status.as_str(), details.generation), ("failed", 4));
        assert_eq!(details.last_error.as_deref(), Some("no such stream"));
        assert_eq!(details.cursors, [["jobs/a", "0000000000000003"]]);
        assert_eq!(SubscriptionDetails::parse("{}"), None);
    }
}
