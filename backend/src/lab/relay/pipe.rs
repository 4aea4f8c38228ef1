//! One direction of a connection: bytes come in, and leave unchanged and in order when their transit is over.

use bytes::Bytes;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

/// Most bytes of one read.
const READ_BYTES_MAX: usize = 16 * 1024;
/// What a piece on its way costs beside its bytes, so that many small ones are limited, too.
const PIECE_BYTES: usize = 64;
/// Tokio's timer rounds up to the next millisecond: aim half of one early, so that the error is ±0.5 ms around zero.
const TIMER_BIAS: Duration = Duration::from_micros(500);

/// What is on its way: read, and not written yet. Only the front can leave, so nothing ever overtakes.
#[derive(Debug, Default)]
struct DelayedBytes {
    pieces: VecDeque<(Instant, Bytes)>,
    /// Bytes of all pieces, with what they cost to hold.
    held: usize,
    /// When the end of the input arrives, once it has come.
    end: Option<Instant>,
}

impl DelayedBytes {
    fn push(&mut self, piece: Bytes, delay: Duration) {
        self.held += piece.len() + PIECE_BYTES;
        self.pieces.push_back((leaves_at(delay), piece));
    }

    /// When the next thing is due: a piece, or the end.
    fn next_due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due).or(self.end)
    }

    /// Forgets the first `written` bytes of the front piece.
    fn wrote(&mut self, written: usize) {
        let Some((_, piece)) = self.pieces.front_mut() else {
            return;
        };
        self.held -= written;
        if written < piece.len() {
            let _ = piece.split_to(written);
        } else {
            self.held -= PIECE_BYTES;
            self.pieces.pop_front();
        }
    }
}

/// The outcome of an attempt to write: how many bytes were written, or that none can be yet.
pub(super) type Written = Poll<io::Result<usize>>;
/// Attempts to write a piece; never blocks.
pub(super) type WriteAttempt<'a> = &'a mut dyn FnMut(&[u8]) -> Written;

fn attempt(to: &mut (impl AsyncWrite + Unpin), context: &mut Context<'_>, piece: &[u8]) -> Written {
    Pin::new(to).poll_write(context, piece)
}

/// When something that comes in now is to leave.
fn leaves_at(delay: Duration) -> Instant {
    Instant::now() + delay.saturating_sub(TIMER_BIAS)
}

/// Carries bytes from `from` to `to` until `from` ends; then ends `to`.
///
/// - `delay`: asked at every read; each piece has a due time of its own, so the delay limits no throughput.
/// - `in_flight_max`: bytes under way, with what they cost to hold; beyond it nothing more is read until some have left.
/// - `received`: sees every piece before it can reach the other side.
/// - `on_write`: hands a piece to the write that it is given, and may hold a lock meanwhile: then whoever has read those
///   bytes finds them counted.
///
/// A `from` that fails is as one that ended: the other side must know as soon as its transit is over.
///
/// # Errors
/// `to` can't be written.
pub(super) async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: impl Fn() -> Duration,
    in_flight_max: usize,
    mut received: impl FnMut(&[u8]),
    mut on_write: impl FnMut(&[u8], WriteAttempt<'_>) -> Written,
) -> io::Result<()> {
    let mut transit = DelayedBytes::default();
    let mut buffer = vec![0; READ_BYTES_MAX];
    loop {
        let due = transit.next_due();
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if is_due && transit.pieces.is_empty() {
            return to.shutdown().await;
        }
        let room = in_flight_max
            .saturating_sub(transit.held)
            .min(READ_BYTES_MAX);
        let front = transit
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
                transit.wrote(written);
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !is_due => {}
            read = from.read(&mut buffer[..room]), if room > 0 && transit.end.is_none() => match read {
                Ok(bytes) if bytes > 0 => {
                    received(&buffer[..bytes]);
                    transit.push(Bytes::copy_from_slice(&buffer[..bytes]), delay());
                }
                Ok(_) | Err(_) => transit.end = Some(leaves_at(delay())),
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
    async fn pieces_leave_unchanged_in_order_and_after_their_transit() {
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
        let mut received = [0; 4];
        reader.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"one ");
        assert_eq!(
            started.elapsed().as_micros().div_ceil(1_000),
            50,
            "the first piece"
        );
        reader.read_exact(&mut received[..3]).await.unwrap();
        assert_eq!(
            started.elapsed().as_micros().div_ceil(1_000),
            70,
            "the second has a due time of its own"
        );
        drop(writer);
        assert_eq!(reader.read(&mut received).await.unwrap(), 0, "then the end");
        assert!(started.elapsed() >= 119 * MS, "which takes its transit too");
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_delay_never_lets_a_later_piece_overtake() {
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
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        carrying.await.unwrap().unwrap();
        assert_eq!(received, sent);
        let (under_way, largest) = *largest.lock().unwrap();
        assert_eq!(under_way, 0);
        assert!(largest <= 1_000, "{largest} bytes were under way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_left_ends_it() {
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
