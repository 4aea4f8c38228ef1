//! Creates, forks and deletes streams while the writers write.

use super::body::{self, SentBody, media_type};
use super::plan::DEADLINE;
use super::stream::{CrashStream, Creation, StreamPresence};
use rand::Rng;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::headers::ContentKind;
use tokio::sync::Notify;

/// Below the first number no stream is deleted, above the second none is created.
const STREAMS: std::ops::Range<usize> = 4..9;

/// One request.
#[derive(Debug)]
pub(crate) enum LifecycleRequest {
    Create(Box<CrashStream>),
    /// The index of the stream.
    Delete(usize),
}

/// The result of a request: the status of the response, if there was one.
#[derive(Debug)]
pub(crate) struct LifecycleOutcome {
    pub(crate) act: LifecycleRequest,
    pub(crate) status: Option<u16>,
    text: String,
}

/// The requests of a round.
pub(crate) fn plan(
    streams: &[CrashStream],
    names: &mut u64,
    random: &mut SmallRng,
) -> Vec<LifecycleRequest> {
    let alive: Vec<usize> = (0..streams.len())
        .filter(|at| streams[*at].presence == StreamPresence::Alive)
        .collect();
    let mut requests = Vec::new();
    while alive.len() + requests.len() < STREAMS.start {
        requests.push(LifecycleRequest::Create(Box::new(fresh(names, random))));
    }
    let mut deleted = Vec::new();
    for _ in 0..random.random_range(0..3) {
        let many = alive.len() + requests.len() >= STREAMS.end;
        match random.random_range(0..3) {
            0 if !many => requests.push(LifecycleRequest::Create(Box::new(fresh(names, random)))),
            1 if !many && !alive.is_empty() => {
                let source = &streams[alive[random.random_range(0..alive.len())]];
                requests.push(LifecycleRequest::Create(Box::new(fork(
                    source, names, random,
                ))));
            }
            2 if alive.len() > STREAMS.start + deleted.len() => {
                let at = alive[random.random_range(0..alive.len())];
                if !deleted.contains(&at) {
                    deleted.push(at);
                    requests.push(LifecycleRequest::Delete(at));
                }
            }
            _ => {}
        }
    }
    requests
}

/// A new stream of any kind, sometimes with initial content, sometimes closed at creation.
pub(crate) fn fresh(names: &mut u64, random: &mut SmallRng) -> CrashStream {
    *names += 1;
    let kinds = [ContentKind::Json, ContentKind::Text, ContentKind::Binary];
    let kind = kinds[random.random_range(0..kinds.len())];
    let first = if random.random_ratio(1, 3) {
        body::make(kind, 9, 0, random)
    } else {
        SentBody::default()
    };
    let closed = random.random_ratio(1, 12);
    CrashStream::new(
        format!("s/{names}"),
        kind,
        Creation {
            first,
            closed,
            fork: None,
        },
        (&[], &[]),
    )
}

/// A fork at a message boundary of `source`, or a few messages after it.
fn fork(source: &CrashStream, names: &mut u64, random: &mut SmallRng) -> CrashStream {
    *names += 1;
    let place = random.random_range(0..source.boundaries.len());
    let at = source.boundaries[place];
    let next = source.boundaries.get(place + 1).copied();
    let (sub, end) = match (next, source.kind) {
        (Some(next), ContentKind::Json) if random.random_ratio(1, 3) => (1, next),
        (Some(next), ContentKind::Binary) if next - at > 1 && random.random_ratio(1, 3) => {
            let sub = random.random_range(1..next - at);
            (sub, at + sub)
        }
        _ => (0, at),
    };
    let first = if random.random_ratio(1, 3) {
        body::make(source.kind, 8, *names, random)
    } else {
        SentBody::default()
    };
    let creation = Creation {
        first,
        closed: false,
        fork: Some((source.name.clone(), at, sub)),
    };
    let inherited = (&source.content[..end], &source.boundaries[..=place]);
    CrashStream::new(format!("f/{names}"), source.kind, creation, inherited)
}

/// Sends the requests at random times until the server does not respond.
///
/// - `paths`: paths of the streams, by index.
/// - `answered`: notified of every response, so that a crash can follow one immediately.
pub(crate) async fn keep(
    http: reqwest::Client,
    base: String,
    requests: Vec<LifecycleRequest>,
    paths: Vec<String>,
    mut random: SmallRng,
    answered: Arc<Notify>,
) -> Vec<LifecycleOutcome> {
    let mut done = Vec::new();
    for act in requests {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
        let request = match &act {
            LifecycleRequest::Create(stream) => {
                stream.put(&http, &format!("{base}{}", stream.path()))
            }
            LifecycleRequest::Delete(at) => http.delete(format!("{base}{}", paths[*at])),
        };
        let asking = async {
            let response = request.send().await.ok()?;
            Some((
                response.status().as_u16(),
                response.text().await.unwrap_or_default(),
            ))
        };
        let answer = tokio::time::timeout(DEADLINE, asking).await.ok().flatten();
        let (status, text) =
            answer.map_or((None, String::new()), |(status, text)| (Some(status), text));
        done.push(LifecycleOutcome { act, status, text });
        answered.notify_one();
    }
    done
}

impl LifecycleOutcome {
    /// Updates what is known about the streams.
    ///
    /// # Errors
    /// When the response is not allowed.
    pub(crate) fn note(self, streams: &mut Vec<CrashStream>) -> Result<(), String> {
        let Self { act, status, text } = self;
        match act {
            LifecycleRequest::Create(mut stream) => {
                let source_left = stream.creation.fork.as_ref().is_some_and(|(source, ..)| {
                    streams
                        .iter()
                        .any(|it| it.name == *source && it.deletion_asked)
                });
                match status {
                    Some(201) => stream.presence = StreamPresence::Alive,
                    None | Some(500 | 503) => {}
                    Some(404 | 409 | 410) if source_left => return Ok(()),
                    _ => {
                        return Err(format!(
                            "{}: the response to its creation was {status:?} {text}",
                            stream.name
                        ));
                    }
                }
                streams.push(*stream);
            }
            LifecycleRequest::Delete(at) => {
                let stream = &mut streams[at];
                stream.deletion_asked = true;
                match status {
                    Some(204) => stream.presence = StreamPresence::Gone,
                    None | Some(500 | 503) => stream.presence = StreamPresence::Leaving,
                    _ => {
                        return Err(format!(
                            "{}: the response to its deletion was {status:?} {text}",
                            stream.name
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Checks that a creation without a response that took effect can be repeated.
///
/// # Errors
/// When it cannot.
pub(crate) async fn repeat(
    http: &reqwest::Client,
    base: &str,
    stream: &CrashStream,
) -> Result<(), String> {
    let request = stream.put(http, &format!("{base}{}", stream.path()));
    let asking = tokio::time::timeout(DEADLINE, request.send());
    let Ok(Ok(response)) = asking.await else {
        return Ok(());
    };
    let (status, kind) = (
        response.status().as_u16(),
        response.headers().get("content-type").cloned(),
    );
    let source_left = stream.creation.fork.is_some() && matches!(status, 404 | 409 | 410);
    match status {
        200 if kind.is_some_and(|kind| kind == media_type(stream.kind)) => Ok(()),
        _ if source_left => Ok(()),
        _ => Err(format!(
            "{}: its creation took effect, but repeating it returned {status}",
            stream.name
        )),
    }
}
