//! A receiver of webhooks: records requests, and answers them as the test has set.

use serde_json::Value;
use std::sync::{Arc, Mutex};
use tailwater_harness::wait::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One received request.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedWebhook {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl ReceivedWebhook {
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.json()["generation"].as_u64().unwrap()
    }
}

/// A web server for webhooks; each connection carries one request.
pub(crate) struct WebhookReceiver {
    pub(crate) url: String,
    calls: mpsc::UnboundedReceiver<ReceivedWebhook>,
    answer: Arc<Mutex<String>>,
}

impl WebhookReceiver {
    /// Starts a receiver that answers with 200 and `{"done":true}`.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
        let (told, calls) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&answer);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(take(socket, told.clone(), Arc::clone(&shared)));
            }
        });
        let receiver = Self { url, calls, answer };
        receiver.answer_json("200 OK", r#"{"done":true}"#);
        receiver
    }

    pub(crate) fn answer_json(&self, status: &str, body: &str) {
        self.answer_with(&format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Answers with these bytes from now on.
    pub(crate) fn answer_with(&self, bytes: &str) {
        bytes.clone_into(&mut self.answer.lock().unwrap());
    }

    pub(crate) async fn next(&mut self) -> ReceivedWebhook {
        within("a webhook", self.calls.recv()).await.unwrap()
    }

    /// Whether every received request has been taken by `next`.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

async fn take(
    mut socket: TcpStream,
    told: mpsc::UnboundedSender<ReceivedWebhook>,
    answer: Arc<Mutex<String>>,
) {
    let mut bytes = Vec::new();
    let received = loop {
        if socket.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut received = ReceivedWebhook {
            head,
            body: bytes[end + 4..].to_vec(),
        };
        let length: usize = received.header("content-length").parse().unwrap();
        if received.body.len() >= length {
            received.body.truncate(length);
            break received;
        }
    };
    let answer = answer.lock().unwrap().clone();
    let _test_ended = told.send(received);
    let _cut_off = socket.write_all(answer.as_bytes()).await;
    let _gone = socket.shutdown().await;
}
