//! The keeper: creates, forks and deletes streams while the writers write.

use super::body::{self, SentBody, media_type};
use super::plan::DEADLINE;
use super::stream::{Being, CrashStream, Creation};
use rand::Rng;
use rand::rngs::SmallRng;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::headers::ContentKind;
use tokio::sync::Notify;

/// Streams below which none is deleted, and above which none is made.
const STREAMS: std::ops::Range<usize> = 4..9;

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Act {
    Create(Box<CrashStream>),
    /// Which stream, as an index.
    Delete(usize),
}

/// What became of it: the answer's status, if one came.
#[derive(Debug)]
pub(crate) struct ActDone {
    pub(crate) act: Act,
    pub(crate) status: Option<u16>,
    text: String,
}

/// What to do in a round.
pub(crate) fn plan(streams: &[CrashStream], names: &mut u64, random: &mut SmallRng) -> Vec<Act> {
    let alive: Vec<usize> = (0..streams.len())
        .filter(|at| streams[*at].being == Being::Alive)
        .collect();
    let mut acts = Vec::new();
    while alive.len() + acts.len() < STREAMS.start {
        acts.push(Act::Create(Box::new(fresh(names, random))));
    }
    let mut deleted = Vec::new();
    for _ in 0..random.random_range(0..3) {
        let many = alive.len() + acts.len() >= STREAMS.end;
        match random.random_range(0..3) {
            0 if !many => acts.push(Act::Create(Box::new(fresh(names, random)))),
            1 if !many && !alive.is_empty() => {
                let source = &streams[alive[random.random_range(0..alive.len())]];
                acts.push(Act::Create(Box::new(fork(source, names, random))));
            }
            2 if alive.len() > STREAMS.start + deleted.len() => {
                let at = alive[random.random_range(0..alive.len())];
                if !deleted.contains(&at) {
                    deleted.push(at);
                    acts.push(Act::Delete(at));
                }
            }
            _ => {}
        }
    }
    acts
}

/// A stream of any kind, sometimes with a first content, sometimes closed from the beginning.
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

/// A stream that grows from a boundary of `source`, or from a little further on.
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

/// Does it all, at moments of its own, until the server is gone.
///
/// - `paths`: of the streams, by index.
/// - `heard`: told of every answer, so that death can come right after one.
pub(crate) async fn keep(
    http: reqwest::Client,
    base: String,
    acts: Vec<Act>,
    paths: Vec<String>,
    mut random: SmallRng,
    heard: Arc<Notify>,
) -> Vec<ActDone> {
    let mut done = Vec::new();
    for act in acts {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
        let request = match &act {
            Act::Create(stream) => stream.put(&http, &format!("{base}{}", stream.path())),
            Act::Delete(at) => http.delete(format!("{base}{}", paths[*at])),
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
        done.push(ActDone { act, status, text });
        heard.notify_one();
    }
    done
}

impl ActDone {
    /// Notes it in what is known of the streams.
    ///
    /// # Errors
    /// What the server answered that it must not.
    pub(crate) fn note(self, streams: &mut Vec<CrashStream>) -> Result<(), String> {
        let Self { act, status, text } = self;
        match act {
            Act::Create(mut stream) => {
                let source_left = stream.creation.fork.as_ref().is_some_and(|(source, ..)| {
                    streams
                        .iter()
                        .any(|it| it.name == *source && it.deletion_asked)
                });
                match status {
                    Some(201) => stream.being = Being::Alive,
                    None | Some(500 | 503) => {}
                    Some(404 | 409 | 410) if source_left => return Ok(()),
                    _ => {
                        return Err(format!(
                            "{}: its creation was answered {status:?} {text}",
                            stream.name
                        ));
                    }
                }
                streams.push(*stream);
            }
            Act::Delete(at) => {
                let stream = &mut streams[at];
                stream.deletion_asked = true;
                match status {
                    Some(204) => stream.being = Being::Gone,
                    None | Some(500 | 503) => stream.being = Being::Leaving,
                    _ => {
                        return Err(format!(
                            "{}: its deletion was answered {status:?} {text}",
                            stream.name
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Makes sure that a creation that got no answer but took effect is safe to repeat.
///
/// # Errors
/// When it is not.
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
            "{}: its creation took effect, but its repetition was answered {status}",
            stream.name
        )),
    }
}
