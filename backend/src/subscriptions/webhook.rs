//! Wakes that are sent to webhooks: what is sent, what comes back, and what sends it.

use bytes::Bytes;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

/// One request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: String,
    /// The body.
    pub body: Bytes,
    /// The value of `Webhook-Signature`.
    pub signature: String,
    /// How long all of it may take.
    pub within: Duration,
}

/// What a webhook said to a wake that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// `{"done":true}`: everything that the wake named is worked off.
    Done,
    /// Anything else: it calls back.
    Taken,
}

/// A request under way; a failure in words.
pub type Posting = Pin<Box<dyn Future<Output = Result<Receipt, String>> + Send>>;

/// Sends wakes to webhooks.
pub trait WebhookTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends a request; the future ends within `request.within`.
    fn post(&self, request: WebhookRequest) -> Posting;

    /// Whether anything is ever sent; otherwise no webhook subscription is made.
    fn is_offered(&self) -> bool {
        true
    }
}

/// For a server that sends no webhooks.
#[derive(Debug, Clone, Copy)]
pub struct NoWebhooks;

impl WebhookTransport for NoWebhooks {
    fn post(&self, _request: WebhookRequest) -> Posting {
        Box::pin(ready(Err("this server sends no webhooks".to_owned())))
    }

    fn is_offered(&self) -> bool {
        false
    }
}
