//! Webhook deliveries: request, receipt, and the transport's trait.

use bytes::Bytes;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

/// One request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// The URL.
    pub url: String,
    /// The body.
    pub body: Bytes,
    /// The value of `Webhook-Signature`.
    pub signature: String,
    /// Time limit for the whole request.
    pub within: Duration,
}

/// A webhook's response to a wake it accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// `{"done":true}`: all streams of the wake are processed.
    Done,
    /// Anything else: the worker calls back.
    Accepted,
}

/// A request in progress; fails with a text.
pub type Posting = Pin<Box<dyn Future<Output = Result<Receipt, String>> + Send>>;

/// Sends wakes to webhooks.
pub trait WebhookTransport: fmt::Debug + Send + Sync + 'static {
    /// Sends a request; the future ends within `request.within`.
    fn post(&self, request: WebhookRequest) -> Posting;

    /// Whether webhooks are sent at all; otherwise no webhook subscription can be created.
    fn is_offered(&self) -> bool {
        true
    }
}

/// The transport of a server that sends no webhooks.
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
