//! Which streams a subscription follows, how far each was worked off, and where each ends.

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
    /// Which stream of that name it is; `None` while there is none.
    pub stream: Option<StreamId>,
    /// Which of the streams that the name has had it is.
    pub life: u32,
    /// Everything before it was worked off.
    pub acked: Offset,
    /// Where the stream ends, as far as is known.
    pub tail: Offset,
}

/// A stream at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Its number.
    pub stream: StreamId,
    /// Which of the streams that its name has had it is.
    pub life: u32,
    /// The position before its own first message.
    pub begins: Offset,
    /// The position after its last message.
    pub tail: Offset,
}

/// A linked stream as workers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub path: StreamName,
    /// Whether it was added by name; otherwise the pattern matches it.
    pub explicit: bool,
    /// Which stream of that name it is.
    pub stream: Option<StreamId>,
    /// Which of the streams that the name has had it is.
    pub life: u32,
    /// Everything before it was worked off.
    pub acked: Offset,
    /// Where it ends.
    pub tail: Offset,
}

impl StreamInfo {
    /// Whether something waits to be worked off.
    pub fn has_pending(&self) -> bool {
        self.tail > self.acked
    }

    /// How far it was worked off, as clients hold it.
    pub fn acked_offset(&self) -> StreamOffset {
        StreamOffset {
            life: self.life,
            position: self.acked,
        }
    }

    /// Where it ends, as clients hold it.
    pub fn tail_offset(&self) -> StreamOffset {
        StreamOffset {
            life: self.life,
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
            life: link.life,
            acked: link.acked,
            tail: link.tail,
        })
    }

    /// How many streams are linked.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Whether something waits to be worked off.
    pub fn is_pending(&self) -> bool {
        self.first_pending().is_some()
    }

    pub(super) fn first_pending(&self) -> Option<&StreamName> {
        self.links
            .iter()
            .find(|(_, link)| link.tail > link.acked)
            .map(|(name, _)| name)
    }

    /// A stream was looked at: it moved, appeared, or is gone.
    ///
    /// None of it is worth keeping: a stream that appeared is linked from its beginning, which a restart finds out again.
    ///
    /// - `matches`: whether the pattern matches its name.
    /// - `links_max`: no stream is added by the pattern beyond that.
    /// - Returns whether it fitted in.
    pub fn see(
        &mut self,
        name: &StreamName,
        sight: Option<Sight>,
        matches: bool,
        links_max: usize,
    ) -> bool {
        let room = self.links.len() < links_max;
        match (self.links.get_mut(name), sight) {
            (None, None) => true,
            (None, Some(sight)) if matches && room => {
                self.links.insert(
                    name.clone(),
                    Link {
                        explicit: false,
                        glob: true,
                        ..Link::new(sight)
                    },
                );
                true
            }
            (None, Some(_)) => !matches,
            (Some(link), Some(sight)) => {
                link.glob |= matches;
                if link.stream == Some(sight.stream) {
                    link.tail = sight.tail;
                    link.life = sight.life;
                    // Only a store that promised less than it was asked for lets a stream end before what was acked.
                    link.acked = link.acked.min(sight.tail);
                } else {
                    // Another stream of the same name: nothing of it was worked off.
                    let (explicit, glob) = (link.explicit, link.glob);
                    *link = Link {
                        explicit,
                        glob,
                        ..Link::new(sight)
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

    /// Links a stream from where it ends now, so that nothing old is worked off.
    ///
    /// - `explicit`: by name, otherwise by the pattern; a stream may be linked both ways.
    pub fn link(&mut self, name: &StreamName, sight: Option<Sight>, explicit: bool) {
        let at_tail = sight.map_or(Link::absent(), |sight| Link {
            acked: sight.tail,
            ..Link::new(sight)
        });
        let link = self.links.entry(name.clone()).or_insert(at_tail);
        if explicit {
            link.explicit = true;
        } else {
            link.glob = true;
        }
        self.revision += 1;
    }

    /// Takes the name off again; what the pattern matches stays.
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

    /// Moves all cursors or, when one of them can't move there, none.
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
            if received.life != link.life {
                return Err(SubscriptionFault::AckOfOtherLife { stream, received });
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

    /// Moves the cursors to the tails that an attempt named; streams that are gone or others by now are left out.
    pub(super) fn ack_seen(&mut self, streams: &[StreamInfo]) {
        for seen in streams {
            if let Some(link) = self
                .links
                .get_mut(&seen.path)
                .filter(|link| link.stream == seen.stream)
            {
                link.acked = link.acked.max(seen.tail.min(link.tail));
            }
        }
    }
}

impl Link {
    /// A stream of which nothing was worked off.
    fn new(sight: Sight) -> Self {
        let Sight {
            stream,
            life,
            begins,
            tail,
        } = sight;
        Self {
            explicit: false,
            glob: false,
            stream: Some(stream),
            life,
            acked: begins,
            tail,
        }
    }

    /// A position as clients hold it.
    fn offset(self, position: Offset) -> StreamOffset {
        StreamOffset {
            life: self.life,
            position,
        }
    }

    /// A name without a stream.
    fn absent() -> Self {
        Self {
            explicit: false,
            glob: false,
            stream: None,
            life: 0,
            acked: Offset::ZERO,
            tail: Offset::ZERO,
        }
    }
}
