//! A stream that is filled before anybody sees it, and appears whole or not at all.

use super::{CreateError, Streams};
use crate::log::Log;
use crate::model::StreamId;
use crate::model::{StreamConfig, StreamName};
use crate::store::{Change, Commit, CommitCallback, Store, StoreError, StreamCreation};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// Where notes about streams stand that have not appeared yet: behind it comes the stream's number.
const NOTES: &str = "import/";

/// A stream on its way; deleted again when dropped before it has appeared.
#[derive(Debug)]
pub struct Importing<'a> {
    streams: &'a Streams,
    log: Arc<Log>,
    has_appeared: bool,
}

impl Streams {
    /// Begins a stream of this name, with the name's next life, that nobody sees before [`Importing::appear`].
    ///
    /// # Errors
    /// All of [`CreateError`], with [`CreateError::Taken`] when the name is.
    pub async fn import(
        &self,
        name: &StreamName,
        config: StreamConfig,
    ) -> Result<Importing<'_>, CreateError> {
        self.has_room_for(name)?;
        let id = self.new_id();
        // First the note: what a crash leaves half is recognised by it.
        self.note(id, Some(Bytes::new())).await?;
        let life = self.deleted.next_life(name);
        let new = StreamCreation {
            name: name.clone(),
            life,
            config,
            first: None,
            closed: false,
            at: self.wall.now(),
        };
        let known = new.known_as(id);
        let (done, outcome) = oneshot::channel();
        let commit = Commit {
            stream: id,
            change: Change::Create(Box::new(new)),
        };
        self.store.commit(commit, answer(done));
        let log = Log::open(known, None, Arc::clone(&self.store), self.wall)
            .kept_by(&self.observed, &self.limits);
        let log = Arc::new(log);
        // From here on dropping it deletes it, whether the store has it yet or not.
        let importing = Importing {
            streams: self,
            log,
            has_appeared: false,
        };
        outcome.await.unwrap_or(Err(StoreError::NoStream))?;
        Ok(importing)
    }

    fn has_room_for(&self, name: &StreamName) -> Result<(), CreateError> {
        match self.entry(name) {
            Some(log) if log.is_hidden() => return Err(CreateError::Hidden { forks: log.forks() }),
            Some(_) => return Err(CreateError::Taken),
            None => {}
        }
        if self.count() >= self.limits.streams_max {
            return Err(CreateError::TooMany {
                limit: self.limits.streams_max,
            });
        }
        Ok(())
    }

    async fn note(&self, id: StreamId, value: Option<Bytes>) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        self.store.note(&key(id), value, answer(done));
        outcome.await.unwrap_or(Err(StoreError::NoStream))
    }
}

impl Importing<'_> {
    /// The stream, to be filled.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Shows the stream to everybody.
    ///
    /// # Errors
    /// [`CreateError::Taken`] when another stream of the name was quicker, [`CreateError::Overtaken`] when it is gone again; all others of [`CreateError`]. Then it is deleted.
    pub async fn appear(mut self) -> Result<Arc<Log>, CreateError> {
        let name = self.log.name().clone();
        let (_lock, _) = self
            .streams
            .remove_ended(self.streams.lock_name(&name).await)
            .await?;
        self.streams.has_room_for(&name)?;
        if self.streams.deleted.next_life(&name) != self.log.life() {
            return Err(CreateError::Overtaken);
        }
        self.streams.note(self.log.id(), None).await?;
        let mut logs = self
            .streams
            .logs
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        logs.insert(Arc::clone(&self.log));
        drop(logs);
        self.streams.observed.tell(self.log.name());
        self.has_appeared = true;
        Ok(Arc::clone(&self.log))
    }
}

impl Drop for Importing<'_> {
    fn drop(&mut self) {
        if self.has_appeared {
            return;
        }
        self.log.end();
        forget(&self.streams.store, self.log.id());
    }
}

/// The streams that were not imported to their end, taken out of a store's notes.
pub(super) fn take_halves(notes: &mut BTreeMap<String, Bytes>) -> BTreeSet<StreamId> {
    let mut halves = BTreeSet::new();
    notes.retain(|key, _| {
        let id = key
            .strip_prefix(NOTES)
            .and_then(|id| id.parse().ok())
            .map(StreamId);
        halves.extend(id);
        id.is_none()
    });
    halves
}

/// Deletes what there is of a stream that was not imported to its end.
pub(super) fn forget(store: &Arc<dyn Store>, id: StreamId) {
    let notes = Arc::clone(store);
    let forget = move |result: Result<(), StoreError>| match result {
        // Only now: while it is there, what is left of the stream goes at the next opening.
        Ok(()) | Err(StoreError::NoStream) => notes.note(&key(id), None, Box::new(|_| {})),
        Err(error) => tracing::warn!(
            "what is left of import {} goes at the next start: {error}",
            id.0
        ),
    };
    store.commit(
        Commit {
            stream: id,
            change: Change::delete(),
        },
        Box::new(forget),
    );
}

/// A callback that sends the outcome of a change.
fn answer(waiting: oneshot::Sender<Result<(), StoreError>>) -> CommitCallback {
    Box::new(move |result| {
        // The receiver is dropped only with its request; then no answer is needed.
        let _gone = waiting.send(result);
    })
}

fn key(id: StreamId) -> String {
    format!("{NOTES}{}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Append;
    use crate::model::Payload;
    use crate::registry::ListQuery;
    use crate::store::{MemoryStore, Store};
    use tailwater_protocol::headers::ContentKind;

    fn payload() -> Append {
        Append {
            payload: Payload::of_messages(ContentKind::Text, [&b"abc"[..]]),
            ..Append::default()
        }
    }

    #[tokio::test]
    async fn an_import_is_invisible_until_done_and_leaves_nothing_if_not() {
        let store = Arc::new(MemoryStore::new(1 << 20));
        let streams = Streams::new(Arc::clone(&store) as Arc<dyn Store>, 10);
        let name = StreamName::parse("a").unwrap();
        let importing = streams
            .import(&name, StreamConfig::new("text/plain"))
            .await
            .unwrap();
        importing.log().append(payload()).await.unwrap();
        assert!(streams.find(&name).is_none());
        assert_eq!(
            streams
                .list(&ListQuery {
                    limit: 9,
                    ..ListQuery::default()
                })
                .await
                .0
                .len(),
            0
        );
        assert!(store.kept_bytes() > 0);
        drop(importing);
        assert_eq!(store.kept_bytes(), 0);

        let importing = streams
            .import(&name, StreamConfig::new("text/plain"))
            .await
            .unwrap();
        importing.log().append(payload()).await.unwrap();
        let log = importing.appear().await.unwrap();
        assert_eq!(streams.find(&name).unwrap().id(), log.id());
        assert_eq!(log.tail_now().next.bytes(), 3);
    }

    #[tokio::test]
    async fn an_import_fails_if_its_name_was_taken_meanwhile() {
        let streams = Streams::new(Arc::new(MemoryStore::new(1 << 20)), 10);
        let name = StreamName::parse("a").unwrap();
        let first = streams
            .import(&name, StreamConfig::new("text/plain"))
            .await
            .unwrap();
        let second = streams
            .import(&name, StreamConfig::new("text/plain"))
            .await
            .unwrap();
        let log = second.appear().await.unwrap();
        assert_eq!(first.appear().await.unwrap_err(), CreateError::Taken);
        assert_eq!(streams.find(&name).unwrap().id(), log.id());
        assert_eq!(
            streams
                .import(&name, StreamConfig::new("text/plain"))
                .await
                .unwrap_err(),
            CreateError::Taken
        );
    }
}
