//! Reads pages within the memory budget.

use super::{Budget, Charge, FREE_BYTES, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::{Batch, ReadError};
use tokio::time::Instant;

/// Bytes to charge for a page that is sent as it is: none if it only references the store's memory.
pub(super) fn owned_bytes(batch: &Batch) -> usize {
    if batch.data.is_unique() {
        batch.data.len()
    } else {
        0
    }
}

/// Reads a page and charges it, unless it has at most [`FREE_BYTES`]. While waiting for budget it
/// drops the page, to read it again afterwards.
///
/// - `max_wait`: maximum wait.
/// - `charged_bytes`: bytes held for a page.
///
/// # Errors
/// Those of `read`, and [`Refusal::Busy`].
pub async fn read_charged(
    budget: &Arc<Budget>,
    max_wait: Duration,
    charged_bytes: impl Fn(&Batch) -> usize,
    mut read: impl AsyncFnMut() -> Result<Batch, ReadError>,
) -> Result<(Batch, Option<Charge>), Refusal> {
    let batch = read().await?;
    let bytes = if batch.data.len() <= FREE_BYTES {
        0
    } else {
        charged_bytes(&batch)
    };
    if bytes == 0 {
        return Ok((batch, None));
    }
    // Boxed, since most pages are short.
    Box::pin(async move {
        let (mut batch, mut bytes, deadline) = (Some(batch), bytes, Instant::now() + max_wait);
        loop {
            if !budget.has_room(bytes) {
                batch = None;
            }
            let charge = budget
                .acquire(bytes, deadline.saturating_duration_since(Instant::now()))
                .await;
            let charge = charge.map_err(Refusal::Busy)?;
            let page = match batch.take() {
                Some(batch) => batch,
                None => read().await?,
            };
            let needed = charged_bytes(&page);
            // The page may be longer now.
            if needed <= bytes {
                return Ok((page, Some(charge)));
            }
            bytes = needed;
        }
    })
    .await
}

/// Charges the bytes of a body that are held once `bytes` more have arrived after `before`.
///
/// # Errors
/// [`Refusal::BodyTooLarge`], [`Refusal::Busy`].
pub(super) fn charge_piece(
    bytes: usize,
    before: usize,
    limit: u64,
    charge: &mut Charge,
) -> Result<(), Refusal> {
    let held = before + bytes;
    if held as u64 > limit {
        return Err(Refusal::BodyTooLarge { limit });
    }
    charge.settle(held).map_err(Refusal::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::cell::Cell;
    use tailwater_core::store::MemoryStore;
    use tailwater_core::{Log, Payload, StreamConfig, StreamName, Streams};
    use tailwater_protocol::Offset;
    use tailwater_protocol::headers::ContentKind;

    const PAGE: usize = 4 * FREE_BYTES;

    async fn log() -> Arc<Log> {
        let streams = Streams::new(Arc::new(MemoryStore::new(1 << 20)), 1);
        let first = Payload::parse(ContentKind::Text, Bytes::from(vec![b'x'; PAGE])).ok();
        let name = StreamName::parse("one").unwrap();
        streams
            .create(&name, StreamConfig::new("text/plain"), first, false)
            .await
            .unwrap()
            .log
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_waiting_for_budget_drops_its_page() {
        let (log, budget) = (log().await, Budget::new(4 * PAGE as u64));
        let mut other = budget.charge();
        other.grow(3 * PAGE).unwrap();
        let reads = Cell::new(0);
        let reading = read_charged(
            &budget,
            Duration::from_secs(5),
            |batch| batch.data.len(),
            async || {
                reads.set(reads.get() + 1);
                log.read(Offset::ZERO, PAGE).await
            },
        );
        let freeing = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!((reads.get(), budget.held()), (1, 3 * PAGE));
            drop(other);
        };
        let (read, ()) = tokio::join!(reading, freeing);
        let (batch, charge) = read.unwrap();
        assert_eq!(
            (batch.data.len(), reads.get(), budget.held()),
            (PAGE, 2, PAGE)
        );
        drop(charge);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_without_budget_times_out() {
        let (log, budget) = (log().await, Budget::new(4 * PAGE as u64));
        let mut other = budget.charge();
        other.grow(3 * PAGE).unwrap();
        let read = read_charged(
            &budget,
            Duration::from_secs(5),
            |batch| batch.data.len(),
            async || log.read(Offset::ZERO, PAGE).await,
        );
        assert!(matches!(read.await, Err(Refusal::Busy(_))));
        let short = read_charged(
            &budget,
            Duration::from_secs(5),
            |batch| batch.data.len(),
            async || log.read(Offset::ZERO, 1).await,
        );
        // A single message is read whole, however long it is.
        assert!(short.await.is_err());
        let owned_bytes = read_charged(&budget, Duration::ZERO, owned_bytes, async || {
            log.read(Offset::ZERO, PAGE).await
        });
        assert!(
            owned_bytes
                .await
                .is_ok_and(|(batch, charge)| batch.data.len() == PAGE && charge.is_none())
        );
    }
}
