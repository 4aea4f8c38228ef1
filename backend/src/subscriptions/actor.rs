//! The task of one subscription: the only one that changes its state. It stores each change, and
//! only then acts on it.
//!
//! Every change is made to a copy. When the copy is stored it becomes the state, attempts begin and
//! replies are sent; if storing fails, the state is unchanged. So nothing becomes visible that a
//! restart would lose.

use super::SubscriptionContext;
use super::definition::{Delivery, SubscriptionId};
use super::note::{self, SubscriptionRecord};
use super::state::{
    Attempt, AttemptOutcome, DeliveryWay, JITTER_PERMILLE, Moment, SubscriptionState, WakeKey,
};
use super::webhook::{Receipt, WebhookRequest};
use super::wire;
use bytes::Bytes;
use rand::Rng;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tailwater_core::store::StoreError;
use tailwater_core::{Append, Payload, StreamName};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// Requests that may wait for one subscription.
const COMMANDS_MAX: usize = 64;
/// Pause after the store has refused a change, unless a request arrives.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Sleep of a subscription without a deadline.
const IDLE_SLEEP: Duration = Duration::from_secs(86_400);
/// Maximum characters of a stored failure's text.
const REASON_CHARS_MAX: usize = 300;

/// A change of the state; the returned function is called once the change is stored or refused.
pub(super) type Job = Box<dyn FnOnce(&mut SubscriptionState, Moment) -> AfterChange + Send>;
pub(super) type AfterChange = Box<dyn FnOnce(Result<&SubscriptionState, StoreError>) + Send>;

/// A command to a subscription's task.
pub(super) enum SubscriptionCommand {
    /// Change the state, or read it.
    Job {
        job: Job,
        /// Whether it may link or unlink streams.
        relinks: bool,
    },
    /// Read the state as it is stored.
    Read(Box<dyn FnOnce(&SubscriptionState) + Send>),
    /// An attempt has ended.
    Attempted(WakeKey, AttemptOutcome),
    /// Delete the subscription.
    End(oneshot::Sender<Result<(), StoreError>>),
}

/// A subscription's shared handle.
#[derive(Debug)]
pub(super) struct SubscriptionEntry {
    pub(super) id: SubscriptionId,
    pub(super) record: SubscriptionRecord,
    /// Streams linked by name.
    explicit: RwLock<HashSet<StreamName>>,
    /// Streams whose state has to be read again.
    dirty: Mutex<HashSet<StreamName>>,
    changed: Notify,
    /// Whether the stored state is paused; asked right before something is sent.
    is_paused: AtomicBool,
    commands: mpsc::Sender<SubscriptionCommand>,
    has_warned: AtomicBool,
}

impl SubscriptionEntry {
    /// Whether changes of `name` are relevant.
    pub(super) fn concerns(&self, name: &StreamName) -> bool {
        self.record.definition.matches(name)
            || self.record.definition.wake_stream() == Some(name)
            || self
                .explicit
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(name)
    }

    /// Notes that these streams have changed.
    pub(super) fn mark(&self, names: impl IntoIterator<Item = StreamName>) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(names);
        self.changed.notify_one();
    }

    /// Sends a command; returns it when the queue is full or the task has ended.
    pub(super) fn send(
        &self,
        command: SubscriptionCommand,
    ) -> Result<(), mpsc::error::TrySendError<SubscriptionCommand>> {
        self.commands.try_send(command)
    }

    /// Sends a command once the queue has room; returns it when the task has ended.
    pub(super) async fn send_waiting(
        &self,
        command: SubscriptionCommand,
    ) -> Result<(), mpsc::error::SendError<SubscriptionCommand>> {
        self.commands.send(command).await
    }
}

/// Starts the task of a subscription. It ends by a command, or with the server.
pub(super) fn spawn(
    shared: &Arc<SubscriptionContext>,
    id: SubscriptionId,
    record: SubscriptionRecord,
    state: SubscriptionState,
) -> Arc<SubscriptionEntry> {
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let entry = Arc::new(SubscriptionEntry {
        id,
        record,
        explicit: RwLock::default(),
        dirty: Mutex::default(),
        changed: Notify::new(),
        is_paused: AtomicBool::new(state.is_paused()),
        commands,
        has_warned: AtomicBool::new(false),
    });
    let actor = Actor {
        shared: Arc::clone(shared),
        entry: Arc::clone(&entry),
        state,
        outcome: None,
        store_retry_at: None,
        delivery: None,
    };
    shared.runtime.spawn(actor.run(inbox));
    entry
}

struct Actor {
    shared: Arc<SubscriptionContext>,
    entry: Arc<SubscriptionEntry>,
    state: SubscriptionState,
    /// Outcome of an attempt, until it is stored.
    outcome: Option<(WakeKey, AttemptOutcome)>,
    /// No change is made on a timer before then: the store refused the last one.
    store_retry_at: Option<Moment>,
    /// The webhook request in progress.
    delivery: Option<TaskGuard>,
}

/// A task that is aborted when dropped.
struct TaskGuard(tokio::task::JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::Receiver<SubscriptionCommand>) {
        let mut stop = self.shared.stop.clone();
        self.relink();
        // What changed while the server was off, or while the subscription was being created.
        self.entry
            .mark(self.shared.matching(&self.entry.record.definition).await);
        loop {
            self.refresh_streams();
            let now = self.shared.now();
            let store_retry_at = self
                .store_retry_at
                .filter(|store_retry_at| *store_retry_at > now);
            if store_retry_at.is_none() && (self.outcome.is_some() || self.state.is_due(now)) {
                self.apply_change(None).await;
                continue;
            }
            let next = store_retry_at
                .or_else(|| self.state.deadline())
                .map_or(IDLE_SLEEP, |at| at.since(now));
            let command = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                command = inbox.recv() => command,
                () = self.entry.changed.notified() => continue,
                () = sleep(next) => continue,
            };
            match command {
                None => return,
                // The outcome of an earlier wake's attempt is ignored.
                Some(SubscriptionCommand::Attempted(key, outcome))
                    if self.state.current().as_ref() == Some(&key) =>
                {
                    self.outcome = Some((key, outcome));
                }
                Some(SubscriptionCommand::Attempted(..)) => {}
                Some(SubscriptionCommand::Job { job, relinks }) => {
                    // Appends before the request count for it, and cause a wake of their own that
                    // is delivered.
                    self.refresh_streams();
                    let now = self.shared.now();
                    if self
                        .store_retry_at
                        .is_none_or(|store_retry_at| store_retry_at <= now)
                        && self.state.is_due(now)
                    {
                        self.apply_change(None).await;
                    }
                    self.apply_change(Some(job)).await;
                    if relinks {
                        self.relink();
                    }
                }
                Some(SubscriptionCommand::Read(read)) => {
                    self.refresh_streams();
                    read(&self.state);
                }
                Some(SubscriptionCommand::End(reply)) => {
                    let deleted = self.shared.persist(&self.entry.id, None).await;
                    let is_deleted = deleted.is_ok();
                    // The requester may have disconnected.
                    let _left = reply.send(deleted);
                    if is_deleted {
                        return;
                    }
                }
            }
        }
    }

    /// Makes one change: an attempt's outcome, a request, and what is due; stores it, then acts on
    /// it.
    async fn apply_change(&mut self, job: Option<Job>) {
        let now = self.shared.now();
        let mut next = self.state.clone();
        if let Some((key, outcome)) = &self.outcome {
            next.attempted(key, outcome.clone(), now);
        }
        let then = job.map(|job| job(&mut next, now));
        let attempt = next.settle(now, wake_id());
        let stored = if next.revision() == self.state.revision() {
            Ok(())
        } else {
            self.shared
                .persist(&self.entry.id, Some(note::write(&self.entry.record, &next)))
                .await
        };
        match stored {
            Ok(()) => {
                self.log_transition(&next);
                self.state = next;
                self.entry
                    .is_paused
                    .store(self.state.is_paused(), Ordering::Release);
                (self.outcome, self.store_retry_at) = (None, None);
                if let Some(attempt) = attempt {
                    self.begin_attempt(attempt);
                }
                if let Some(then) = then {
                    then(Ok(&self.state));
                }
            }
            Err(reason) => {
                if self.store_retry_at.is_none() {
                    tracing::warn!(
                        "subscription `{}`: the store refused a change: {reason}",
                        self.entry.id
                    );
                }
                self.store_retry_at = Some(now.after(STORE_PAUSE));
                if let Some(then) = then {
                    then(Err(reason));
                }
            }
        }
    }

    /// Logs the first failure of a delivery and its end, not each attempt.
    fn log_transition(&self, next: &SubscriptionState) {
        match (self.state.retry(), next.retry()) {
            (None, Some(retry)) => {
                tracing::warn!(
                    "subscription `{}`: a wake was not delivered and will be retried: {}",
                    self.entry.id,
                    retry.reason
                );
            }
            (Some(retry), None) => {
                tracing::info!(
                    "subscription `{}`: no longer failed, after {} failures",
                    self.entry.id,
                    retry.failures
                );
            }
            _ => {}
        }
    }

    fn begin_attempt(&mut self, attempt: Attempt) {
        let delivery = tokio::spawn(self.deliver(attempt));
        // A webhook that is too late is cancelled; an event is an append, which can't be.
        self.delivery = (self.entry.record.definition.way() == DeliveryWay::Webhook)
            .then(|| TaskGuard(delivery));
    }

    /// Reads the state of the streams that have changed.
    fn refresh_streams(&mut self) {
        let names = std::mem::take(
            &mut *self
                .entry
                .dirty
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let definition = &self.entry.record.definition;
        for name in &names {
            let snapshot = self.shared.snapshot(name);
            if definition.wake_stream() == Some(name) && snapshot.is_some() {
                self.state.retry_now(self.shared.now());
            }
            let fits = self.state.observe(
                name,
                snapshot,
                definition.matches(name),
                self.shared.limits.streams_max,
            );
            if !fits && !self.entry.has_warned.swap(true, Ordering::Relaxed) {
                let limit = self.shared.limits.streams_max;
                tracing::warn!(
                    "subscription `{}` follows {limit} streams, which is the limit; `{name}` is not added",
                    self.entry.id
                );
            }
        }
    }

    /// Publishes which streams are linked by name, then marks them: appends in between were not
    /// noticed.
    fn relink(&self) {
        let explicit: HashSet<StreamName> = self
            .state
            .streams()
            .filter(|info| info.explicit)
            .map(|info| info.path)
            .collect();
        self.entry
            .explicit
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&explicit);
        self.entry.mark(self.state.streams().map(|info| info.path));
    }

    /// Delivers a wake, then reports the outcome.
    fn deliver(&self, attempt: Attempt) -> impl Future<Output = ()> + Send + 'static {
        let (shared, entry) = (Arc::clone(&self.shared), Arc::clone(&self.entry));
        async move {
            let key = attempt.key.clone();
            let result = match &entry.record.definition.delivery {
                Delivery::Webhook(url) => post(&shared, &entry, url, attempt).await,
                Delivery::PullWake(stream) => announce(&shared, &entry, stream, attempt).await,
            };
            let outcome = result.unwrap_or_else(|reason| {
                tracing::debug!(
                    "subscription `{}`: wake {} was not delivered: {reason}",
                    entry.id,
                    key.generation
                );
                let limit = i32::from(JITTER_PERMILLE);
                let reason = reason.chars().take(REASON_CHARS_MAX).collect();
                AttemptOutcome::Failed {
                    reason,
                    jitter_permille: rand::rng().random_range(-limit..=limit),
                }
            });
            // The task has ended when the subscription was deleted or the server stops.
            let _ended = entry
                .send_waiting(SubscriptionCommand::Attempted(key, outcome))
                .await;
        }
    }
}

/// Delivers a wake to its webhook.
async fn post(
    shared: &SubscriptionContext,
    entry: &SubscriptionEntry,
    url: &str,
    attempt: Attempt,
) -> Result<AttemptOutcome, String> {
    let now = shared.now();
    let lease_left = attempt
        .until
        .map_or(shared.limits.webhook_answer_max, |until| until.since(now));
    let within = lease_left.min(shared.limits.webhook_answer_max);
    let base = shared.base(&entry.record);
    let token = shared.keys.seal(&entry.id, &attempt.key);
    let callback_url = wire::callback_url(base, &entry.id);
    let body = wire::webhook_body(
        &entry.id,
        &attempt.key,
        &attempt.streams,
        callback_url,
        token,
    );
    let posting = async {
        // The semaphore is never closed.
        let _place = shared
            .deliveries
            .acquire()
            .await
            .map_err(|fault| fault.to_string())?;
        if entry.is_paused.load(Ordering::Acquire) {
            return Ok(AttemptOutcome::NotSent);
        }
        let signature = shared.keys.sign(&body, shared.now());
        let request = WebhookRequest {
            url: url.to_owned(),
            body: Bytes::from(body),
            signature,
            within,
        };
        Ok(match shared.webhooks.post(request).await? {
            Receipt::Done => AttemptOutcome::Done(attempt.streams),
            Receipt::Accepted => AttemptOutcome::Accepted,
        })
    };
    timeout(within, posting)
        .await
        .map_err(|_| format!("no response within {within:?}"))?
}

/// Appends a wake to its wake stream.
async fn announce(
    shared: &SubscriptionContext,
    entry: &SubscriptionEntry,
    name: &StreamName,
    attempt: Attempt,
) -> Result<AttemptOutcome, String> {
    let missing = || format!("the wake stream `{name}` does not exist: create it");
    let log = shared.streams.find(name).ok_or_else(missing)?;
    if entry.is_paused.load(Ordering::Acquire) {
        return Ok(AttemptOutcome::NotSent);
    }
    let event = wire::wake_event(
        &entry.id,
        attempt.key.generation,
        &attempt.stream,
        shared.now(),
    );
    let payload =
        Payload::parse(log.kind(), Bytes::from(event)).map_err(|fault| fault.to_string())?;
    let append = Append {
        payload: Some(payload),
        ..Append::default()
    };
    log.append(append)
        .await
        .map_err(|fault| format!("the wake stream `{name}`: {fault}"))?;
    Ok(AttemptOutcome::Accepted)
}

/// A unique, unguessable name for a wake.
pub(super) fn wake_id() -> String {
    format!("w_{:032x}", rand::rng().random::<u128>())
}
