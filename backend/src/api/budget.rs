//! One memory budget for everything held for clients: bodies, incomplete messages, unsent
//! responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes per connection and direction that are free of charge: the kernel buffers as much anyway.
pub const FREE_BYTES: usize = 16 << 10;

/// Limits the bytes held for all clients together.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
    limit: usize,
    freed: Notify,
}

/// The budget is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server already buffers {limit} bytes for its clients, which is the limit")]
pub struct Exhausted {
    /// Bytes allowed.
    pub limit: usize,
}

/// Bytes taken from the budget; returned when this is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self {
            left: AtomicUsize::new(limit),
            limit,
            freed: Notify::new(),
        })
    }

    /// An empty charge, to be grown.
    pub fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Takes `bytes` as soon as they are available and a quarter of the budget stays free for short
    /// responses. At most half of the budget is charged.
    ///
    /// # Errors
    /// [`Exhausted`] when that takes longer than `max_wait`.
    pub async fn acquire(
        self: &Arc<Self>,
        bytes: usize,
        max_wait: Duration,
    ) -> Result<Charge, Exhausted> {
        let mut charge = self.charge();
        let reserve = self.limit / 4;
        let bytes = bytes.min(self.charge_max());
        let taken = async {
            loop {
                let freed = self.freed.notified();
                if charge.take(bytes, reserve).is_ok() {
                    return;
                }
                freed.await;
            }
        };
        timeout(max_wait, taken)
            .await
            .map_err(|_| self.exhausted())?;
        Ok(charge)
    }

    /// The error for an exhausted budget.
    pub fn exhausted(&self) -> Exhausted {
        Exhausted { limit: self.limit }
    }

    /// Maximum charge for one page, in bytes: half of the budget, so that a longer page can still
    /// be sent whatever others hold.
    pub fn charge_max(&self) -> usize {
        self.limit / 2
    }

    /// Whether [`Budget::acquire`] would succeed at once.
    pub fn has_room(&self, bytes: usize) -> bool {
        let bytes = bytes.min(self.charge_max());
        self.left.load(Ordering::Relaxed) >= bytes + self.limit / 4
    }

    /// Bytes taken now.
    pub fn held(&self) -> usize {
        self.limit - self.left.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Exhausted`]; then nothing was taken.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.take(bytes, 0)
    }

    /// Grows to `bytes` in total, if half of the budget stays free: for optional buffers.
    ///
    /// # Errors
    /// [`Exhausted`]; then nothing was taken.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.take(bytes.saturating_sub(self.bytes), self.budget.limit / 2)
    }

    /// Grows or shrinks to the charge for `held` bytes of one client, of which [`FREE_BYTES`] are
    /// free.
    ///
    /// # Errors
    /// [`Exhausted`]; then nothing was taken.
    pub fn settle(&mut self, held: usize) -> Result<(), Exhausted> {
        let bytes = held.saturating_sub(FREE_BYTES);
        if bytes >= self.bytes {
            return self.take(bytes - self.bytes, 0);
        }
        self.give_back(self.bytes - bytes);
        Ok(())
    }

    /// Takes `bytes` more if `reserve` stay free.
    fn take(&mut self, bytes: usize, reserve: usize) -> Result<(), Exhausted> {
        if bytes == 0 {
            return Ok(());
        }
        let less = |left: usize| left.checked_sub(bytes).filter(|left| *left >= reserve);
        let taken = self
            .budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map_err(|_| self.budget.exhausted())?;
        self.bytes += bytes;
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        if bytes > 0 {
            self.bytes -= bytes;
            self.budget.left.fetch_add(bytes, Ordering::Relaxed);
            self.budget.freed.notify_waiters();
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_charges_leave_half_of_the_budget() {
        let budget = Budget::new(100);
        let (mut spare, mut needed) = (budget.charge(), budget.charge());
        assert_eq!(spare.grow_to(51), Err(Exhausted { limit: 100 }));
        for bytes in [30, 30, 10, 50] {
            spare.grow_to(bytes).unwrap();
        }
        assert_eq!(budget.held(), 50);
        assert!(
            budget.has_room(25) && !budget.has_room(26),
            "a quarter stays free"
        );
        needed.grow(1).unwrap();
        assert_eq!(
            (spare.grow_to(50), spare.grow_to(51)),
            (Ok(()), Err(Exhausted { limit: 100 }))
        );
    }

    #[test]
    fn a_settled_charge_excludes_the_free_bytes() {
        let budget = Budget::new(100);
        let mut charge = budget.charge();
        for (held, charged) in [
            (0, 0),
            (FREE_BYTES, 0),
            (FREE_BYTES + 1, 1),
            (FREE_BYTES + 100, 100),
            (7, 0),
        ] {
            assert_eq!(
                (charge.settle(held), budget.held()),
                (Ok(()), charged),
                "{held}"
            );
        }
        charge.settle(FREE_BYTES + 60).unwrap();
        assert_eq!(
            charge.settle(FREE_BYTES + 101),
            Err(Exhausted { limit: 100 })
        );
        assert_eq!(budget.held(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_charge_is_returned_and_wakes_waiters() {
        let budget = Budget::new(100);
        let mut first = budget.charge();
        first.grow(60).unwrap();
        assert_eq!(first.grow(41), Err(Exhausted { limit: 100 }));
        first.grow(40).unwrap();
        assert_eq!(budget.held(), 100);
        assert!(budget.acquire(1, Duration::from_secs(1)).await.is_err());
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { budget.acquire(1_000, Duration::from_secs(1)).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert_eq!(budget.held(), 0);
    }
}
