//! Requests to subscriptions, and why they are refused.
//!
//! A request that was accepted is completed even if its client disconnects.

use super::actor::{self, AfterChange, SubscriptionCommand, SubscriptionEntry};
use super::definition::{Definition, DefinitionError, SubscriptionId, WorkerName};
use super::note::{self, SubscriptionRecord};
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

/// Why a request was refused; then nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No subscription has this id (404).
    #[error("the subscription `{0}` does not exist")]
    NotFound(SubscriptionId),
    /// It exists with another configuration (409).
    #[error(
        "the subscription `{0}` exists with another configuration: delete it first, or use another id"
    )]
    Differs(SubscriptionId),
    /// The limit of subscriptions is reached (507).
    #[error("there are {limit} subscriptions, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The configuration is invalid (400).
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// This server sends no webhooks (400).
    #[error("this server sends no webhooks, expected a subscription of type pull-wake")]
    NoWebhooks,
    /// The subscription is of another type (400).
    #[error("the subscription has the type {has}, expected {needs}")]
    OtherWay {
        /// Its type.
        has: &'static str,
        /// The type required by the request.
        needs: &'static str,
    },
    /// The token is missing, or not valid for this subscription (401).
    #[error("the bearer token is missing or was not issued for this subscription")]
    Token,
    /// The state does not allow it.
    #[error(transparent)]
    Fault(#[from] SubscriptionFault),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys can't be generated or restored.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Too many requests are waiting for this subscription (503).
    #[error("too many requests are waiting for this subscription; retry in a moment")]
    Busy,
    /// The server is stopping (503).
    #[error("the server is stopping; retry in a moment")]
    Stopping,
}

/// A worker's report about its wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerReport {
    /// The wake.
    pub key: WakeKey,
    /// The position up to which each stream was processed.
    pub acks: Vec<(StreamName, StreamOffset)>,
    /// Whether the wake is finished.
    pub done: bool,
}

impl Subscriptions {
    /// Creates a subscription, unless it exists with the same configuration; the second value is
    /// whether it is new.
    ///
    /// - `base`: the server's URL according to the client.
    ///
    /// # Errors
    /// [`Refused::NoWebhooks`], [`Refused::Differs`], [`Refused::TooMany`], [`Refused::Fault`],
    /// [`Refused::Store`].
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
        let changing = async move {
            let _changing = this.changing.lock().await;
            if let Some(entry) = this.find(&id) {
                if entry.record.definition.hash() != definition.hash() {
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
            .spawn(changing)
            .await
            .map_err(|_| Refused::Stopping)?
    }

    async fn make(
        &self,
        id: SubscriptionId,
        definition: Definition,
        base: String,
    ) -> Result<Arc<SubscriptionEntry>, Refused> {
        self.store_keys().await?;
        let state = new_state(&self.shared, &definition).await?;
        let record = SubscriptionRecord {
            definition,
            created: self.shared.now(),
            base,
        };
        self.shared
            .persist(&id, Some(note::write(&record, &state)))
            .await?;
        let mut made = None;
        // Under the lock: the task reads the streams when it starts, and sees every later change.
        self.change_entries(|entries| {
            let entry = entries
                .entry(id.clone())
                .or_insert_with(|| actor::spawn(&self.shared, id.clone(), record, state));
            made = Some(Arc::clone(entry));
        });
        made.ok_or(Refused::NotFound(id))
    }

    /// Stores the keys before anything is signed with them.
    async fn store_keys(&self) -> Result<(), Refused> {
        if !self.keys_are_stored.load(Ordering::Acquire) {
            // Two strings can always be serialized.
            let document = serde_json::to_vec(self.shared.keys.stored()).unwrap_or_default();
            self.shared.note(KEYS_NOTE, Some(document.into())).await?;
            self.keys_are_stored.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// A subscription's configuration and state.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub async fn inspect(&self, id: &SubscriptionId) -> Result<SubscriptionView, Refused> {
        self.view(&self.existing(id)?).await
    }

    /// Deletes a subscription; succeeds if it does not exist.
    ///
    /// # Errors
    /// [`Refused::Store`]; then it still exists.
    pub async fn delete(self: &Arc<Self>, id: SubscriptionId) -> Result<(), Refused> {
        let this = Arc::clone(self);
        let ending = async move {
            let _changing = this.changing.lock().await;
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

    /// Links streams by name, from their current tails.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Definition`], [`Refused::Fault`], [`Refused::Store`].
    pub async fn add(
        &self,
        id: &SubscriptionId,
        names: BTreeSet<StreamName>,
    ) -> Result<(), Refused> {
        let entry = self.existing(id)?;
        if entry
            .record
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
                state.link(name, shared.snapshot(name), true);
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

    /// Unlinks a stream that was linked by name; it stays if the pattern matches it.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Store`].
    pub async fn remove(&self, id: &SubscriptionId, name: StreamName) -> Result<(), Refused> {
        let entry = self.existing(id)?;
        self.change(&entry, true, move |state, _| {
            state.unlink(&name);
            Ok(|_: &SubscriptionState| ())
        })
        .await
    }

    /// Pauses a subscription, or ends its pause; succeeds if it is in that state already.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Store`].
    pub async fn set_paused(&self, id: &SubscriptionId, is_paused: bool) -> Result<(), Refused> {
        let entry = self.existing(id)?;
        self.change(&entry, false, move |state, now| {
            if is_paused {
                state.pause();
            } else {
                state.resume(now);
            }
            Ok(|_: &SubscriptionState| ())
        })
        .await
    }

    /// Gives the lease of a pull-wake subscription to a worker.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::OtherWay`], [`Refused::Fault`], [`Refused::Store`].
    pub async fn claim(
        &self,
        id: &SubscriptionId,
        worker: WorkerName,
    ) -> Result<ClaimView, Refused> {
        let entry = self.existing_of_type(id, DeliveryWay::PullWake)?;
        let lease_ttl_ms = entry.record.definition.lease_ttl_ms();
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

    /// Applies a worker's report; returns whether more work is pending.
    ///
    /// - `way`: the endpoint that received it.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::OtherWay`], [`Refused::Token`], [`Refused::Fault`],
    /// [`Refused::Store`].
    pub async fn report(
        &self,
        id: &SubscriptionId,
        way: DeliveryWay,
        token: &str,
        report: WorkerReport,
    ) -> Result<bool, Refused> {
        let entry = self.existing_of_type(id, way)?;
        let WorkerReport { key, acks, done } = self.authorised(id, token, report)?;
        self.change(&entry, false, move |state, now| {
            state.ack(&key, &acks, done, now)?;
            Ok(move |state: &SubscriptionState| done && state.wakes_again())
        })
        .await
    }

    /// Releases a worker's lease.
    ///
    /// # Errors
    /// As [`Subscriptions::report`].
    pub async fn release(
        &self,
        id: &SubscriptionId,
        token: &str,
        key: WakeKey,
    ) -> Result<(), Refused> {
        let entry = self.existing_of_type(id, DeliveryWay::PullWake)?;
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

    /// The report, if the token is valid for this subscription and for the same wake.
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
                SubscriptionView::new(
                    &it.id,
                    &it.record,
                    state,
                    &shared.keys,
                    shared.base(&it.record),
                )
            })
        })
        .await
    }

    /// Sends a change to a subscription's task; what `change` returns computes the reply from the
    /// stored state.
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
        // Appends before the request count for it.
        self.distribute_pending();
        let (reply, answer) = oneshot::channel::<Result<T, Refused>>();
        let job = Box::new(move |state: &mut SubscriptionState, now| -> AfterChange {
            let changed = change(state, now);
            Box::new(move |stored| {
                let outcome = match (changed, stored) {
                    (Ok(answer), Ok(state)) => Ok(answer(state)),
                    (Err(fault), _) => Err(fault.into()),
                    (Ok(_), Err(reason)) => Err(reason.into()),
                };
                // The requester may have disconnected.
                let _left = reply.send(outcome);
            })
        });
        entry
            .send(SubscriptionCommand::Job { job, relinks })
            .map_err(|fault| self.refused(&fault, &entry.id))?;
        answer.await.unwrap_or_else(|_| Err(self.ended(&entry.id)))
    }

    /// Why a subscription's task has ended.
    fn ended(&self, id: &SubscriptionId) -> Refused {
        if *self.shared.stop.borrow() {
            Refused::Stopping
        } else {
            Refused::NotFound(id.clone())
        }
    }

    fn refused(&self, fault: &TrySendError<SubscriptionCommand>, id: &SubscriptionId) -> Refused {
        match fault {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Closed(_) => self.ended(id),
        }
    }

    fn find(&self, id: &SubscriptionId) -> Option<Arc<SubscriptionEntry>> {
        self.entries().get(id).cloned()
    }

    fn existing(&self, id: &SubscriptionId) -> Result<Arc<SubscriptionEntry>, Refused> {
        self.find(id).ok_or_else(|| Refused::NotFound(id.clone()))
    }

    fn existing_of_type(
        &self,
        id: &SubscriptionId,
        needs: DeliveryWay,
    ) -> Result<Arc<SubscriptionEntry>, Refused> {
        let entry = self.existing(id)?;
        let has = entry.record.definition.way();
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
