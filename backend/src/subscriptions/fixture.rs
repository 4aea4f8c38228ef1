//! Fixtures for tests of subscriptions: a store that can delay notes, a transport answered by the
//! test, paused time.

use super::definition::{Definition, DefinitionRequest, SubscriptionId, WorkerName};
use super::state::{DeliveryWay, WakeKey};
use super::webhook::{Posting, Receipt, WebhookRequest, WebhookTransport};
use super::wire::{ClaimView, SubscriptionView};
use super::{Refused, SubscriptionLimits, Subscriptions, WorkerReport};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tailwater_core::StreamId;
use tailwater_core::clock::WallClock;
use tailwater_core::store::{
    Commit, CommitCallback, Cut, CutFuture, MemoryStore, ReadFuture, Recovered, Recovery, Store,
    StoreError,
};
use tailwater_core::{Append, ListQuery, Payload, StreamConfig, StreamName, Streams};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, StreamOffset};
use tokio::sync::{mpsc, oneshot, watch};

/// What the store does with notes.
#[derive(Debug, Default)]
pub(super) enum NotePolicy {
    /// Stores them at once.
    #[default]
    Store,
    /// Refuses them.
    Refuse,
    /// Delays them until the test releases them.
    Delay(VecDeque<DelayedNote>),
}

pub(super) struct DelayedNote(String, Option<Bytes>, CommitCallback);

impl std::fmt::Debug for DelayedNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A memory store that treats notes as the test requires.
#[derive(Debug)]
pub(super) struct TestNoteStore {
    streams: MemoryStore,
    pub(super) notes: Mutex<BTreeMap<String, Bytes>>,
    pub(super) note_policy: Mutex<NotePolicy>,
}

impl TestNoteStore {
    fn persist(&self, key: String, value: Option<Bytes>) {
        let mut notes = self.notes.lock().unwrap();
        match value {
            Some(value) => notes.insert(key, value),
            None => notes.remove(&key),
        };
    }

    /// Stores the delayed notes, and all further ones.
    pub(super) fn release_notes(&self) {
        let note_policy = std::mem::take(&mut *self.note_policy.lock().unwrap());
        if let NotePolicy::Delay(delayed_notes) = note_policy {
            for DelayedNote(key, value, done) in delayed_notes {
                self.persist(key, value);
                done(Ok(()));
            }
        }
    }

    /// Number of delayed notes.
    pub(super) fn delayed_notes(&self) -> usize {
        if let NotePolicy::Delay(delayed_notes) = &*self.note_policy.lock().unwrap() {
            delayed_notes.len()
        } else {
            0
        }
    }
}

impl Store for TestNoteStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
        self.streams.commit(commit, done);
    }

    fn read(
        &self,
        stream: StreamId,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> ReadFuture<'_> {
        self.streams.read(stream, from, until, max_bytes)
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> CutFuture<'_> {
        self.streams.cut(stream, cut)
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback) {
        match &mut *self.note_policy.lock().unwrap() {
            NotePolicy::Store => self.persist(key.to_owned(), value),
            NotePolicy::Refuse => return done(Err(StoreError::Unwritable("a test".to_owned()))),
            NotePolicy::Delay(delayed_notes) => {
                return delayed_notes.push_back(DelayedNote(key.to_owned(), value, done));
            }
        }
        done(Ok(()));
    }
}

type Answering = oneshot::Sender<Result<Receipt, String>>;

/// A transport that passes each request to the test and waits for its answer.
#[derive(Debug)]
struct TestTransport(mpsc::UnboundedSender<(WebhookRequest, Answering)>);

impl WebhookTransport for TestTransport {
    fn post(&self, request: WebhookRequest) -> Posting {
        let (answer, answered) = oneshot::channel();
        // The test may have ended.
        let _gone = self.0.send((request, answer));
        Box::pin(async move {
            answered
                .await
                .unwrap_or_else(|_| Err("the test did not answer".to_owned()))
        })
    }
}

/// A webhook request for the test to answer.
pub(super) struct WebhookCall {
    pub(super) body: Value,
    pub(super) key: WakeKey,
    pub(super) token: String,
    answer: Answering,
}

impl WebhookCall {
    pub(super) fn answer(self, receipt: Receipt) {
        assert!(
            self.answer.send(Ok(receipt)).is_ok(),
            "the delivery has ended"
        );
    }

    pub(super) fn fail(self) {
        assert!(
            self.answer.send(Err("unavailable".to_owned())).is_ok(),
            "the delivery has ended"
        );
    }

    /// The acked offset, the tail and whether something is pending, for one of its streams.
    pub(super) fn stream(&self, path: &str) -> (u64, u64, bool) {
        let streams = self.body["streams"].as_array().unwrap();
        let it = streams
            .iter()
            .find(|it| it["path"] == path)
            .unwrap_or_else(|| panic!("no {path} in {}", self.body));
        let bytes = |field: &str| it[field].as_str().unwrap().parse::<u64>().unwrap();
        (
            bytes("acked_offset"),
            bytes("tail_offset"),
            it["has_pending"].as_bool().unwrap(),
        )
    }
}

/// Streams, a store and subscriptions, which can be restarted.
pub(super) struct SubscriptionFixture {
    pub(super) store: Arc<TestNoteStore>,
    pub(super) streams: Arc<Streams>,
    pub(super) subscriptions: Arc<Subscriptions>,
    stop: watch::Sender<bool>,
    calls: mpsc::UnboundedReceiver<(WebhookRequest, Answering)>,
    wall: WallClock,
    limits: SubscriptionLimits,
}

pub(super) fn limits() -> SubscriptionLimits {
    SubscriptionLimits {
        subscriptions_max: 3,
        streams_max: 4,
        deliveries_max: 8,
        webhook_answer_max: Duration::from_secs(30),
        allow_local: true,
        public_url: None,
    }
}

pub(super) fn id(text: &str) -> SubscriptionId {
    SubscriptionId::parse(text).unwrap()
}

pub(super) fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

impl SubscriptionFixture {
    pub(super) fn new() -> Self {
        Self::with(limits())
    }

    pub(super) fn with(limits: SubscriptionLimits) -> Self {
        let streams = MemoryStore::new(1 << 20);
        let store = Arc::new(TestNoteStore {
            streams,
            notes: Mutex::default(),
            note_policy: Mutex::default(),
        });
        Self::open(store, Recovery::default(), WallClock::tokio(), limits)
    }

    fn open(
        store: Arc<TestNoteStore>,
        mut recovery: Recovery,
        wall: WallClock,
        limits: SubscriptionLimits,
    ) -> Self {
        let dyn_store = Arc::clone(&store) as Arc<dyn Store>;
        let streams = Arc::new(Streams::open_with(dyn_store, &mut recovery, 100, wall));
        let (stop, stopping) = watch::channel(false);
        let (webhooks, calls) = mpsc::unbounded_channel();
        let webhooks = Arc::new(TestTransport(webhooks));
        let notes = store.notes.lock().unwrap().clone();
        let subscriptions = Subscriptions::open(
            Arc::clone(&streams),
            &notes,
            limits.clone(),
            webhooks,
            stopping,
        )
        .expect("readable notes");
        Self {
            store,
            streams,
            subscriptions,
            stop,
            calls,
            wall,
            limits,
        }
    }

    /// Stops, and restarts with what the store has.
    pub(super) async fn restart(self) -> Self {
        self.stop();
        let all = ListQuery {
            limit: usize::MAX,
            ..ListQuery::default()
        };
        let known = |log: &Arc<tailwater_core::Log>| Recovered {
            stream: log.id(),
            name: log.name().clone(),
            generation: log.generation(),
            config: log.config().clone(),
            created: log.created(),
            earliest: log.earliest(),
            next: log.tail_now().next,
            closed: None,
            hidden: false,
            seq: None,
            producers: Vec::new(),
        };
        let streams = self.streams.list(&all).await.0.iter().map(known).collect();
        Self::open(
            self.store,
            Recovery {
                streams,
                ..Recovery::default()
            },
            self.wall,
            self.limits,
        )
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) async fn create(&self, stream: &str) {
        self.streams
            .create(&name(stream), StreamConfig::new("text/plain"), None, false)
            .await
            .unwrap();
    }

    /// Appends this many bytes, creating the stream if necessary.
    pub(super) async fn append(&self, stream: &str, bytes: usize) {
        if self.streams.find(&name(stream)).is_none() {
            self.create(stream).await;
        }
        let payload = Payload::of_messages(ContentKind::Text, [&*vec![b'x'; bytes]]);
        let log = self.streams.find(&name(stream)).unwrap();
        log.append(Append {
            payload,
            ..Append::default()
        })
        .await
        .unwrap();
    }

    /// The whole content of a stream.
    pub(super) async fn content(&self, stream: &str) -> String {
        let Some(log) = self.streams.find(&name(stream)) else {
            return String::new();
        };
        let batch = log.read(Offset::ZERO, 1 << 20).await.unwrap();
        String::from_utf8(batch.data.to_vec()).unwrap()
    }

    pub(super) async fn put(
        &self,
        text: &str,
        request: Value,
    ) -> Result<(SubscriptionView, bool), Refused> {
        let request: DefinitionRequest = serde_json::from_value(request).unwrap();
        let definition = Definition::new(request, true)?;
        self.subscriptions
            .put(id(text), definition, "http://127.0.0.1:1".to_owned())
            .await
    }

    /// A webhook subscription `hook` on `events/*` with a lease of ten seconds.
    pub(super) async fn hook(&self) {
        let request = json!({"type": "webhook", "pattern": "events/*", "lease_ttl_ms": 10_000,
                           "webhook": {"url": "https://worker.example/"}});
        assert!(self.put("hook", request).await.unwrap().1);
    }

    /// A pull-wake subscription `pull` on `events/*` with a lease of ten seconds and events on
    /// `wake`.
    pub(super) async fn pull(&self) {
        let request = json!({"type": "pull-wake", "pattern": "events/*", "lease_ttl_ms": 10_000, "wake_stream": "wake"});
        assert!(self.put("pull", request).await.unwrap().1);
    }

    pub(super) async fn claim(&self, worker: &str) -> Result<ClaimView, Refused> {
        self.subscriptions
            .claim(&id("pull"), WorkerName::parse(worker)?)
            .await
    }

    pub(super) async fn ack(
        &self,
        claim: &ClaimView,
        acks: &[(&str, u64)],
        done: bool,
    ) -> Result<bool, Refused> {
        let key = WakeKey {
            generation: claim.generation,
            wake_id: claim.wake_id.clone(),
        };
        let acks = acks
            .iter()
            .map(|(stream, at)| {
                (
                    name(stream),
                    StreamOffset {
                        generation: 0,
                        position: Offset::new(*at).unwrap(),
                    },
                )
            })
            .collect();
        let report = WorkerReport { key, acks, done };
        self.subscriptions
            .report(&id("pull"), DeliveryWay::PullWake, &claim.token, report)
            .await
    }

    /// The response to a GET.
    pub(super) async fn view(&self, text: &str) -> Value {
        serde_json::to_value(self.subscriptions.inspect(&id(text)).await.unwrap()).unwrap()
    }

    /// The next webhook request. Paused time advances meanwhile; 90 seconds without one are a
    /// failure.
    pub(super) async fn call(&mut self) -> WebhookCall {
        self.call_within(Duration::from_secs(90))
            .await
            .expect("a webhook within 90 seconds")
    }

    /// The next webhook request, if it arrives in time.
    pub(super) async fn call_within(&mut self, time: Duration) -> Option<WebhookCall> {
        let (request, answer) = tokio::time::timeout(time, self.calls.recv()).await.ok()??;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let generation = body["generation"].as_u64().unwrap();
        let wake_id = body["wake_id"].as_str().unwrap().to_owned();
        let token = body["callback_token"].as_str().unwrap().to_owned();
        Some(WebhookCall {
            key: WakeKey {
                generation,
                wake_id,
            },
            token,
            body,
            answer,
        })
    }
}
