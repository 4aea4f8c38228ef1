//! The next requests of a connection that left its dispatcher: plain ones are answered here, others
//! return it.

use super::idle::Idle;
use super::plain::{Connected, PlainConnection, WorkerContext, answer_wait, send};
use super::request::PlainRequest;
use super::slot::WaitingLongPoll;
use crate::api::gate::{self, Admission, CountedConnection};
use crate::api::{self, Call, CompleteBody, Fields, Reply};
use crate::live::ReceiveBuffer;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use tailwater_core::StreamName;
use tokio::time::Instant;

/// Outcome of the next request.
enum RequestOutcome {
    /// It was answered; the next one may follow.
    Answered,
    /// It is a long-poll that has to wait.
    Waits(WaitingLongPoll),
    /// It needs a dispatcher. Nothing was done.
    Other,
    /// The connection ends.
    Ended,
}

/// Answers plain requests; returns the connection at the first request that is not plain.
///
/// - `waiting`: a long-poll to be answered first.
pub(super) fn serve(
    shared: Rc<WorkerContext>,
    mut connection: PlainConnection,
    counted: Rc<CountedConnection>,
    waiting: Option<WaitingLongPoll>,
) -> LocalBoxFuture<'static, Option<Box<Connected>>> {
    Box::pin(async move {
        let mut last = LastCommonFields::default();
        let mut stop = shared.app.stop.clone();
        let mut stopped = pin!(stop.wait_for(|stop| *stop));
        let mut idle = Idle::new(shared.app.config.keep_alive);
        if let Some(waiting) = waiting {
            answer_wait(
                &shared,
                &mut connection,
                waiting,
                &mut idle,
                stopped.as_mut(),
            )
            .await?;
        }
        let mut idle_since = Instant::now();
        loop {
            while !connection.unread.is_empty() {
                let answering = Box::pin(answer(&shared, &mut connection, &counted, &mut last));
                match answering.await {
                    RequestOutcome::Answered => {}
                    RequestOutcome::Waits(waiting) => {
                        answer_wait(
                            &shared,
                            &mut connection,
                            waiting,
                            &mut idle,
                            stopped.as_mut(),
                        )
                        .await?;
                    }
                    RequestOutcome::Other => {
                        let stream = Rc::into_inner(connection.socket)?;
                        return Some(Box::new(Connected {
                            stream,
                            unread: connection.unread,
                        }));
                    }
                    RequestOutcome::Ended => return None,
                }
                idle_since = Instant::now();
            }
            tokio::select! {
                biased;
                received = poll_fn(|context| connection.receive(&shared.groups, ReceiveBuffer::AHEAD_MAX, context)) => {
                    received.ok().filter(|bytes| *bytes > 0)?;
                }
                _ = stopped.as_mut() => return None,
                () = poll_fn(|context| idle.poll_over(|| idle_since, context)) => return None,
            }
        }
    })
}

/// The header fields of every response, cached for the last origin.
#[derive(Default)]
struct LastCommonFields {
    last: Option<(Option<String>, Rc<Fields>)>,
}

impl LastCommonFields {
    fn for_origin(&mut self, allowed: Option<&str>) -> Rc<Fields> {
        match &self.last {
            Some((before, fields)) if before.as_deref() == allowed => Rc::clone(fields),
            _ => {
                let fields = Rc::new(gate::common_fields(allowed));
                self.last = Some((allowed.map(str::to_owned), Rc::clone(&fields)));
                fields
            }
        }
    }
}

/// Answers the request at the beginning of the buffer.
async fn answer(
    shared: &Rc<WorkerContext>,
    connection: &mut PlainConnection,
    counted: &CountedConnection,
    last: &mut LastCommonFields,
) -> RequestOutcome {
    let unread = std::mem::take(&mut connection.unread);
    let is_plain = |request: &PlainRequest<'_>| {
        let is_small = shared.app.reads_first(request.body.len());
        is_small && !is_live(request.query) && !StreamName::is_reserved_path(request.path)
    };
    let request = PlainRequest::parse(&unread).filter(is_plain);
    let admission = request
        .as_ref()
        .map(|request| shared.gate.admit(&request.head(counted)));
    let (
        Some(request),
        Some(Admission {
            host,
            allowed,
            checked: Ok(()),
        }),
    ) = (&request, admission)
    else {
        drop(request);
        connection.unread = unread;
        return RequestOutcome::Other;
    };
    let common = last.for_origin(allowed);
    let call = Call {
        method: &request.method,
        path: request.path,
        query: request.query,
        headers: &request.headers,
        host,
        is_websocket: false,
    };
    // Separate statement, to keep the future small.
    let replying = Box::pin(api::reply(
        &shared.app,
        call,
        CompleteBody(Bytes::copy_from_slice(request.body)),
    ));
    let reply = replying.await;
    let length = request.length;
    connection.unread = unread;
    connection.unread.consume(length);
    match reply {
        Reply::Answer(answer) => {
            if send(shared, connection, answer, common.lines(), true).await {
                RequestOutcome::Answered
            } else {
                RequestOutcome::Ended
            }
        }
        Reply::Wait(wait) => RequestOutcome::Waits(WaitingLongPoll {
            wait,
            common,
            keep_alive: true,
        }),
        // `is_live` has left these to a dispatcher.
        Reply::Live(..) => RequestOutcome::Ended,
    }
}

/// Whether a query asks for a live response other than a long-poll: a dispatcher writes its head.
fn is_live(query: &str) -> bool {
    query
        .as_bytes()
        .split(|byte| *byte == b'&')
        .any(|pair| pair.starts_with(b"live=") && pair != b"live=long-poll")
}
