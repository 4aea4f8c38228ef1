//! Imports: a stream is filled before it becomes visible, so that it is visible completely or not at all.

use super::{CreateError, Streams};
use crate::log::Log;
use crate::model::StreamId;
use crate::model::{StreamConfig, StreamName};
use crate::store::{Change, Commit, CommitCallback, Store, StoreError, StreamCreation};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use tokio::sync::oneshot;

/// The prefix of the keys of notes about unpublished streams. The id of the stream follows.
const NOTES: &str = "import/";

/// An unpublished stream, which is deleted if this is dropped before [`PendingImport::publish`].
#[derive(Debug)]
pub struct PendingImport<'a> {
    streams: &'a Streams,
    log: Arc<Log>,
    is_published: bool,
}

impl Streams {
    /// Creates a stream that is not visible until [`PendingImport::publish`].
    ///
    /// # Errors
    /// All of [`CreateError`]; [`CreateError::Taken`] if the name exists.
    pub async fn import(
        &self,
        name: &StreamName,
        config: StreamConfig,
    ) -> Result<PendingImport<'_>, CreateError> {
        self.has_room_for(name)?;
        let id = self.new_id();
        // The note is stored first, so that the stream is deleted after a crash.
        self.note(id, Some(Bytes::new())).await?;
        let generation = self.deleted.next_generation(name);
        let new = StreamCreation {
            name: name.clone(),
            generation,
            config,
            first: None,
            closed: false,
            at: self.wall.now(),
        };
        let known = new.to_recovered(id);
        let (done, outcome) = oneshot::channel();
        let commit = Commit {
            stream: id,
            change: Change::Create(Box::new(new)),
        };
        self.store.commit(commit, answer(done));
        let log = Log::open(known, None, Arc::clone(&self.store), self.wall)
            .with_observer(&self.observed, &self.limits);
        let log = Arc::new(log);
        // Created before the outcome is known: if this future is dropped, the stream is deleted.
        let importing = PendingImport {
            streams: self,
            log,
            is_published: false,
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

impl PendingImport<'_> {
    /// The unpublished stream.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Makes the stream visible.
    ///
    /// # Errors
    /// All of [`CreateError`]; the stream is deleted. [`CreateError::Taken`]: another stream of the
    /// name exists now. [`CreateError::NameReused`]: another stream of the name was created and
    /// deleted.
    pub async fn publish(mut self) -> Result<Arc<Log>, CreateError> {
        let name = self.log.name().clone();
        let (_lock, _) = self
            .streams
            .remove_expired(self.streams.lock_name(&name).await)
            .await?;
        self.streams.has_room_for(&name)?;
        if self.streams.deleted.next_generation(&name) != self.log.generation() {
            return Err(CreateError::NameReused);
        }
        self.streams.note(self.log.id(), None).await?;
        let mut logs = self
            .streams
            .logs
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        logs.insert(Arc::clone(&self.log));
        drop(logs);
        self.streams.observed.notify(self.log.name());
        self.is_published = true;
        Ok(Arc::clone(&self.log))
    }
}

impl Drop for PendingImport<'_> {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        self.log.mark_deleted();
        delete_unfinished(&self.streams.store, self.log.id());
    }
}

/// The streams of incomplete imports. Their notes are removed from `notes`.
pub(super) fn take_unfinished(notes: &mut BTreeMap<String, Bytes>) -> BTreeSet<StreamId> {
    let mut unfinished = BTreeSet::new();
    notes.retain(|key, _| {
        let id = key
            .strip_prefix(NOTES)
            .and_then(|id| id.parse().ok())
            .map(StreamId);
        unfinished.extend(id);
        id.is_none()
    });
    unfinished
}

/// Deletes the stream of an incomplete import.
pub(super) fn delete_unfinished(store: &Arc<dyn Store>, id: StreamId) {
    let notes = Arc::clone(store);
    let done = move |result: Result<(), StoreError>| match result {
        // The note is removed last: if it exists, the next start deletes the stream.
        Ok(()) | Err(StoreError::NoStream) => notes.note(&key(id), None, Box::new(|_| {})),
        Err(error) => tracing::warn!(
            "the incomplete import {} will be deleted at the next start: {error}",
            id.0
        ),
    };
    store.commit(
        Commit {
            stream: id,
            change: Change::delete(),
        },
        Box::new(done),
    );
}

/// A callback that sends the outcome of a change.
fn answer(sender: oneshot::Sender<Result<(), StoreError>>) -> CommitCallback {
    Box::new(move |result| {
        // The receiver is dropped if the client has disconnected.
        let _gone = sender.send(result);
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
    async fn an_import_is_invisible_until_published_and_deleted_if_dropped() {
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
        let log = importing.publish().await.unwrap();
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
        let log = second.publish().await.unwrap();
        assert_eq!(first.publish().await.unwrap_err(), CreateError::Taken);
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
