//! The life of one subscription: a task that alone changes its state, keeps it, and only then acts on it.
//!
//! Every change is tried on a copy. When the copy is kept in the store it becomes the state, attempts begin and answers
//! leave; when the store refuses, nothing has happened. So nobody ever saw what a restart would not know.

use super::SubscriptionContext;
use super::definition::{Delivery, SubscriptionId};
use super::note::{self, Card};
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
/// How long a change waits that the store refused and nobody asks about.
const HOLD: Duration = Duration::from_secs(1);
/// How long a subscription sleeps when it waits for nothing in particular.
const FOREVER: Duration = Duration::from_secs(86_400);
/// The most characters of a failure's text that are kept.
const REASON_CHARS_MAX: usize = 300;

/// A change of the state; what it returns is called once the change is kept, or refused.
pub(super) type Job = Box<dyn FnOnce(&mut SubscriptionState, Moment) -> AfterChange + Send>;
pub(super) type AfterChange = Box<dyn FnOnce(Result<&SubscriptionState, StoreError>) + Send>;

/// What a subscription's task is asked to do.
pub(super) enum SubscriptionCommand {
    /// Change the state, or look at it.
    Job {
        job: Job,
        /// Whether streams may be linked or unlinked by it.
        relinks: bool,
    },
    /// An attempt ended.
    Attempted(WakeKey, AttemptOutcome),
    /// Forget the subscription.
    End(oneshot::Sender<Result<(), StoreError>>),
}

/// One subscription as others see it.
#[derive(Debug)]
pub(super) struct SubscriptionEntry {
    pub(super) id: SubscriptionId,
    pub(super) card: Card,
    /// Streams linked by name.
    explicit: RwLock<HashSet<StreamName>>,
    /// Streams to be looked at.
    dirty: Mutex<HashSet<StreamName>>,
    news: Notify,
    commands: mpsc::Sender<SubscriptionCommand>,
    has_warned: AtomicBool,
}

impl SubscriptionEntry {
    /// Whether news of `name` matter to it.
    pub(super) fn concerns(&self, name: &StreamName) -> bool {
        self.card.definition.matches(name)
            || self.card.definition.wake_stream() == Some(name)
            || self
                .explicit
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(name)
    }

    /// There is news of these streams.
    pub(super) fn mark(&self, names: impl IntoIterator<Item = StreamName>) {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(names);
        self.news.notify_one();
    }

    /// Hands a command over; the command comes back when there is no room or nobody to take it.
    pub(super) fn send(
        &self,
        command: SubscriptionCommand,
    ) -> Result<(), mpsc::error::TrySendError<SubscriptionCommand>> {
        self.commands.try_send(command)
    }
}

/// Begins the life of a subscription. It ends when it is told to, or with the server.
pub(super) fn begin(
    shared: &Arc<SubscriptionContext>,
    id: SubscriptionId,
    card: Card,
    state: SubscriptionState,
) -> Arc<SubscriptionEntry> {
    let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
    let entry = Arc::new(SubscriptionEntry {
        id,
        card,
        explicit: RwLock::default(),
        dirty: Mutex::default(),
        news: Notify::new(),
        commands,
        has_warned: AtomicBool::new(false),
    });
    let actor = Actor {
        shared: Arc::clone(shared),
        entry: Arc::clone(&entry),
        state,
        outcome: None,
        hold: None,
        telling: None,
    };
    shared.runtime.spawn(actor.run(inbox));
    entry
}

struct Actor {
    shared: Arc<SubscriptionContext>,
    entry: Arc<SubscriptionEntry>,
    state: SubscriptionState,
    /// How an attempt ended, until that is kept.
    outcome: Option<(WakeKey, AttemptOutcome)>,
    /// No change of its own accord before then: the store refused the last one.
    hold: Option<Moment>,
    /// The request to a webhook that is under way.
    telling: Option<Underway>,
}

/// A task that ends with its owner.
struct Underway(tokio::task::JoinHandle<()>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::Receiver<SubscriptionCommand>) {
        let mut stop = self.shared.stop.clone();
        self.relink();
        // Whatever happened before anybody told: while the server was off, or while this was being made.
        self.entry
            .mark(self.shared.matching(&self.entry.card.definition).await);
        loop {
            self.look();
            let now = self.shared.now();
            let hold = self.hold.filter(|hold| *hold > now);
            if hold.is_none() && (self.outcome.is_some() || self.state.is_due(now)) {
                self.turn(None).await;
                continue;
            }
            let next = hold
                .or_else(|| self.state.deadline())
                .map_or(FOREVER, |at| at.since(now));
            let command = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                command = inbox.recv() => command,
                () = self.entry.news.notified() => continue,
                () = sleep(next) => continue,
            };
            match command {
                None => return,
                // Of a wake that is over nobody wants to know any more.
                Some(SubscriptionCommand::Attempted(key, outcome))
                    if self.state.current().as_ref() == Some(&key) =>
                {
                    self.outcome = Some((key, outcome));
                }
                Some(SubscriptionCommand::Attempted(..)) => {}
                Some(SubscriptionCommand::Job { job, relinks }) => {
                    // What was appended before a request was made counts for it, with a wake of its own that is told.
                    self.look();
                    let now = self.shared.now();
                    if self.hold.is_none_or(|hold| hold <= now) && self.state.is_due(now) {
                        self.turn(None).await;
                    }
                    self.turn(Some(job)).await;
                    if relinks {
                        self.relink();
                    }
                }
                Some(SubscriptionCommand::End(reply)) => {
                    let forgotten = self.shared.keep(&self.entry.id, None).await;
                    let is_over = forgotten.is_ok();
                    // Who asked may have left.
                    let _left = reply.send(forgotten);
                    if is_over {
                        return;
                    }
                }
            }
        }
    }

    /// One change: what an attempt brought, what a request asks, what is due; kept, then acted on.
    async fn turn(&mut self, job: Option<Job>) {
        let now = self.shared.now();
        let mut next = self.state.clone();
        if let Some((key, outcome)) = &self.outcome {
            next.attempted(key, outcome.clone(), now);
        }
        let then = job.map(|job| job(&mut next, now));
        let attempt = next.settle(now, wake_id());
        let kept = if next.revision() == self.state.revision() {
            Ok(())
        } else {
            self.shared
                .keep(&self.entry.id, Some(note::write(&self.entry.card, &next)))
                .await
        };
        match kept {
            Ok(()) => {
                self.say_what_changed(&next);
                self.state = next;
                (self.outcome, self.hold) = (None, None);
                if let Some(attempt) = attempt {
                    self.begin_attempt(attempt);
                }
                if let Some(then) = then {
                    then(Ok(&self.state));
                }
            }
            Err(reason) => {
                if self.hold.is_none() {
                    tracing::warn!(
                        "subscription `{}`: a change was not kept and so not made: {reason}",
                        self.entry.id
                    );
                }
                self.hold = Some(now.after(HOLD));
                if let Some(then) = then {
                    then(Err(reason));
                }
            }
        }
    }

    /// One line when telling begins to fail and one when it works again, not one for each attempt.
    fn say_what_changed(&self, next: &SubscriptionState) {
        match (self.state.retry(), next.retry()) {
            (None, Some(retry)) => {
                tracing::warn!(
                    "subscription `{}`: a wake was not told and will be again: {}",
                    self.entry.id,
                    retry.reason
                );
            }
            (Some(retry), None) => {
                tracing::info!(
                    "subscription `{}`: no more failures, after {}",
                    self.entry.id,
                    retry.failures
                );
            }
            _ => {}
        }
    }

    fn begin_attempt(&mut self, attempt: Attempt) {
        let telling = tokio::spawn(self.tell(attempt));
        // A webhook that is too late is cut off; an event is an append, which nobody takes back.
        self.telling =
            (self.entry.card.definition.way() == DeliveryWay::Webhook).then(|| Underway(telling));
    }

    /// Looks at the streams of which there is news.
    fn look(&mut self) {
        let names = std::mem::take(
            &mut *self
                .entry
                .dirty
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let definition = &self.entry.card.definition;
        for name in &names {
            let sight = self.shared.sight(name);
            if definition.wake_stream() == Some(name) && sight.is_some() {
                self.state.hurry(self.shared.now());
            }
            let fits = self.state.see(
                name,
                sight,
                definition.matches(name),
                self.shared.limits.streams_max,
            );
            if !fits && !self.entry.has_warned.swap(true, Ordering::Relaxed) {
                let limit = self.shared.limits.streams_max;
                tracing::warn!(
                    "subscription `{}` follows {limit} streams, the limit; `{name}` is left out",
                    self.entry.id
                );
            }
        }
    }

    /// Tells which streams are linked by name, then looks at them: what was appended in between was told to nobody.
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

    /// Tells a wake, and then how that ended.
    fn tell(&self, attempt: Attempt) -> impl Future<Output = ()> + Send + 'static {
        let (shared, entry) = (Arc::clone(&self.shared), Arc::clone(&self.entry));
        async move {
            let key = attempt.key.clone();
            let told = match &entry.card.definition.delivery {
                Delivery::Webhook(url) => post(&shared, &entry, url, attempt).await,
                Delivery::PullWake(stream) => announce(&shared, &entry, stream, attempt).await,
            };
            let outcome = told.unwrap_or_else(|reason| {
                tracing::debug!(
                    "subscription `{}`: wake {} was not told: {reason}",
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
            // Nobody listens any more when the subscription was deleted or the server stops.
            let _ended = entry
                .commands
                .send(SubscriptionCommand::Attempted(key, outcome))
                .await;
        }
    }
}

/// Brings a wake to its webhook.
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
    let base = shared.base(&entry.card);
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
        // Never closed.
        let _place = shared
            .deliveries
            .acquire()
            .await
            .map_err(|fault| fault.to_string())?;
        let signature = shared.keys.sign(&body, shared.now());
        shared
            .webhooks
            .post(WebhookRequest {
                url: url.to_owned(),
                body: Bytes::from(body),
                signature,
                within,
            })
            .await
    };
    let receipt = timeout(within, posting)
        .await
        .map_err(|_| format!("no answer within {within:?}"))??;
    Ok(match receipt {
        Receipt::Done => AttemptOutcome::Done(attempt.streams),
        Receipt::Taken => AttemptOutcome::Taken,
    })
}

/// Writes a wake to its wake stream.
async fn announce(
    shared: &SubscriptionContext,
    entry: &SubscriptionEntry,
    name: &StreamName,
    attempt: Attempt,
) -> Result<AttemptOutcome, String> {
    let missing = || format!("the wake stream `{name}` does not exist: create it");
    let log = shared.streams.find(name).ok_or_else(missing)?;
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
    Ok(AttemptOutcome::Taken)
}

/// A name that no wake had and nobody can guess.
pub(super) fn wake_id() -> String {
    format!("w_{:032x}", rand::rng().random::<u128>())
}
