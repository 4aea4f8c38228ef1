//! Bytes received from a client and not yet processed: bounded, and charged to the budget.

use super::Groups;
use super::group::SCRATCH_BYTES;
use crate::api::{Charge, FREE_BYTES};
use std::io;
use std::ops::Deref;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

// One read is allowed without a charge.
const _: () = assert!(SCRATCH_BYTES <= FREE_BYTES);

/// Bytes received from a client and not yet processed.
#[derive(Debug, Default)]
pub struct ReceiveBuffer {
    bytes: Vec<u8>,
    charge: Option<Charge>,
}

impl ReceiveBuffer {
    /// Limit in bytes for what a client pipelines.
    pub const AHEAD_MAX: usize = 64 << 10;

    /// Receives more. Returns the number of bytes, 0 at the client's end.
    ///
    /// # Errors
    /// When the connection failed, `max` bytes are buffered already, or the budget is exhausted.
    pub fn poll_receive(
        &mut self,
        groups: &Groups,
        socket: &TcpStream,
        max: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.has_room(groups, max) {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        groups.poll_receive(socket, &mut self.bytes, context)
    }

    /// Whether more may be received; charges what is buffered for that.
    pub fn has_room(&mut self, groups: &Groups, max: usize) -> bool {
        if self.bytes.is_empty() {
            return true;
        }
        let budget = &groups.terms().budget;
        self.bytes.len() < max
            && self
                .charge
                .get_or_insert_with(|| budget.charge())
                .grow_to(self.bytes.len())
                .is_ok()
    }

    /// Removes the first `bytes`, which were processed.
    pub fn consume(&mut self, bytes: usize) {
        if bytes >= self.bytes.len() {
            self.bytes.clear();
            // Memory that is no longer charged must be freed.
            if self.bytes.capacity() > FREE_BYTES {
                self.bytes = Vec::new();
            }
            self.charge = None;
        } else {
            self.bytes.drain(..bytes);
        }
    }

    /// The bytes, for changes in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Deref for ReceiveBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Budget;
    use crate::live::LiveTerms;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    fn groups(budget: u64) -> std::rc::Rc<Groups> {
        let (_, stop) = watch::channel(false);
        let patience = Duration::from_secs(10);
        Groups::new(LiveTerms {
            page_max: 1024,
            message_max: 1024,
            heartbeat: patience,
            stalled_max: patience,
            unfinished_max: patience,
            budget: Budget::new(budget),
            stop,
        })
    }

    /// Sends 200,000 bytes and receives until there is no more room. Returns the number of bytes
    /// received.
    async fn fill(groups: &Groups, buffer: &mut ReceiveBuffer) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let sending = tokio::spawn(async move { client.write_all(&[b'x'; 200_000]).await });
        while buffer.has_room(groups, ReceiveBuffer::AHEAD_MAX) {
            let received = poll_fn(|context| {
                buffer.poll_receive(groups, &socket, ReceiveBuffer::AHEAD_MAX, context)
            })
            .await;
            assert!((1..=SCRATCH_BYTES).contains(&received.unwrap()));
        }
        sending.abort();
        buffer.len()
    }

    #[tokio::test]
    async fn buffered_bytes_are_bounded_charged_and_released() {
        let groups = groups(1 << 20);
        let mut buffer = ReceiveBuffer::default();
        let bytes = fill(&groups, &mut buffer).await;
        assert!(
            (ReceiveBuffer::AHEAD_MAX..ReceiveBuffer::AHEAD_MAX + SCRATCH_BYTES).contains(&bytes),
            "{bytes}"
        );
        let held = groups.terms().budget.held();
        assert!(
            held + FREE_BYTES >= bytes && held <= bytes,
            "{held} of {bytes}"
        );
        buffer.consume(bytes - 1);
        assert_eq!((&*buffer, groups.terms().budget.held()), (&b"x"[..], held));
        buffer.consume(1);
        assert_eq!((buffer.len(), groups.terms().budget.held()), (0, 0));
    }

    #[tokio::test]
    async fn an_exhausted_budget_allows_one_read() {
        let groups = groups(40_000);
        let (mut first, mut second) = (ReceiveBuffer::default(), ReceiveBuffer::default());
        let bytes = fill(&groups, &mut first).await + fill(&groups, &mut second).await;
        assert!(bytes <= 40_000 / 2 + 2 * FREE_BYTES, "{bytes}");
        drop((first, second));
        assert_eq!(groups.terms().budget.held(), 0);
    }
}
