//! Pages of the list of subscriptions.

use super::actor::{SubscriptionCommand, SubscriptionEntry};
use super::requests::Refused;
use super::state::SubscriptionState;
use super::wire::{SubscriptionList, SubscriptionSummary};
use super::{SubscriptionContext, Subscriptions};
use std::ops::Bound;
use std::sync::Arc;
use tailwater_core::{ListOrder, ListQuery};
use tokio::sync::oneshot;

impl Subscriptions {
    /// A page of the subscriptions, by the byte order of their ids: an order by creation is not
    /// supported.
    ///
    /// Each is shown as it is stored, whether the store accepts changes or not. One that is deleted
    /// meanwhile is left out.
    ///
    /// # Errors
    /// [`Refused::Stopping`].
    pub async fn list(&self, query: &ListQuery) -> Result<SubscriptionList, Refused> {
        // Appends before the request count for it.
        self.distribute_pending();
        let (page, has_more) = self.page(query);
        let mut asked = Vec::with_capacity(page.len());
        for entry in &page {
            asked.push(ask(&self.shared, entry).await);
        }
        let mut subscriptions = Vec::with_capacity(page.len());
        for answer in asked {
            // A subscription without a reply has been deleted, or the server stops.
            subscriptions.extend(answer.await);
        }
        if *self.shared.stop.borrow() {
            return Err(Refused::Stopping);
        }
        let last = page.last().filter(|_| has_more);
        Ok(SubscriptionList {
            subscriptions,
            after: last.map(|entry| entry.id.to_string()),
            total: self.count(),
        })
    }

    /// The subscriptions of a page, and whether there are more after it.
    fn page(&self, query: &ListQuery) -> (Vec<Arc<SubscriptionEntry>>, bool) {
        let search = query.search.to_lowercase();
        let after = match &query.order {
            ListOrder::Name(Some(after)) => Bound::Excluded(after.as_str()),
            ListOrder::Name(None) | ListOrder::Newest(_) => Bound::Unbounded,
        };
        let entries = self.entries();
        let mut selected = entries
            .range::<str, _>((after, Bound::Unbounded))
            .filter(|(id, _)| query.selects(id.as_str(), &search))
            .map(|(_, entry)| Arc::clone(entry));
        let page = selected.by_ref().take(query.limit).collect();
        (page, selected.next().is_some())
    }
}

/// Asks a subscription's task for a summary, as soon as its queue has room.
async fn ask(
    shared: &Arc<SubscriptionContext>,
    entry: &Arc<SubscriptionEntry>,
) -> oneshot::Receiver<SubscriptionSummary> {
    let (reply, answer) = oneshot::channel();
    let (shared, it) = (Arc::clone(shared), Arc::clone(entry));
    let read = Box::new(move |state: &SubscriptionState| {
        let summary = SubscriptionSummary::new(
            &it.id,
            &it.record,
            state,
            &shared.keys,
            shared.base(&it.record),
        );
        // The requester may have disconnected.
        let _left = reply.send(summary);
    });
    // If the task has ended, the reply is dropped with the command.
    let _ended = entry.send_waiting(SubscriptionCommand::Read(read)).await;
    answer
}
