//! What can be asked of subscriptions, and why it is refused.
//!
//! A request that was taken is carried out whether or not who asked is still there.

use super::actor::{self, AfterChange, SubscriptionCommand, SubscriptionEntry};
use super::definition::{Definition, DefinitionError, SubscriptionId, WorkerName};
use super::note::{self, Card};
use super::signing::KeyError;
use super::state::{DeliveryWay, Moment, SubscriptionFault, SubscriptionState, WakeKey};
use super::wire::{ClaimView, SubscriptionView, WakeStreamView};
use super::{KEYS_NOTE, Subscriptions, new_state};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tailwater_core::StreamName;
use tailwater_core::store::StoreError;
use tailwater_protocol::StreamOffset;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

/// Why something asked of a subscription was refused; then nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No subscription of this id (404).
    #[error("there is no subscription `{0}`")]
    NotFound(SubscriptionId),
    /// It exists with another configuration (409).
    #[error(
        "the subscription `{0}` exists with another configuration: delete it first, or use another id"
    )]
    Differs(SubscriptionId),
    /// No more subscriptions are allowed (507).
    #[error("there are {limit} subscriptions, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The request makes no sense (400).
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// This server sends no webhooks (400).
    #[error("this server sends no webhooks: expected a subscription of type pull-wake")]
    NoWebhooks,
    /// The subscription wakes workers in another way (400).
    #[error("the subscription is of type {has}: expected {needs}")]
    OtherWay {
        /// What it is.
        has: &'static str,
        /// What this request is for.
        needs: &'static str,
    },
    /// No token, or not one of this subscription's (401).
    #[error("the bearer token is not one that this server gave out for this subscription")]
    Token,
    /// The state does not allow it.
    #[error(transparent)]
    Fault(#[from] SubscriptionFault),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys can't be kept as JSON or made.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Too many requests wait for this subscription (503).
    #[error("too many requests wait for this subscription; ask again in a moment")]
    Busy,
    /// The server is stopping (503).
    #[error("the server is stopping; ask again in a moment")]
    Stopping,
}

/// What a worker says about its wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerReport {
    /// Which wake.
    pub key: WakeKey,
    /// How far each stream was worked off.
    pub acks: Vec<(StreamName, StreamOffset)>,
    /// Whether the wake is over.
    pub done: bool,
}

impl Subscriptions {
    /// Makes a subscription, or finds it when it is there with the same configuration; the second value is whether it is new.
    ///
    /// - `base`: the URL under which the one who asks knows this server.
    ///
    /// # Errors
    /// [`Refused::NoWebhooks`], [`Refused::Differs`], [`Refused::TooMany`], [`Refused::Fault`], [`Refused::Store`].
    ///
    /// Source: Durable Streams protocol, section 6.2.
    pub async fn put(
        self: &Arc<Self>,
        id: SubscriptionId,
        definition: Definition,
        base: String,
    ) -> Result<(SubscriptionView, bool), Refused> {
        if definition.way() == DeliveryWay::Webhook && !self.shared.webhooks.is_offered() {
            return Err(Refused::NoWebhooks);
        }
        let this = Arc::clone(self);
        let making = async move {
            let _making = this.making.lock().await;
            if let Some(entry) = this.find(&id) {
                if entry.card.definition.hash() != definition.hash() {
                    return Err(Refused::Differs(id));
                }
                return Ok((this.view(&entry).await?, false));
            }
            let limit = this.shared.limits.subscriptions_max;
            if this.count() >= limit {
                return Err(Refused::TooMany { limit });
            }
            let entry = this.make(id, definition, base).await?;
            Ok((this.view(&entry).await?, true))
        };
        self.shared
            .runtime
            .spawn(making)
            .await
            .map_err(|_| Refused::Stopping)?
    }

    async fn make(
        &self,
        id: SubscriptionId,
        definition: Definition,
        base: String,
    ) -> Result<Arc<SubscriptionEntry>, Refused> {
        self.keep_keys().await?;
        let state = new_state(&self.shared, &definition).await?;
        let card = Card {
            definition,
            created: self.shared.now(),
            base,
        };
        self.shared
            .keep(&id, Some(note::write(&card, &state)))
            .await?;
        let mut made = None;
        // Under the lock: the task looks at the streams once it runs, and misses nothing that is told from now on.
        self.change_entries(|entries| {
            let entry = entries
                .entry(id.clone())
                .or_insert_with(|| actor::begin(&self.shared, id.clone(), card, state));
            made = Some(Arc::clone(entry));
        });
        made.ok_or(Refused::NotFound(id))
    }

    /// Keeps the keys before anything is signed or sealed with them.
    async fn keep_keys(&self) -> Result<(), Refused> {
        if !self.keys_are_kept.load(Ordering::Acquire) {
            // Two strings always have a JSON form.
            let document = serde_json::to_vec(self.shared.keys.kept()).unwrap_or_default();
            self.shared.note(KEYS_NOTE, Some(document.into())).await?;
            self.keys_are_kept.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// What a subscription is and how it stands.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub async fn look(&self, id: &SubscriptionId) -> Result<SubscriptionView, Refused> {
        self.view(&self.known(id)?).await
    }

    /// Ends a subscription; one that is not there has ended.
    ///
    /// # Errors
    /// [`Refused::Store`]; then it is still there.
    pub async fn delete(self: &Arc<Self>, id: SubscriptionId) -> Result<(), Refused> {
        let this = Arc::clone(self);
        let ending = async move {
            let _making = this.making.lock().await;
            let Some(entry) = this.find(&id) else {
                return Ok(());
            };
            let (reply, ended) = oneshot::channel();
            entry
                .send(SubscriptionCommand::End(reply))
                .map_err(|fault| this.refused(&fault, &id))?;
            ended.await.map_err(|_| Refused::Stopping)??;
            this.change_entries(|entries| {
                entries.remove(&id);
            });
            Ok(())
        };
        self.shared
            .runtime
            .spawn(ending)
            .await
            .map_err(|_| Refused::Stopping)?
    }

    /// Links streams by name, from where they end now.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Definition`], [`Refused::Fault`], [`Refused::Store`].
    pub async fn add(
        &self,
        id: &SubscriptionId,
        names: BTreeSet<StreamName>,
    ) -> Result<(), Refused> {
        let entry = self.known(id)?;
        if entry
            .card
            .definition
            .wake_stream()
            .is_some_and(|wake_stream| names.contains(wake_stream))
        {
            return Err(DefinitionError::WakesItself.into());
        }
        let shared = Arc::clone(&self.shared);
        let limit = shared.limits.streams_max;
        self.change(&entry, true, move |state, _| {
            let before = state.clone();
            for name in &names {
                state.link(name, shared.sight(name), true);
            }
            let received = state.links();
            if received > limit {
                *state = before;
                return Err(SubscriptionFault::TooManyStreams { received, limit });
            }
            Ok(|_: &SubscriptionState| ())
        })
        .await
    }

    /// Takes a stream off that was linked by name; what the pattern matches stays.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Store`].
    pub async fn remove(&self, id: &SubscriptionId, name: StreamName) -> Result<(), Refused> {
        let entry = self.known(id)?;
        self.change(&entry, true, move |state, _| {
            state.unlink(&name);
            Ok(|_: &SubscriptionState| ())
        })
        .await
    }

    /// Gives a pull-wake subscription's lease to a worker.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::OtherWay`], [`Refused::Fault`], [`Refused::Store`].
    pub async fn claim(
        &self,
        id: &SubscriptionId,
        worker: WorkerName,
    ) -> Result<ClaimView, Refused> {
        let entry = self.known_as(id, DeliveryWay::PullWake)?;
        let lease_ttl_ms = entry.card.definition.lease_ttl_ms();
        let claimed = self.change(&entry, false, move |state, now| {
            let key = state.claim(worker.as_str(), now, actor::wake_id())?;
            Ok(move |state: &SubscriptionState| {
                (
                    key,
                    state
                        .streams()
                        .map(|info| WakeStreamView::new(&info))
                        .collect(),
                )
            })
        });
        let (key, streams) = claimed.await?;
        let token = self.shared.keys.seal(id, &key);
        Ok(ClaimView {
            wake_id: key.wake_id,
            generation: key.generation,
            token,
            streams,
            lease_ttl_ms,
        })
    }

    /// Takes a worker's report; returns whether there is more to be worked off.
    ///
    /// - `way`: by which endpoint it came.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::OtherWay`], [`Refused::Token`], [`Refused::Fault`], [`Refused::Store`].
    pub async fn report(
        &self,
        id: &SubscriptionId,
        way: DeliveryWay,
        token: &str,
        report: WorkerReport,
    ) -> Result<bool, Refused> {
        let entry = self.known_as(id, way)?;
        let WorkerReport { key, acks, done } = self.authorised(id, token, report)?;
        self.change(&entry, false, move |state, now| {
            state.ack(&key, &acks, done, now)?;
            Ok(move |state: &SubscriptionState| done && state.is_pending())
        })
        .await
    }

    /// Takes a worker's lease back.
    ///
    /// # Errors
    /// As [`Subscriptions::report`].
    pub async fn release(
        &self,
        id: &SubscriptionId,
        token: &str,
        key: WakeKey,
    ) -> Result<(), Refused> {
        let entry = self.known_as(id, DeliveryWay::PullWake)?;
        let WorkerReport { key, .. } = self.authorised(
            id,
            token,
            WorkerReport {
                key,
                acks: Vec::new(),
                done: false,
            },
        )?;
        self.change(&entry, false, move |state, now| {
            state.release(&key, now)?;
            Ok(|_: &SubscriptionState| ())
        })
        .await
    }

    /// The report, if the token is one of this subscription's and for the same wake.
    fn authorised(
        &self,
        id: &SubscriptionId,
        token: &str,
        report: WorkerReport,
    ) -> Result<WorkerReport, Refused> {
        let sealed = self.shared.keys.open(id, token).ok_or(Refused::Token)?;
        if sealed == report.key {
            Ok(report)
        } else {
            Err(SubscriptionFault::Fenced.into())
        }
    }

    async fn view(&self, entry: &Arc<SubscriptionEntry>) -> Result<SubscriptionView, Refused> {
        let (shared, it) = (Arc::clone(&self.shared), Arc::clone(entry));
        self.change(entry, false, move |_, _| {
            Ok(move |state: &SubscriptionState| {
                SubscriptionView::new(&it.id, &it.card, state, &shared.keys, shared.base(&it.card))
            })
        })
        .await
    }

    /// Has a subscription's task change its state; what `change` returns makes the answer from the state as kept.
    async fn change<T, A>(
        &self,
        entry: &SubscriptionEntry,
        relinks: bool,
        change: impl FnOnce(&mut SubscriptionState, Moment) -> Result<A, SubscriptionFault>
        + Send
        + 'static,
    ) -> Result<T, Refused>
    where
        T: Send + 'static,
        A: FnOnce(&SubscriptionState) -> T + Send + 'static,
    {
        // What was appended before this was asked counts for it.
        self.pass_on();
        let (reply, answer) = oneshot::channel::<Result<T, Refused>>();
        let job = Box::new(move |state: &mut SubscriptionState, now| -> AfterChange {
            let changed = change(state, now);
            Box::new(move |kept| {
                let outcome = match (changed, kept) {
                    (Ok(answer), Ok(state)) => Ok(answer(state)),
                    (Err(fault), _) => Err(fault.into()),
                    (Ok(_), Err(reason)) => Err(reason.into()),
                };
                // Who asked may have left.
                let _left = reply.send(outcome);
            })
        });
        entry
            .send(SubscriptionCommand::Job { job, relinks })
            .map_err(|fault| self.refused(&fault, &entry.id))?;
        answer.await.unwrap_or_else(|_| Err(self.gone(&entry.id)))
    }

    /// Why nobody answers for a subscription that was there.
    fn gone(&self, id: &SubscriptionId) -> Refused {
        if *self.shared.stop.borrow() {
            Refused::Stopping
        } else {
            Refused::NotFound(id.clone())
        }
    }

    fn refused(&self, fault: &TrySendError<SubscriptionCommand>, id: &SubscriptionId) -> Refused {
        match fault {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Closed(_) => self.gone(id),
        }
    }

    fn find(&self, id: &SubscriptionId) -> Option<Arc<SubscriptionEntry>> {
        self.entries().get(id).cloned()
    }

    fn known(&self, id: &SubscriptionId) -> Result<Arc<SubscriptionEntry>, Refused> {
        self.find(id).ok_or_else(|| Refused::NotFound(id.clone()))
    }

    fn known_as(
        &self,
        id: &SubscriptionId,
        needs: DeliveryWay,
    ) -> Result<Arc<SubscriptionEntry>, Refused> {
        let entry = self.known(id)?;
        let has = entry.card.definition.way();
        if has == needs {
            Ok(entry)
        } else {
            Err(Refused::OtherWay {
                has: has.name(),
                needs: needs.name(),
            })
        }
    }
}
