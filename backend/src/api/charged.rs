//! Reading pages within the budget.

use super::{Budget, Charge, FREE_BYTES, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::{Batch, ReadError};
use tokio::time::Instant;

/// Bytes that a page holds which is sent as it is: what the store keeps anyway, and only shows, takes no room of its own.
pub(super) fn shown(batch: &Batch) -> usize {
    if batch.data.is_unique() {
        batch.data.len()
    } else {
        0
    }
}

/// Reads a page, and charges it unless it has at most [`FREE_BYTES`]. While it waits for room it holds nothing: it then reads again.
///
/// - `patience`: how long it waits.
/// - `holds`: bytes that will be held for a page.
///
/// # Errors
/// Those of `read`, and [`Refusal::Busy`].
pub async fn read_charged(
    budget: &Arc<Budget>,
    patience: Duration,
    holds: impl Fn(&Batch) -> usize,
    mut read: impl AsyncFnMut() -> Result<Batch, ReadError>,
) -> Result<(Batch, Option<Charge>), Refusal> {
    let batch = read().await?;
    let bytes = if batch.data.len() <= FREE_BYTES {
        0
    } else {
        holds(&batch)
    };
    if bytes == 0 {
        return Ok((batch, None));
    }
    // On the heap, for most pages are short.
    Box::pin(async move {
        let (mut batch, mut bytes, deadline) = (Some(batch), bytes, Instant::now() + patience);
        loop {
            if !budget.has_room(bytes) {
                batch = None;
            }
            let charge = budget
                .acquire(bytes, deadline.saturating_duration_since(Instant::now()))
                .await;
            let charge = charge.map_err(Refusal::Busy)?;
            let read_again = match batch.take() {
                Some(batch) => batch,
                None => read().await?,
            };
            let needed = holds(&read_again);
            // It may have become longer meanwhile.
            if needed <= bytes {
                return Ok((read_again, Some(charge)));
            }
            bytes = needed;
        }
    })
    .await
}

/// Charges what is held of a body once `bytes` more have arrived after `before`.
///
/// # Errors
/// [`Refusal::BodyTooLarge`], [`Refusal::Busy`].
pub(super) fn take(
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
    async fn who_waits_for_room_holds_nothing_and_reads_again() {
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
    async fn without_room_it_gives_up() {
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
        // A single message comes whole, however long it is.
        assert!(short.await.is_err());
        let shown = read_charged(&budget, Duration::ZERO, shown, async || {
            log.read(Offset::ZERO, PAGE).await
        });
        assert!(
            shown
                .await
                .is_ok_and(|(batch, charge)| batch.data.len() == PAGE && charge.is_none())
        );
    }
}
