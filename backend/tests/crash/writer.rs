//! Writers: each appends to one stream in its own way until it is stopped or the server does not
//! respond.

use super::body::{self, SentBody, media_type};
use super::check::{AppendFate, SentAppend, Stamp};
use super::plan::DEADLINE;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tailwater_protocol::headers::{self, ContentKind};
use tokio::sync::watch;

/// How a writer avoids duplicates.
#[derive(Debug, Clone)]
pub(crate) enum WriterKind {
    /// As an idempotent producer: it numbers its appends, and repeats those without a response.
    Producer { epoch: u64, seq: u64 },
    /// Not at all: an append without a response may be in the stream or not.
    Plain,
    /// With `Stream-Seq`; it is the only such writer of its stream.
    Seq { rank: u64 },
    /// With `If-Match` on the tail.
    Match,
}

/// An append without a response that was later found in the stream or not.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) entry: SentAppend,
    pub(crate) is_there: bool,
}

/// One writer of one stream.
#[derive(Debug, Clone)]
pub(crate) struct CrashWriter {
    pub(crate) id: u8,
    kind: ContentKind,
    writer_kind: WriterKind,
    number: u64,
    may_close: bool,
    random: SmallRng,
    /// Appends since the last check of the stream.
    pub(crate) entries: Vec<SentAppend>,
    pub(crate) pending: Option<Pending>,
    /// The last acknowledged append of this epoch.
    last: Option<SentAppend>,
    /// Why it has stopped: the status of a response.
    pub(crate) over: Option<u16>,
    server_ended: watch::Receiver<bool>,
}

/// The response to one append.
#[derive(Debug)]
#[expect(dead_code, reason = "the text is shown in failures")]
struct AppendAnswer {
    status: u16,
    next: Option<usize>,
    closed: bool,
    text: String,
}

/// Whether a writer continues in this round.
#[derive(Debug, PartialEq, Eq)]
enum NextMove {
    GoOn,
    Rest,
}

impl CrashWriter {
    pub(crate) fn new(
        id: u8,
        kind: ContentKind,
        writer_kind: WriterKind,
        may_close: bool,
        seed: u64,
    ) -> Self {
        let random = SmallRng::seed_from_u64(seed);
        Self {
            id,
            kind,
            writer_kind,
            number: 0,
            may_close,
            random,
            entries: Vec::new(),
            pending: None,
            last: None,
            over: None,
            server_ended: watch::channel(false).1,
        }
    }

    /// Writes until `stop`, or until the server does not respond or refuses further appends.
    ///
    /// # Errors
    /// When a response is not allowed.
    pub(crate) async fn write(
        &mut self,
        http: &reqwest::Client,
        url: &str,
        stop: &Arc<AtomicBool>,
        server_ended: watch::Receiver<bool>,
    ) -> Result<(), String> {
        self.server_ended = server_ended;
        if let Some(pending) = self.pending.take()
            && self.settle(http, url, pending).await? == NextMove::Rest
        {
            return Ok(());
        }
        if self.over == Some(409) {
            return self.close_again(http, url).await;
        }
        while self.over.is_none() && !stop.load(Ordering::Relaxed) {
            if self.random.random_ratio(1, 3) {
                tokio::time::sleep(Duration::from_micros(self.random.random_range(0..4_000))).await;
            }
            if self.step(http, url).await? == NextMove::Rest {
                break;
            }
        }
        Ok(())
    }

    async fn step(&mut self, http: &reqwest::Client, url: &str) -> Result<NextMove, String> {
        if let WriterKind::Producer { epoch, seq } = self.writer_kind {
            if seq > 0 && self.random.random_ratio(1, 40) {
                self.writer_kind = WriterKind::Producer {
                    epoch: epoch + 1,
                    seq: 0,
                };
                self.last = None;
                return Ok(NextMove::GoOn);
            }
            if epoch > 0 && seq > 0 && self.random.random_ratio(1, 20) {
                return self.append_in_old_epoch(http, url, epoch - 1).await;
            }
            if self.last.is_some() && self.random.random_ratio(1, 12) {
                return self.repeat(http, url).await;
            }
        }
        let Some(stamp) = self.stamp(http, url).await? else {
            return Ok(NextMove::Rest);
        };
        self.number += 1;
        let closes = self.may_close && self.random.random_ratio(1, 60);
        let is_bare = closes && self.random.random_ratio(1, 3) && !matches!(stamp, Stamp::At(_));
        let body = if is_bare {
            SentBody::default()
        } else {
            body::make(self.kind, self.id, self.number, &mut self.random)
        };
        let entry = SentAppend {
            body,
            closes,
            fate: AppendFate::Unknown,
            stamp,
        };
        let answer = self.send(http, url, &entry).await?;
        self.take(entry, answer)
    }

    /// The stamp of the next append; `None` when the server does not respond.
    async fn stamp(&mut self, http: &reqwest::Client, url: &str) -> Result<Option<Stamp>, String> {
        Ok(Some(match &mut self.writer_kind {
            WriterKind::Plain => Stamp::None,
            WriterKind::Producer { epoch, seq } => Stamp::Producer {
                epoch: *epoch,
                seq: *seq,
            },
            WriterKind::Seq { rank } => {
                *rank += 1;
                Stamp::Seq(format!("{rank:012}"))
            }
            WriterKind::Match => {
                let Some(head) = ask(http.head(url), self.server_ended.clone()).await? else {
                    return Ok(None);
                };
                match head.next {
                    Some(next) => Stamp::At(format!("\"{next:016}\"")),
                    None => {
                        self.over = Some(head.status);
                        return Ok(None);
                    }
                }
            }
        }))
    }

    async fn send(
        &self,
        http: &reqwest::Client,
        url: &str,
        entry: &SentAppend,
    ) -> Result<Option<AppendAnswer>, String> {
        let mut request = http.post(url).body(entry.body.sent.clone());
        if !entry.body.sent.is_empty() {
            request = request.header(CONTENT_TYPE, media_type(self.kind));
        }
        if entry.closes {
            request = request.header(headers::STREAM_CLOSED, "true");
        }
        request = match &entry.stamp {
            Stamp::None => request,
            Stamp::Seq(seq) => request.header(headers::STREAM_SEQ, seq),
            Stamp::At(tag) => request.header(IF_MATCH, tag),
            Stamp::Producer { epoch, seq } => request
                .header(headers::PRODUCER_ID, format!("writer-{}", self.id))
                .header(headers::PRODUCER_EPOCH, epoch.to_string())
                .header(headers::PRODUCER_SEQ, seq.to_string()),
        };
        ask(request, self.server_ended.clone()).await
    }

    /// Records the result of a new append.
    fn take(
        &mut self,
        mut entry: SentAppend,
        answer: Option<AppendAnswer>,
    ) -> Result<NextMove, String> {
        let Some(answer) = answer else {
            self.entries.push(entry);
            return Ok(NextMove::Rest);
        };
        let is_producer = matches!(entry.stamp, Stamp::Producer { .. });
        let is_bare = entry.body.sent.is_empty();
        let then = match (answer.status, &entry.stamp) {
            (200, _) if is_producer && !is_bare => self.kept(&mut entry, &answer)?,
            (204, _) if !is_producer || is_bare => self.kept(&mut entry, &answer)?,
            (409, _) if answer.closed => self.ends(&mut entry, 409),
            (404 | 410, _) => self.ends(&mut entry, answer.status),
            (412, Stamp::At(_)) | (507, _) => {
                entry.fate = AppendFate::Refused;
                NextMove::GoOn
            }
            // A failing store may have written what it could not acknowledge; the next check shows
            // it.
            (500 | 503, _) => NextMove::Rest,
            _ => {
                return Err(format!(
                    "writer {} sent {:?} and got {answer:?}",
                    self.id, entry.stamp
                ));
            }
        };
        self.entries.push(entry);
        Ok(then)
    }

    fn kept(&mut self, entry: &mut SentAppend, answer: &AppendAnswer) -> Result<NextMove, String> {
        let end = answer
            .next
            .ok_or_else(|| format!("an acknowledgement without an offset: {answer:?}"))?;
        if answer.closed != entry.closes {
            return Err(format!(
                "closed: {}, but the acknowledgement says {answer:?}",
                entry.closes
            ));
        }
        entry.fate = AppendFate::Kept { end: Some(end) };
        self.accepted(entry);
        Ok(if self.over.is_some() {
            NextMove::Rest
        } else {
            NextMove::GoOn
        })
    }

    /// Moves on after an append that is in the stream.
    fn accepted(&mut self, entry: &SentAppend) {
        if let (
            WriterKind::Producer { epoch, seq },
            Stamp::Producer {
                epoch: of,
                seq: accepted,
            },
        ) = (&mut self.writer_kind, &entry.stamp)
            && epoch == of
        {
            *seq = accepted + 1;
        }
        self.last = Some(entry.clone());
        if entry.closes {
            self.over = Some(409);
        }
    }

    fn ends(&mut self, entry: &mut SentAppend, status: u16) -> NextMove {
        entry.fate = AppendFate::Refused;
        self.over = Some(status);
        NextMove::Rest
    }

    /// Repeats an append without a response, and compares the response with what is in the stream.
    async fn settle(
        &mut self,
        http: &reqwest::Client,
        url: &str,
        pending: Pending,
    ) -> Result<NextMove, String> {
        let Pending { entry, is_there } = &pending;
        if matches!(entry.stamp, Stamp::None) {
            return Ok(NextMove::GoOn);
        }
        let Some(answer) = self.send(http, url, entry).await? else {
            match is_there {
                true => self.pending = Some(pending),
                false => self.entries.push(SentAppend {
                    fate: AppendFate::Unknown,
                    ..pending.entry
                }),
            }
            return Ok(NextMove::Rest);
        };
        if entry.body.sent.is_empty() && answer.status == 204 {
            // Closing again is not an error, whoever closed first; afterwards the stream must be
            // closed.
            self.entries.push(SentAppend {
                fate: AppendFate::Kept { end: None },
                ..pending.entry
            });
            return Ok(self.stop_writing(409));
        }
        let was_closed_by_another =
            answer.status == 409 && answer.closed && !(*is_there && entry.closes);
        match (&entry.stamp, answer.status, is_there) {
            // Deleted or closed meanwhile. A closed stream only recognises the append that closed
            // it.
            (_, 404 | 410, _) => self.over = Some(answer.status),
            _ if was_closed_by_another => self.over = Some(409),
            (_, 500 | 503, true) => self.pending = Some(pending),
            (_, 500 | 503, false) => {
                // Its number may be in use until it is known whether it was stored.
                self.entries.push(SentAppend {
                    fate: AppendFate::Unknown,
                    ..pending.entry
                });
                return Ok(NextMove::Rest);
            }
            (Stamp::Producer { .. }, 204, true) => self.accepted(entry),
            (Stamp::Seq(_) | Stamp::At(_), 409, true) | (Stamp::At(_), 412, _) => {}
            (Stamp::Producer { .. }, 200, false) | (Stamp::Seq(_) | Stamp::At(_), 204, false) => {
                return self.take(pending.entry, Some(answer));
            }
            _ => {
                let (id, stamp) = (self.id, &entry.stamp);
                return Err(format!(
                    "writer {id} repeated {stamp:?}, there: {is_there}, and got {answer:?}"
                ));
            }
        }
        Ok(if self.over.is_some() || self.pending.is_some() {
            NextMove::Rest
        } else {
            NextMove::GoOn
        })
    }

    /// Repeats the last append although it was acknowledged: it must not be stored twice.
    async fn repeat(&mut self, http: &reqwest::Client, url: &str) -> Result<NextMove, String> {
        let Some(last) = self.last.clone() else {
            return Ok(NextMove::GoOn);
        };
        let Some(answer) = self.send(http, url, &last).await? else {
            return Ok(NextMove::Rest);
        };
        match answer.status {
            204 => Ok(NextMove::GoOn),
            409 if answer.closed => Ok(self.stop_writing(409)),
            404 | 410 => Ok(self.stop_writing(answer.status)),
            500 | 503 => Ok(NextMove::Rest),
            _ => Err(format!(
                "writer {} repeated {:?} and got {answer:?}",
                self.id, last.stamp
            )),
        }
    }

    /// A producer that closed the stream gets the same response whenever it asks again.
    async fn close_again(&mut self, http: &reqwest::Client, url: &str) -> Result<(), String> {
        let Some(last) = self.last.clone().filter(|last| last.closes) else {
            return Ok(());
        };
        if !matches!(last.stamp, Stamp::Producer { .. }) {
            return Ok(());
        }
        match self.send(http, url, &last).await? {
            None => Ok(()),
            Some(answer) if answer.status == 204 && answer.closed => Ok(()),
            Some(AppendAnswer {
                status: status @ (404 | 410),
                ..
            }) => {
                self.over = Some(status);
                Ok(())
            }
            Some(AppendAnswer {
                status: 500 | 503, ..
            }) => Ok(()),
            Some(answer) => Err(format!(
                "writer {} closed again as {:?} and got {answer:?}",
                self.id, last.stamp
            )),
        }
    }

    /// Sends a new append in an old epoch, which must be refused.
    async fn append_in_old_epoch(
        &mut self,
        http: &reqwest::Client,
        url: &str,
        epoch: u64,
    ) -> Result<NextMove, String> {
        self.number += 1;
        let body = body::make(self.kind, self.id, self.number, &mut self.random);
        let stamp = Stamp::Producer {
            epoch,
            seq: self.random.random_range(0..1_000),
        };
        let entry = SentAppend {
            body,
            closes: false,
            fate: AppendFate::Refused,
            stamp,
        };
        let Some(answer) = self.send(http, url, &entry).await? else {
            return Ok(NextMove::Rest);
        };
        match answer.status {
            403 => Ok(NextMove::GoOn),
            404 | 410 => Ok(self.stop_writing(answer.status)),
            500 | 503 => Ok(NextMove::Rest),
            _ => Err(format!(
                "writer {} sent {:?} and got {answer:?}",
                self.id, entry.stamp
            )),
        }
    }

    fn stop_writing(&mut self, status: u16) -> NextMove {
        self.over = Some(status);
        NextMove::Rest
    }
}

/// The response to a request; `None` if there was none.
///
/// - `server_ended`: true once the server process has ended. The HTTP client then ends requests in
///   progress, except about once in a thousand times, when it waits for a connection that it has
///   already closed.
async fn ask(
    request: reqwest::RequestBuilder,
    mut server_ended: watch::Receiver<bool>,
) -> Result<Option<AppendAnswer>, String> {
    let asking = async {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let next = text(headers::STREAM_NEXT_OFFSET).and_then(|next| next.parse().ok());
        let closed = text(headers::STREAM_CLOSED) == Some("true");
        // An append counts as acknowledged once the head has arrived, even if the rest does not.
        let text = response.text().await.unwrap_or_default();
        Some(AppendAnswer {
            status,
            next,
            closed,
            text,
        })
    };
    let no_server = async {
        // Without a sender there will be no notification.
        if server_ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DEADLINE / 10).await;
    };
    tokio::select! {
        answer = asking => Ok(answer),
        () = no_server => Ok(None),
        () = tokio::time::sleep(DEADLINE) => Err(format!("no response and no end within {DEADLINE:?}")),
    }
}
