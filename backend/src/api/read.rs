//! GET: a page now, a page once there is one, or a streaming response.

use super::charged::owned_bytes;
use super::headers::{Headers, text};
use super::page::SANDBOX;
use super::query::{self, ReadQuery};
use super::{
    Answer, App, Budget, Call, Charge, Cursors, PageAnswer, Refusal, Reply, names, read_charged,
};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_NONE_MATCH};
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::{Batch, Log, ReadError, ReadStart, ReaderGuard, Tail};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, Technique};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How long a response waits for budget.
const BUDGET_WAIT_MAX: Duration = Duration::from_secs(5);

/// A long-poll that has to wait at the tail.
#[derive(Debug)]
pub struct LongPollWait {
    /// The log that is read.
    pub log: Arc<Log>,
    /// The tail's position.
    pub at: Offset,
    /// The reader's cursors.
    pub cursors: Cursors,
    /// When the wait times out.
    pub until: Instant,
    /// The reader's registration; moved out while it waits in a group.
    pub presence: Option<Presence>,
    requested: ReadStart,
    if_none_match: Vec<Vec<u8>>,
    page_max: usize,
    budget: Arc<Budget>,
}

/// Registers a live reader: it is counted, its position is shown, and it holds a permit.
#[derive(Debug)]
pub struct Presence {
    /// Counts the reader and records its position.
    pub counted: ReaderGuard,
    /// The reader's permit, released when the response ends.
    _permit: OwnedSemaphorePermit,
}

impl Presence {
    /// - `permit`: the permit of [`App::reader_permit`].
    pub(crate) fn new(counted: ReaderGuard, permit: OwnedSemaphorePermit) -> Self {
        Self {
            counted,
            _permit: permit,
        }
    }
}

/// A reader with a streaming response.
#[derive(Debug)]
pub struct LiveAnswer {
    /// The log that is read.
    pub log: Arc<Log>,
    /// Where to begin.
    pub from: Offset,
    /// NDJSON, SSE or WebSocket.
    pub technique: Technique,
    /// Its cursors.
    pub cursors: Cursors,
    /// When its response is ended for recycling; `None` for techniques that need none.
    pub recycle_at: Option<Instant>,
    /// Its registration.
    pub presence: Presence,
}

impl LiveAnswer {
    /// The same answer, ended after the lifetime of streaming answers.
    fn recycled(self, app: &App) -> Self {
        Self {
            recycle_at: Some(Instant::now() + with_jitter(app.config.recycle)),
            ..self
        }
    }
}

/// Handles a GET.
///
/// Source: Durable Streams protocol, sections 5.6 to 5.8, and our extensions.
pub(super) async fn read<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Reply, Refusal> {
    let mut query = ReadQuery::parse(call.query)?;
    let log = app.log(call.path)?;
    let last_event = text(call.headers, &names::LAST_EVENT_ID)?.filter(|last| !last.is_empty());
    if let Some(last) = last_event.filter(|_| query.technique == Technique::Sse) {
        // The last event received overrides the URL of an EventSource. Source: WHATWG HTML, section
        // 9.2.4.
        query.from = query::from(Some(last))?;
        let tail = log.tail_now();
        if tail.closed() && query.from.within(&log)? == ReadStart::At(tail.next) {
            return Ok(Reply::Answer(end_of_stream(tail)));
        }
    }
    log.renew();
    let from = query.from.within(&log)?;
    let cursors = Cursors::after(query.cursor, rand::random());
    match query.technique {
        Technique::Poll => {
            log.readers().note_plain_read();
            let read = async || log.read_from(from, app.page_max()).await;
            let (batch, charge) =
                read_charged(&app.budget, BUDGET_WAIT_MAX, owned_bytes, read).await?;
            let page = PageAnswer {
                log: &log,
                batch: &batch,
                requested: from,
                is_long_poll: false,
            };
            Ok(Reply::Answer(page.answer(
                call.headers.values(IF_NONE_MATCH.as_str()),
                charge,
            )))
        }
        Technique::LongPoll => Box::pin(long_poll(app, call, log, from, query.hold, cursors)).await,
        Technique::Ndjson => {
            let live = Box::pin(live(app, log, from, query.technique, cursors)).await?;
            let mut head = live_head("application/x-ndjson");
            head.put(&CACHE_CONTROL, "no-store, no-transform");
            Ok(Reply::Live(head, Box::new(live.recycled(app))))
        }
        Technique::Sse => {
            let live = Box::pin(live(app, log, from, query.technique, cursors)).await?;
            let mut head = live_head("text/event-stream");
            head.put(&CACHE_CONTROL, "no-cache, no-transform");
            if live.log.kind() == ContentKind::Binary {
                head.put(&names::STREAM_SSE_DATA_ENCODING, "base64");
            }
            Ok(Reply::Live(head, Box::new(live.recycled(app))))
        }
        Technique::Websocket if call.is_websocket => {
            let live = Box::pin(live(app, log, from, query.technique, cursors)).await?;
            Ok(Reply::Live(
                Answer::new(StatusCode::SWITCHING_PROTOCOLS),
                Box::new(live),
            ))
        }
        Technique::Websocket => {
            // An invalid position is reported first: no handshake can mend it.
            log.read_from(from, 1).await?;
            Err(Refusal::NoHandshake)
        }
    }
}

async fn long_poll<H: Headers>(
    app: &App,
    call: Call<'_, H>,
    log: Arc<Log>,
    from: ReadStart,
    hold: Option<Duration>,
    cursors: Cursors,
) -> Result<Reply, Refusal> {
    let permit = app.reader_permit()?;
    let read = async || log.read_from(from, app.page_max()).await;
    let (batch, charge) = read_charged(&app.budget, BUDGET_WAIT_MAX, owned_bytes, read).await?;
    if !batch.data.is_empty() || batch.closed() || app.is_stopping() {
        let if_none_match = call.headers.values(IF_NONE_MATCH.as_str());
        return Ok(Reply::Answer(long_poll_answer(
            &log,
            &batch,
            from,
            if_none_match,
            cursors,
            charge,
        )));
    }
    let hold = hold
        .unwrap_or(app.config.long_poll_hold)
        .min(app.config.long_poll_hold_max);
    let counted = ReaderGuard::new(Arc::clone(&log), Technique::LongPoll, batch.next);
    Ok(Reply::Wait(Box::new(LongPollWait {
        log,
        at: batch.next,
        cursors,
        until: Instant::now() + hold,
        presence: Some(Presence::new(counted, permit)),
        requested: from,
        if_none_match: call
            .headers
            .values(IF_NONE_MATCH.as_str())
            .map(<[u8]>::to_vec)
            .collect(),
        page_max: app.page_max(),
        budget: Arc::clone(&app.budget),
    })))
}

fn long_poll_answer<'r>(
    log: &Log,
    batch: &Batch,
    requested: ReadStart,
    if_none_match: impl Iterator<Item = &'r [u8]>,
    cursors: Cursors,
    charge: Option<Charge>,
) -> Answer {
    let mut answer = PageAnswer {
        log,
        batch,
        requested,
        is_long_poll: true,
    }
    .answer(if_none_match, charge);
    if !batch.closed() {
        answer.fields.extend(&PageAnswer::cursor(cursors.now()));
    }
    answer
}

impl LongPollWait {
    /// A long-poll at the end of a log.
    #[cfg(test)]
    pub(crate) fn at_tail(log: &Arc<Log>, hold: Duration, presence: Presence) -> Self {
        Self {
            log: Arc::clone(log),
            at: log.tail_now().next,
            cursors: Cursors::common(),
            until: Instant::now() + hold,
            presence: Some(presence),
            requested: ReadStart::At(log.tail_now().next),
            if_none_match: Vec::new(),
            page_max: 1024,
            budget: Budget::new(1 << 20),
        }
    }

    /// Whether its response to an append is shared by all that wait at its position.
    pub fn is_common(&self) -> bool {
        self.requested != ReadStart::Now && self.if_none_match.is_empty()
    }

    /// The response with the current data, possibly none.
    pub async fn answer(&self) -> Answer {
        self.try_answer()
            .await
            .unwrap_or_else(|refusal| refusal.answer())
    }

    async fn try_answer(&self) -> Result<Answer, Refusal> {
        let read = async || self.log.read(self.at, self.page_max).await;
        let (batch, charge) =
            read_charged(&self.budget, BUDGET_WAIT_MAX, owned_bytes, read).await?;
        let if_none_match = self.if_none_match.iter().map(Vec::as_slice);
        Ok(long_poll_answer(
            &self.log,
            &batch,
            self.requested,
            if_none_match,
            self.cursors,
            charge,
        ))
    }
}

/// A reader with a streaming response. Reads from its position first: later errors could not be
/// reported by a status.
async fn live(
    app: &App,
    log: Arc<Log>,
    from: ReadStart,
    technique: Technique,
    cursors: Cursors,
) -> Result<LiveAnswer, Refusal> {
    if app.is_stopping() {
        return Err(Refusal::Stopping);
    }
    let permit = app.reader_permit()?;
    let one_message = 1;
    let from = log.read_from(from, one_message).await?.from;
    let counted = ReaderGuard::new(Arc::clone(&log), technique, from);
    Ok(LiveAnswer {
        log,
        from,
        technique,
        cursors,
        recycle_at: None,
        presence: Presence::new(counted, permit),
    })
}

/// The head of a streaming response. Proxies must not buffer, transform or store it.
fn live_head(content_type: &str) -> Answer {
    let mut head = Answer::new(StatusCode::OK);
    head.put(&CONTENT_TYPE, content_type);
    head.put(&names::X_ACCEL_BUFFERING, "no");
    head.put(&CONTENT_SECURITY_POLICY, SANDBOX);
    head
}

/// The response that stops an `EventSource` from reconnecting after it has received all of a closed
/// stream.
///
/// Source: WHATWG HTML, section 9.2.3: 204 ends the reconnecting.
fn end_of_stream(tail: Tail) -> Answer {
    let mut answer = Answer::new(StatusCode::NO_CONTENT);
    answer.put_end(tail.offset(), true);
    answer.forbid_storing();
    answer
}

/// The time ±10 %, so that readers who connected together do not reconnect together.
fn with_jitter(time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}
