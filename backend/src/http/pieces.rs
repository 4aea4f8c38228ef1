//! A page's body in pieces: brackets around messages without copying them, and no more at once than a write takes well.

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tailwater_protocol::headers::ContentKind;

/// Bytes of a piece. actix copies each into its connection's buffer before it writes it: it should still be in the processor's
/// cache when the system copies it again. Above 128 KiB actix lets go of the buffer afterwards, below it keeps it as long as
/// the connection is open, which thousands of readers that have caught up and wait could not afford.
const PIECE: usize = 256 << 10;

/// A body whose length is known.
#[derive(Debug)]
pub struct Pieces {
    /// What is left: before the messages, the messages, after them.
    left: [Bytes; 3],
}

impl Pieces {
    /// Messages as a client reads them: JSON as an array, everything else as it was appended.
    ///
    /// - `data`: whole messages as kept, each JSON message followed by a comma.
    pub fn of(kind: ContentKind, mut data: Bytes) -> Self {
        if kind != ContentKind::Json {
            return Self { left: [Bytes::new(), data, Bytes::new()] };
        }
        if data.ends_with(b",") {
            data.truncate(data.len() - 1);
        }
        Self { left: [Bytes::from_static(b"["), data, Bytes::from_static(b"]")] }
    }
}

impl Pieces {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.left.iter().map(Bytes::len).sum()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in their order; some may be empty.
    pub fn into_parts(self) -> [Bytes; 3] {
        self.left
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let part = self.left.iter_mut().find(|part| !part.is_empty());
        Poll::Ready(part.map(|part| Ok(part.split_to(part.len().min(PIECE)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[actix_web::test]
    async fn pieces_are_short_and_together_the_page() {
        for (kind, data, whole) in [
            (ContentKind::Json, "", "[]".to_owned()),
            (ContentKind::Json, "1,", "[1]".to_owned()),
            (ContentKind::Json, "1,22,", "[1,22]".to_owned()),
            (ContentKind::Text, "1,", "1,".to_owned()),
            (ContentKind::Json, &"7".repeat(3 * PIECE), format!("[{}]", "7".repeat(3 * PIECE))),
        ] {
            let mut pieces = Pieces::of(kind, Bytes::copy_from_slice(data.as_bytes()));
            assert_eq!(pieces.size(), BodySize::Sized(whole.len() as u64));
            let mut came = Vec::new();
            let mut context = Context::from_waker(std::task::Waker::noop());
            while let Poll::Ready(Some(Ok(piece))) = Pin::new(&mut pieces).poll_next(&mut context) {
                assert!(!piece.is_empty() && piece.len() <= PIECE);
                came.extend_from_slice(&piece);
            }
            assert!(came == whole.as_bytes(), "{kind:?} of {} bytes", data.len());
            assert!(to_bytes(Pieces::of(kind, Bytes::copy_from_slice(data.as_bytes()))).await.unwrap() == whole);
        }
    }
}
