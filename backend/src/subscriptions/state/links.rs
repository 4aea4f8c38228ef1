//! The streams that a subscription follows, their acked offsets and their tails.

use super::{SubscriptionFault, SubscriptionState};
use tailwater_core::StreamId;
use tailwater_core::StreamName;
use tailwater_protocol::{Offset, StreamOffset};

/// One stream of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Added by name.
    pub explicit: bool,
    /// Matched by the pattern.
    pub glob: bool,
    /// The stream with that name; `None` while there is none.
    pub stream: Option<StreamId>,
    /// The number of earlier streams with that name.
    pub stream_generation: u32,
    /// Everything before it was processed.
    pub acked: Offset,
    /// The last known tail.
    pub tail: Offset,
}

/// A stream at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// Its number.
    pub stream: StreamId,
    /// The number of earlier streams with its name.
    pub stream_generation: u32,
    /// The position before its own first message.
    pub begins: Offset,
    /// The position after its last message.
    pub tail: Offset,
}

/// A linked stream as shown to workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub path: StreamName,
    /// Whether it was added by name; otherwise the pattern matches it.
    pub explicit: bool,
    /// The stream with that name.
    pub stream: Option<StreamId>,
    /// The number of earlier streams with that name.
    pub stream_generation: u32,
    /// Everything before it was processed.
    pub acked: Offset,
    /// Its tail.
    pub tail: Offset,
}

impl StreamInfo {
    /// Whether it has data to be processed.
    pub fn has_pending(&self) -> bool {
        self.tail > self.acked
    }

    /// The acked position as an offset for clients.
    pub fn acked_offset(&self) -> StreamOffset {
        StreamOffset {
            generation: self.stream_generation,
            position: self.acked,
        }
    }

    /// The tail as an offset for clients.
    pub fn tail_offset(&self) -> StreamOffset {
        StreamOffset {
            generation: self.stream_generation,
            position: self.tail,
        }
    }
}

impl SubscriptionState {
    /// The linked streams in the order of their names.
    pub fn streams(&self) -> impl Iterator<Item = StreamInfo> {
        self.links.iter().map(|(path, link)| StreamInfo {
            path: path.clone(),
            explicit: link.explicit,
            stream: link.stream,
            stream_generation: link.stream_generation,
            acked: link.acked,
            tail: link.tail,
        })
    }

    /// Number of linked streams.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Number of linked streams that have data to be processed.
    pub fn pending_links(&self) -> usize {
        self.links.values().filter(|link| link.is_pending()).count()
    }

    /// Whether any stream has data to be processed.
    pub fn is_pending(&self) -> bool {
        self.first_pending().is_some()
    }

    pub(super) fn first_pending(&self) -> Option<&StreamName> {
        self.links
            .iter()
            .find(|(_, link)| link.is_pending())
            .map(|(name, _)| name)
    }

    /// Applies a stream's current state: it moved, appeared, or was deleted.
    ///
    /// This need not be stored: a stream that appeared is linked from its beginning, which is
    /// repeated after a restart.
    ///
    /// - `matches`: whether the pattern matches its name.
    /// - `links_max`: limit for adding streams by the pattern.
    /// - Returns whether the limit allowed it.
    pub fn observe(
        &mut self,
        name: &StreamName,
        snapshot: Option<StreamSnapshot>,
        matches: bool,
        links_max: usize,
    ) -> bool {
        let has_room = self.links.len() < links_max;
        match (self.links.get_mut(name), snapshot) {
            (None, None) => true,
            (None, Some(snapshot)) if matches && has_room => {
                self.links.insert(
                    name.clone(),
                    Link {
                        explicit: false,
                        glob: true,
                        ..Link::new(snapshot)
                    },
                );
                true
            }
            (None, Some(_)) => !matches,
            (Some(link), Some(snapshot)) => {
                link.glob |= matches;
                if link.stream == Some(snapshot.stream) {
                    link.tail = snapshot.tail;
                    link.stream_generation = snapshot.stream_generation;
                    // A stream can only end before its acked offset if the store lost data it had
                    // acknowledged.
                    link.acked = link.acked.min(snapshot.tail);
                } else {
                    // Another stream with the same name: none of it was processed.
                    let (explicit, glob) = (link.explicit, link.glob);
                    *link = Link {
                        explicit,
                        glob,
                        ..Link::new(snapshot)
                    };
                }
                true
            }
            (Some(link), None) if link.explicit => {
                *link = Link {
                    explicit: true,
                    ..Link::absent()
                };
                true
            }
            (Some(_), None) => {
                self.links.remove(name);
                true
            }
        }
    }

    /// Links a stream at its current tail, so that only new data is processed.
    ///
    /// - `explicit`: by name, otherwise by the pattern; a stream may be linked both ways.
    pub fn link(&mut self, name: &StreamName, snapshot: Option<StreamSnapshot>, explicit: bool) {
        let at_tail = snapshot.map_or(Link::absent(), |snapshot| Link {
            acked: snapshot.tail,
            ..Link::new(snapshot)
        });
        let link = self.links.entry(name.clone()).or_insert(at_tail);
        if explicit {
            link.explicit = true;
        } else {
            link.glob = true;
        }
        self.revision += 1;
    }

    /// Unlinks a stream by name; it stays if the pattern matches it.
    pub fn unlink(&mut self, name: &StreamName) {
        let Some(link) = self.links.get_mut(name) else {
            return;
        };
        link.explicit = false;
        if !link.glob {
            self.links.remove(name);
        }
        self.revision += 1;
    }

    /// Moves all cursors, or none if one of them is invalid.
    pub(super) fn ack_all(
        &mut self,
        acks: &[(StreamName, StreamOffset)],
    ) -> Result<(), SubscriptionFault> {
        for (stream, received) in acks {
            let link = self
                .links
                .get(stream)
                .ok_or_else(|| SubscriptionFault::NotLinked(stream.to_string()))?;
            let (stream, received) = (stream.clone(), *received);
            if received.generation != link.stream_generation {
                return Err(SubscriptionFault::AckOfEarlierStream { stream, received });
            }
            if received.position < link.acked {
                return Err(SubscriptionFault::AckGoesBack {
                    stream,
                    received,
                    acked: link.offset(link.acked),
                });
            }
            if received.position > link.tail {
                return Err(SubscriptionFault::AckBeyondTail {
                    stream,
                    received,
                    tail: link.offset(link.tail),
                });
            }
        }
        for (stream, received) in acks {
            if let Some(link) = self.links.get_mut(stream) {
                link.acked = link.acked.max(received.position);
            }
        }
        Ok(())
    }

    /// Moves the cursors to an attempt's tails; streams that were deleted or replaced meanwhile are
    /// skipped.
    pub(super) fn ack_delivered(&mut self, streams: &[StreamInfo]) {
        for delivered in streams {
            if let Some(link) = self
                .links
                .get_mut(&delivered.path)
                .filter(|link| link.stream == delivered.stream)
            {
                link.acked = link.acked.max(delivered.tail.min(link.tail));
            }
        }
    }
}

impl Link {
    /// A stream of which nothing was processed.
    fn new(snapshot: StreamSnapshot) -> Self {
        let StreamSnapshot {
            stream,
            stream_generation,
            begins,
            tail,
        } = snapshot;
        Self {
            explicit: false,
            glob: false,
            stream: Some(stream),
            stream_generation,
            acked: begins,
            tail,
        }
    }

    /// Whether it has data to be processed.
    fn is_pending(self) -> bool {
        self.tail > self.acked
    }

    /// A position as an offset for clients.
    fn offset(self, position: Offset) -> StreamOffset {
        StreamOffset {
            generation: self.stream_generation,
            position,
        }
    }

    /// A name without a stream.
    fn absent() -> Self {
        Self {
            explicit: false,
            glob: false,
            stream: None,
            stream_generation: 0,
            acked: Offset::ZERO,
            tail: Offset::ZERO,
        }
    }
}
