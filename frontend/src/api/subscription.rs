//! Subscriptions: the requests that list them, and that create, show, pause, resume and delete one; their state.
//!
//! Source: Durable Streams protocol, section 6; docs/subscriptions.md.

use serde::Deserialize;
use tailwater_protocol::document;
use tailwater_protocol::percent::encode_path;

use crate::api::request::{ApiRequest, Confirmation};

/// The path of the list.
const SUBSCRIPTIONS: &str = "/v1/stream/__ds/subscriptions";

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
    /// Its id.
    pub id: String,
    /// Whether it is paused.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// `active`, or `failed` while a failed attempt is to be repeated.
    pub status: String,
    /// Incremented with every wake.
    pub generation: u64,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    /// The time of the next attempt, in the format of RFC 3339; absent while it is paused.
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

/// The first page of the list of subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubscriptionPage {
    /// Its subscriptions.
    #[serde(rename = "subscriptions")]
    pub rows: Vec<SubscriptionRow>,
    /// The number of all subscriptions.
    pub total: u64,
}

/// A subscription in the list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubscriptionRow {
    /// Its id.
    pub id: String,
    /// `webhook` or `pull-wake`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The pattern of the streams that it follows, if it has one.
    pub pattern: Option<String>,
    /// The number of streams that it follows.
    pub stream_count: u64,
    /// The number of those with messages that are not acknowledged.
    pub pending_count: u64,
    /// Whether it is paused.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// `active`, or `failed` while a failed attempt is to be repeated.
    pub status: String,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<String>,
}

impl SubscriptionPage {
    /// The request of the list.
    pub fn request() -> ApiRequest {
        ApiRequest::new("GET", SUBSCRIPTIONS.to_owned())
    }

    /// Parses the response; `None` if a required field is missing.
    pub fn parse(json: &str) -> Option<Self> {
        document::read(json.as_bytes()).ok()
    }
}

impl SubscriptionDetails {
    /// The request that pauses the subscription, or resumes it if it is paused.
    pub fn pause_or_resume(&self) -> ApiRequest {
        let action = if self.is_paused { "resume" } else { "pause" };
        change("POST", format!("{}/{action}", path(&self.id)))
    }

    /// The request that deletes the subscription with this id.
    pub fn delete(id: &str) -> ApiRequest {
        change("DELETE", path(id))
    }
}

/// A request that is answered without content.
fn change(method: &'static str, path: String) -> ApiRequest {
    ApiRequest {
        confirmation: Confirmation::NoContent,
        ..ApiRequest::new(method, path)
    }
}

/// The path of a subscription.
fn path(id: &str) -> String {
    format!("{SUBSCRIPTIONS}/{}", encode_path(id).replace('/', "%2F"))
}

impl SubscriptionForm {
    /// Whether the required id is filled in.
    pub fn has_id(&self) -> bool {
        !self.id.trim().is_empty()
    }

    fn request(&self, method: &'static str) -> ApiRequest {
        ApiRequest::new(method, path(self.id.trim()))
    }

    /// The request that reads the subscription.
    pub fn show(&self) -> ApiRequest {
        self.request("GET")
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
            line(SubscriptionDetails::delete("a b")),
            "curl -X DELETE O/v1/stream/__ds/subscriptions/a%20b"
        );
        assert!(form(true).has_id() && !SubscriptionForm::default().has_id());
    }

    #[test]
    fn details_of_a_subscription_are_parsed() {
        let body = r#"{"id":"jobs","paused":false,"subscription_id":"jobs","type":"pull-wake","pattern":"jobs/**",
            "streams":[{"path":"jobs/a","link_type":"glob","acked_offset":"0000000000000003"}],"webhook":null,
            "wake_stream":"wake/jobs","lease_ttl_ms":30000,"created_at":"2026-01-01T00:00:00Z","status":"failed",
            "description":null,"generation":4,"next_attempt_at":"2026-01-01T00:00:01Z","last_error":"no such stream"}"#;
        let details = SubscriptionDetails::parse(body).unwrap();
        assert_eq!((details.status.as_str(), details.generation), ("failed", 4));
        assert_eq!(
            details.pause_or_resume().curl("O"),
            "curl -X POST O/v1/stream/__ds/subscriptions/jobs/pause"
        );
        let paused = body.replace("\"jobs\",\"paused\":false", "\"a b\",\"paused\":true");
        let paused = SubscriptionDetails::parse(&paused).unwrap();
        assert_eq!(
            paused.pause_or_resume().curl("O"),
            "curl -X POST O/v1/stream/__ds/subscriptions/a%20b/resume"
        );
        assert_eq!(details.last_error.as_deref(), Some("no such stream"));
        let cursor = SubscriptionCursor {
            path: "jobs/a".to_owned(),
            acked_offset: "0000000000000003".to_owned(),
        };
        assert_eq!(details.cursors, [cursor]);
        assert_eq!(SubscriptionDetails::parse("{}"), None);
    }

    #[test]
    fn the_list_of_subscriptions_is_parsed() {
        let body = r#"{"subscriptions":[
            {"id":"a b","type":"webhook","pattern":null,"stream_count":3,"pending_count":1,"status":"failed",
             "paused":true,"last_error":"503"},
            {"id":"jobs","type":"pull-wake","pattern":"jobs/**","stream_count":0,"pending_count":0,
             "status":"active","paused":false}],"after":"jobs","total":7}"#;
        let page = SubscriptionPage::parse(body).unwrap();
        assert_eq!((page.rows.len(), page.total), (2, 7));
        let [first, second] = &page.rows[..] else {
            panic!("{page:?}")
        };
        assert_eq!((&*first.kind, &first.pattern), ("webhook", &None));
        assert_eq!((first.stream_count, first.pending_count), (3, 1));
        assert_eq!(
            (first.is_paused, first.last_error.as_deref()),
            (true, Some("503"))
        );
        assert_eq!(second.pattern.as_deref(), Some("jobs/**"));
        assert_eq!((second.is_paused, &second.last_error), (false, &None));
        assert_eq!(SubscriptionPage::parse("{}"), None);
        assert_eq!(
            SubscriptionPage::request().curl("O"),
            "curl O/v1/stream/__ds/subscriptions"
        );
    }
}
