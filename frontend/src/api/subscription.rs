//! Subscriptions: the requests that create, show and delete one, and its state.
//!
//! Source: Durable Streams protocol, section 6; docs/subscriptions.md.

use serde::Deserialize;
use tailwater_protocol::document;
use tailwater_protocol::percent::encode_path;

use crate::api::request::{ApiRequest, Confirmation};

/// The form for a subscription, as the user fills it in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionForm {
    /// Its id.
    pub id: String,
    /// Whether workers are woken by an event on a stream instead of by a webhook.
    pub is_pull_wake: bool,
    /// The pattern of the streams that it follows, such as `logs/*`.
    pub pattern: String,
    /// The URL of the webhook, or the name of the wake stream.
    pub target: String,
}

/// The state of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubscriptionDetails {
    /// `active`, or `failed` until the next attempt succeeds.
    pub status: String,
    /// Incremented with every wake.
    pub generation: u64,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    /// The time of the next attempt, in the format of RFC 3339.
    pub next_attempt_at: Option<String>,
    /// The streams that it follows.
    #[serde(rename = "streams")]
    pub cursors: Vec<SubscriptionCursor>,
}

/// The position of a subscription in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubscriptionCursor {
    /// The name of the stream.
    pub path: String,
    /// The acknowledged offset.
    pub acked_offset: String,
}

impl SubscriptionDetails {
    /// Parses the response; `None` if a required field is missing.
    pub fn parse(json: &str) -> Option<Self> {
        document::read(json.as_bytes()).ok()
    }
}

impl SubscriptionForm {
    /// Whether the required id is filled in.
    pub fn has_id(&self) -> bool {
        !self.id.trim().is_empty()
    }

    fn request(&self, method: &'static str) -> ApiRequest {
        let id = encode_path(self.id.trim()).replace('/', "%2F");
        ApiRequest::new(method, format!("/v1/stream/__ds/subscriptions/{id}"))
    }

    /// The request that reads the subscription.
    pub fn show(&self) -> ApiRequest {
        self.request("GET")
    }

    /// The request that deletes the subscription.
    pub fn delete(&self) -> ApiRequest {
        ApiRequest {
            confirmation: Confirmation::NoContent,
            ..self.request("DELETE")
        }
    }

    /// The request that creates the subscription.
    pub fn create(&self) -> ApiRequest {
        let text = |text: &str| serde_json::to_string(text.trim()).unwrap_or_default();
        let (pattern, target) = (text(&self.pattern), text(&self.target));
        let body = if self.is_pull_wake {
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

    fn form(is_pull_wake: bool) -> SubscriptionForm {
        SubscriptionForm {
            id: " a b ".to_owned(),
            is_pull_wake,
            pattern: "logs/\"*".to_owned(),
            target: "wake/jobs".to_owned(),
        }
    }

    #[test]
    fn requests_have_the_body_of_their_kind_and_a_curl_command() {
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
        assert!(form(true).has_id() && !SubscriptionForm::default().has_id());
    }

    #[test]
    fn details_of_a_subscription_are_parsed() {
        let body = r#"{"id":"jobs","subscription_id":"jobs","type":"pull-wake","pattern":"jobs/**",
            "streams":[{"path":"jobs/a","link_type":"glob","acked_offset":"0000000000000003"}],"webhook":null,
            "wake_stream":"wake/jobs","lease_ttl_ms":30000,"created_at":"2026-01-01T00:00:00Z","status":"failed",
            "description":null,"generation":4,"next_attempt_at":"2026-01-01T00:00:01Z","last_error":"no such stream"}"#;
        let details = SubscriptionDetails::parse(body).unwrap();
        assert_eq!((details.status.as_str(), details.generation), ("failed", 4));
        assert_eq!(details.last_error.as_deref(), Some("no such stream"));
        let cursor = SubscriptionCursor {
            path: "jobs/a".to_owned(),
            acked_offset: "0000000000000003".to_owned(),
        };
        assert_eq!(details.cursors, [cursor]);
        assert_eq!(SubscriptionDetails::parse("{}"), None);
    }
}
