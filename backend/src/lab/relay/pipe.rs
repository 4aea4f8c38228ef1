//! One direction of a connection: forwards bytes unchanged and in order after a delay.

use bytes::Bytes;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

/// Maximum bytes of one read.
const READ_BYTES_MAX: usize = 16 * 1024;
/// Overhead counted for each piece in flight, so that many small ones are limited, too.
const PIECE_BYTES: usize = 64;
/// Tokio's timer rounds up to the next millisecond: subtracting half of one centres the error at
/// ±0.5 ms.
const TIMER_BIAS: Duration = Duration::from_micros(500);

/// Bytes in flight: read, and not yet written. Only the front is written, so the order is kept.
#[derive(Debug, Default)]
struct DelayedBytes {
    pieces: VecDeque<(Instant, Bytes)>,
    /// Bytes of all pieces, overhead included.
    buffered_bytes: usize,
    /// When the end of the input is due, once it was read.
    end: Option<Instant>,
}

impl DelayedBytes {
    fn push(&mut self, piece: Bytes, delay: Duration) {
        self.buffered_bytes += piece.len() + PIECE_BYTES;
        self.pieces.push_back((due_at(delay), piece));
    }

    /// When the next piece, or the end, is due.
    fn next_due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due).or(self.end)
    }

    /// Removes the first `written` bytes of the front piece.
    fn consume(&mut self, written: usize) {
        let Some((_, piece)) = self.pieces.front_mut() else {
            return;
        };
        self.buffered_bytes -= written;
        if written < piece.len() {
            let _ = piece.split_to(written);
        } else {
            self.buffered_bytes -= PIECE_BYTES;
            self.pieces.pop_front();
        }
    }
}

/// Result of a write attempt: the number of bytes, or pending.
pub(super) type Written = Poll<io::Result<usize>>;
/// Attempts to write a piece; never blocks.
pub(super) type WriteAttempt<'a> = &'a mut dyn FnMut(&[u8]) -> Written;

fn attempt(to: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>, piece: &[u8]) -> Written {
    Pin::new(to).poll_write(context, piece)
}

/// When bytes that are read now are due.
fn due_at(delay: Duration) -> Instant {
    Instant::now() + delay.saturating_sub(TIMER_BIAS)
}

/// Forwards bytes from `from` to `to` until `from` ends; then closes `to`.
///
/// - `delay`: called for every read; each piece has its own due time, so the delay does not limit
///   throughput.
/// - `in_flight_max`: bytes in flight, overhead included; at the limit reading pauses.
/// - `on_read`: called with every piece before it can reach the other side.
/// - `on_write`: passes a piece to the given write, and may hold a lock meanwhile, so that bytes
///   are counted before they can be received.
///
/// A failed `from` counts as ended: the other side must be closed after the delay.
///
/// # Errors
/// `to` can't be written.
pub(super) async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: impl Fn() -> Duration,
    in_flight_max: usize,
    mut on_read: impl FnMut(&[u8]),
    mut on_write: impl FnMut(&[u8], WriteAttempt<'_>) -> Written,
) -> io::Result<()> {
    let mut in_flight = DelayedBytes::default();
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let due = in_flight.next_due();
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if is_due && in_flight.pieces.is_empty() {
            return to.shutdown().await;
        }
        let room = in_flight_max
            .saturating_sub(in_flight.buffered_bytes)
            .min(READ_BYTES_MAX);
        let front = in_flight
            .pieces
            .front()
            .map_or_else(Bytes::new, |(_, piece)| piece.clone());
        tokio::select! {
            written = poll_fn(|context| {
                on_write(&front, &mut |piece| attempt(&mut to, context, piece))
            }), if is_due => {
                let written = written?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                drop(front);
                in_flight.consume(written);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !is_due => {}
            read = from.read(&mut buffer[..room]), if room > 0 && in_flight.end.is_none() => match read {
                Ok(bytes) if bytes > 0 => {
                    on_read(&buffer[..bytes]);
                    in_flight.push(Bytes::copy_from_slice(&buffer[..bytes]), delay());
                }
                Ok(_) | Err(_) => in_flight.end = Some(due_at(delay())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::duplex;
    use tokio::time::advance;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn pieces_are_forwarded_unchanged_in_order_and_delayed() {
        let (mut writer, from) = duplex(1 << 20);
        let (to, mut reader) = duplex(1 << 20);
        let started = Instant::now();
        let carrying = tokio::spawn(carry(
            from,
            to,
            || 50 * MS,
            1 << 20,
            |_| (),
            |piece, write| write(piece),
        ));
        writer.write_all(b"one ").await.unwrap();
        tokio::time::sleep(20 * MS).await;
        writer.write_all(b"two").await.unwrap();
        let mut on_read = [0; 4];
        reader.read_exact(&mut on_read).await.unwrap();
        assert_eq!(&on_read, b"one ");
        assert_eq!(
            started.elapsed().as_micros().div_ceil(1_000),
            50,
            "the first piece"
        );
        reader.read_exact(&mut on_read[..3]).await.unwrap();
        assert_eq!(
            started.elapsed().as_micros().div_ceil(1_000),
            70,
            "the second has a due time of its own"
        );
        drop(writer);
        assert_eq!(reader.read(&mut on_read).await.unwrap(), 0, "then the end");
        assert!(started.elapsed() >= 119 * MS, "which takes its transit too");
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_delay_does_not_reorder_pieces() {
        let (mut writer, from) = duplex(1 << 20);
        let (to, mut reader) = duplex(1 << 20);
        let delay = std::sync::Arc::new(Mutex::new(100 * MS));
        let asked = std::sync::Arc::clone(&delay);
        let carrying = tokio::spawn(carry(
            from,
            to,
            move || *asked.lock().unwrap(),
            1 << 20,
            |_| (),
            |piece, write| write(piece),
        ));
        writer.write_all(b"slow").await.unwrap();
        tokio::task::yield_now().await;
        tokio::time::sleep(MS).await;
        *delay.lock().unwrap() = Duration::ZERO;
        writer.write_all(b"fast").await.unwrap();
        drop(writer);
        let mut all = String::new();
        reader.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "slowfast");
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_in_flight_are_limited_and_nothing_is_lost() {
        let (mut writer, from) = duplex(64);
        let (to, mut reader) = duplex(1 << 20);
        let largest = std::sync::Arc::new(Mutex::new((0_usize, 0_usize)));
        let (into, out) = (
            std::sync::Arc::clone(&largest),
            std::sync::Arc::clone(&largest),
        );
        let carrying = tokio::spawn(carry(
            from,
            to,
            || 100 * MS,
            1_000,
            move |piece| {
                let mut seen = into.lock().unwrap();
                seen.0 += piece.len();
                seen.1 = seen.1.max(seen.0);
            },
            move |piece, write| {
                let written = write(piece);
                if let Poll::Ready(Ok(bytes)) = &written {
                    out.lock().unwrap().0 -= bytes;
                }
                written
            },
        ));
        let sent: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        let sending = {
            let sent = sent.clone();
            tokio::spawn(async move { writer.write_all(&sent).await.unwrap() })
        };
        let mut on_read = Vec::new();
        reader.read_to_end(&mut on_read).await.unwrap();
        sending.await.unwrap();
        carrying.await.unwrap().unwrap();
        assert_eq!(on_read, sent);
        let (under_way, largest) = *largest.lock().unwrap();
        assert_eq!(under_way, 0);
        assert!(largest <= 1_000, "{largest} bytes were under way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_write_ends_the_pipe() {
        let (mut writer, from) = duplex(64);
        let (to, reader) = duplex(64);
        let carrying = tokio::spawn(carry(
            from,
            to,
            || Duration::ZERO,
            1_000,
            |_| (),
            |piece, write| write(piece),
        ));
        drop(reader);
        writer.write_all(b"x").await.unwrap();
        advance(MS).await;
        assert!(carrying.await.unwrap().is_err());
    }
}
