//! Readers: `read_stream` reads a whole stream by plain reads, and followers of every technique continue
//! across crashes of the server.

use super::plan::DEADLINE;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tailwater_client::FollowReport;
use tailwater_client::drivers::native::{self, FollowOptions, NativeClient};
use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::{Data, Technique, Token};

/// What a stream looks like.
#[derive(Debug)]
pub(crate) enum StreamView {
    Page(WholeStream),
    /// It does not exist: 404, or 410 while it has forks.
    Missing(u16),
}

/// The content of a stream.
#[derive(Debug)]
pub(crate) struct WholeStream {
    pub(crate) content: Vec<u8>,
    pub(crate) closed: bool,
}

/// Why a stream could not be read.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    /// The server does not respond.
    Died,
    /// The server sent a response that is not allowed.
    Wrong(String),
}

impl ReadFailure {
    pub(crate) fn named(self, name: &str) -> Self {
        match self {
            Self::Died => Self::Died,
            Self::Wrong(wrong) => Self::Wrong(format!("{name}: {wrong}")),
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Died => {
                "the server ended or truncated a response without a planned crash".to_owned()
            }
            Self::Wrong(wrong) => wrong,
        }
    }
}

/// Reads a stream from its beginning, or from `from`, to its tail.
///
/// # Errors
/// When the server does not respond or responds wrongly.
pub(crate) async fn read_stream(
    http: &reqwest::Client,
    url: &str,
    kind: ContentKind,
    from: usize,
) -> Result<StreamView, ReadFailure> {
    let mut page = WholeStream {
        content: Vec::new(),
        closed: false,
    };
    loop {
        let at = from + page.content.len();
        let asking = async {
            let response = http
                .get(format!("{url}?offset={at:016}"))
                .send()
                .await
                .map_err(|_| ReadFailure::Died)?;
            let status = response.status().as_u16();
            let map = response.headers().clone();
            let body = response.bytes().await.map_err(|_| ReadFailure::Died)?;
            Ok((status, map, body))
        };
        let answer = tokio::time::timeout(DEADLINE, asking).await;
        let (status, map, body) =
            answer.map_err(|_| ReadFailure::Wrong(format!("no page within {DEADLINE:?}")))??;
        let wrong =
            |what: &str| ReadFailure::Wrong(format!("reading at {at}: {what}: {status} {map:?}"));
        match status {
            200 => {}
            404 | 410 if page.content.is_empty() => return Ok(StreamView::Missing(status)),
            _ => return Err(wrong(&String::from_utf8_lossy(&body))),
        }
        let is = |name| map.get(name).is_some_and(|value| value == "true");
        match kind {
            ContentKind::Json => {
                let inner = body
                    .strip_prefix(b"[")
                    .and_then(|rest| rest.strip_suffix(b"]"));
                let inner = inner.ok_or_else(|| wrong("a page that is not an array"))?;
                page.content.extend_from_slice(inner);
                page.content.extend(inner.first().map(|_| b','));
            }
            ContentKind::Text | ContentKind::Binary => page.content.extend_from_slice(&body),
        }
        let next = map
            .get(headers::STREAM_NEXT_OFFSET)
            .and_then(|next| next.to_str().ok()?.parse::<usize>().ok());
        if next != Some(from + page.content.len()) {
            return Err(wrong(&format!(
                "{} bytes do not match the returned offset",
                body.len()
            )));
        }
        if is(headers::STREAM_UP_TO_DATE) {
            page.closed = is(headers::STREAM_CLOSED);
            return Ok(StreamView::Page(page));
        }
        if from + page.content.len() == at {
            return Err(wrong("a page before the last that does not advance"));
        }
    }
}

/// What a follower has received.
#[derive(Debug, Default)]
struct FollowerContent {
    content: Vec<u8>,
    /// It has seen the end of the stream.
    closed: bool,
    /// Why it cannot continue.
    failed: Option<String>,
    /// A response contradicted earlier ones.
    wrong: Option<String>,
}

/// A follower of one stream by one technique, whose offset survives all its connections.
#[derive(Debug)]
pub(crate) struct CrashFollower {
    technique: Technique,
    seed: u64,
    seen: Arc<Mutex<FollowerContent>>,
    /// It is never restarted: it must recover from crashes by itself.
    pub(crate) recovers_alone: bool,
    running: Option<native::Follower>,
}

impl CrashFollower {
    pub(crate) fn new(technique: Technique, seed: u64, recovers_alone: bool) -> Self {
        Self {
            technique,
            seed,
            seen: Arc::default(),
            recovers_alone,
            running: None,
        }
    }

    /// Continues from its offset, unless it is already running.
    pub(crate) fn go_on(&mut self, client: &NativeClient, url: &str) {
        let (seen, technique) = (Arc::clone(&self.seen), self.technique);
        if self.running.is_some() || self.seen.lock().unwrap().closed {
            return;
        }
        let at = seen.lock().unwrap().content.len();
        let from = if at == 0 {
            Token::beginning()
        } else {
            format!("{at:016}").parse().unwrap()
        };
        let options = FollowOptions {
            technique,
            from,
            poll_interval: Duration::from_millis(40),
            fallback: false,
            seed: self.seed,
            ..FollowOptions::default()
        };
        self.running = Some(client.follow(url, options, move |report| {
            seen.lock().unwrap().take(report);
        }));
    }

    /// Disconnects, like a reader whose process ends; the offset is kept.
    pub(crate) fn leave(&mut self) {
        self.running = None;
    }

    /// Checks that what it received is the beginning of `content`.
    ///
    /// # Errors
    /// The difference.
    pub(crate) fn check(&self, content: &[u8]) -> Result<(), String> {
        let (seen, technique) = (self.seen.lock().unwrap(), self.technique);
        if let Some(wrong) = &seen.wrong {
            return Err(format!("{technique}: {wrong}"));
        }
        if content.starts_with(&seen.content) {
            return Ok(());
        }
        let common = content
            .iter()
            .zip(&seen.content)
            .take_while(|(is, was)| is == was)
            .count();
        let (got, has) = (seen.content.len(), content.len());
        Err(format!(
            "{technique} got {got} bytes of the {has} that are there, equal only up to {common}"
        ))
    }

    /// Waits until it has received everything.
    ///
    /// # Errors
    /// When it does not in time.
    pub(crate) async fn catch_up(&self, content: &[u8], closed: bool) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            self.check(content)?;
            {
                let seen = self.seen.lock().unwrap();
                if seen.content.len() == content.len() && (seen.closed || !closed) {
                    return Ok(());
                }
                let (technique, got, has) = (self.technique, seen.content.len(), content.len());
                if let Some(failed) = &seen.failed {
                    return Err(format!("{technique} gave up at {got} of {has}: {failed}"));
                }
                if begun.elapsed() > DEADLINE {
                    return Err(format!(
                        "{technique} is at {got} of {has} after {DEADLINE:?}, closed: {closed}"
                    ));
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl FollowerContent {
    fn take(&mut self, report: FollowReport) {
        match report {
            FollowReport::Batch { batch, .. } => {
                match &batch.data {
                    Data::Json(messages) => {
                        for message in messages {
                            self.content.extend_from_slice(message.as_bytes());
                            self.content.push(b',');
                        }
                    }
                    Data::Text(text) => self.content.extend_from_slice(text.as_bytes()),
                    Data::Binary(bytes) => self.content.extend_from_slice(bytes),
                }
                let told = batch.next.as_str().parse::<usize>().ok();
                if told != Some(self.content.len()) && self.wrong.is_none() {
                    let (got, told) = (self.content.len(), &batch.next);
                    self.wrong = Some(format!(
                        "the data ends at {got}, but the returned offset is {told}"
                    ));
                }
                self.closed |= batch.closed;
            }
            FollowReport::Finished {
                fault: Some(fault), ..
            } => self.failed = Some(fault),
            _ => {}
        }
    }
}
