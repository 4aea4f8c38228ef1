//! Counts WebSocket frames, heads and payloads, however they are split; no I/O, nothing stored.

/// Position of a direction in its sequence of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frames {
    /// In a frame's head, of which these bytes were received.
    Head { received: [u8; 10], len: usize },
    /// In a mask or payload: bytes left of each.
    Rest { mask: usize, payload: u64 },
}

impl Frames {
    /// Before the first frame.
    pub(super) fn new() -> Self {
        Self::Head {
            received: [0; 10],
            len: 0,
        }
    }

    /// Consumes some of `bytes`, at least one if there is any.
    ///
    /// - Returns the number of head (mask included) and payload bytes consumed.
    ///
    /// Source: RFC 6455, section 5.2.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, usize) {
        match self {
            Self::Head { received, len } => {
                let mut taken = 0;
                for byte in bytes {
                    received[*len] = *byte;
                    *len += 1;
                    taken += 1;
                    if let Some((mask, payload)) = complete(&received[..*len]) {
                        *self = Self::Rest { mask, payload };
                        self.settle();
                        break;
                    }
                }
                (taken, 0)
            }
            Self::Rest { mask, payload } if *mask > 0 => {
                let taken = bytes.len().min(*mask);
                *mask -= taken;
                let _ = payload;
                self.settle();
                (taken, 0)
            }
            Self::Rest { payload, .. } => {
                let taken = usize::try_from(*payload)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *payload -= taken as u64;
                self.settle();
                (0, taken)
            }
        }
    }

    /// Begins the next frame when the current one is complete.
    fn settle(&mut self) {
        if *self
            == (Self::Rest {
                mask: 0,
                payload: 0,
            })
        {
            *self = Self::new();
        }
    }
}

/// Mask and payload length, once `head` is complete.
fn complete(head: &[u8]) -> Option<(usize, u64)> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let number = |range: std::ops::Range<usize>| {
        head.get(range).map(|bytes| {
            bytes
                .iter()
                .fold(0, |so_far: u64, byte| so_far << 8 | u64::from(*byte))
        })
    };
    let payload = match second & 0x7f {
        126 => number(2..4)?,
        127 => number(2..10)?,
        short => u64::from(short),
    };
    Some((mask, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head and payload bytes of `bytes`, passed in pieces of `step`.
    fn count(bytes: &[u8], step: usize) -> (usize, usize) {
        let (mut frames, mut heads, mut payloads) = (Frames::new(), 0, 0);
        for piece in bytes.chunks(step) {
            let mut piece = piece;
            while !piece.is_empty() {
                let (head, payload) = frames.take(piece);
                assert!(head + payload > 0);
                piece = &piece[head + payload..];
                heads += head;
                payloads += payload;
            }
        }
        assert_eq!(frames, Frames::new(), "ends between frames");
        (heads, payloads)
    }

    #[test]
    fn heads_and_payloads_are_counted_in_any_split() {
        let mut bytes = vec![0x81, 5];
        bytes.extend_from_slice(b"hello");
        bytes.extend_from_slice(&[0x89, 0]);
        bytes.extend_from_slice(&[0x81, 0x80 | 3, 1, 2, 3, 4, 9, 9, 9]);
        bytes.extend_from_slice(&[0x82, 126, 1, 0]);
        bytes.extend_from_slice(&[7; 256]);
        bytes.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend_from_slice(&[7; 65_536]);
        bytes.extend_from_slice(&[0x88, 0x80, 0, 0, 0, 0]);
        for step in [1, 2, 3, 7, 64, 1_000_000] {
            assert_eq!(
                count(&bytes, step),
                (2 + 2 + 6 + 4 + 10 + 6, 5 + 3 + 256 + 65_536),
                "pieces of {step}"
            );
        }
    }
}
