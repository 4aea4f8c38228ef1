//! What is known about a stream, and how it is compared with what is read.

use super::body::{SentBody, media_type};
use super::check::{AppendFate, SentAppend, Stamp, find};
use super::reader::{CrashFollower, StreamView, WholeStream};
use super::writer::{CrashWriter, Pending, WriterKind};
use rand::Rng;
use rand::rngs::SmallRng;
use tailwater_protocol::headers::{self, ContentKind};

/// Whether a stream exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamPresence {
    /// Its creation got no response.
    Unsure,
    /// Its creation was acknowledged, or it was seen.
    Alive,
    /// Its deletion got no response.
    Leaving,
    /// Its deletion was acknowledged, or its absence was seen.
    Gone,
}

/// How a stream is created.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    pub(crate) first: SentBody,
    pub(crate) closed: bool,
    /// The source's name, the offset, and how far after it.
    pub(crate) fork: Option<(String, usize, usize)>,
}

/// The expected state of a stream.
#[derive(Debug)]
pub(crate) struct CrashStream {
    pub(crate) name: String,
    pub(crate) kind: ContentKind,
    pub(crate) presence: StreamPresence,
    pub(crate) creation: Creation,
    /// The content at the last check; it must not change.
    pub(crate) content: Vec<u8>,
    /// Offsets in `content` that were returned to clients.
    pub(crate) boundaries: Vec<usize>,
    pub(crate) closed: bool,
    pub(crate) deletion_asked: bool,
    pub(crate) writers: Vec<CrashWriter>,
    pub(crate) followers: Vec<CrashFollower>,
}

/// Counts of what the checks found, to ensure that there was something to find.
#[derive(Debug, Default)]
pub(crate) struct CrashCounts {
    pub(crate) acknowledged: u64,
    pub(crate) unknown_there: u64,
    pub(crate) unknown_absent: u64,
    pub(crate) bytes: u64,
    pub(crate) closed: u64,
    /// The points at which servers aborted as planned.
    pub(crate) struck: Vec<&'static str>,
}

impl CrashStream {
    /// A stream that is to be created.
    ///
    /// - `inherited`: the content that a fork begins with, and the known offsets in it.
    pub(crate) fn new(
        name: String,
        kind: ContentKind,
        creation: Creation,
        inherited: (&[u8], &[usize]),
    ) -> Self {
        let (mut content, mut boundaries) = (inherited.0.to_vec(), inherited.1.to_vec());
        // The part of a message that a fork inherits and the fork's own initial content are one
        // message, and no response contains the offset between the two.
        let cuts =
            kind == ContentKind::Binary && creation.fork.as_ref().is_some_and(|(.., sub)| *sub > 0);
        if creation.first.sent.is_empty() || !cuts {
            boundaries.push(content.len());
        }
        boundaries.extend(creation.first.ends.iter().map(|end| content.len() + end));
        content.extend_from_slice(&creation.first.kept);
        boundaries.dedup();
        let closed = creation.closed;
        Self {
            name,
            kind,
            presence: StreamPresence::Unsure,
            creation,
            content,
            boundaries,
            closed,
            deletion_asked: false,
            writers: Vec::new(),
            followers: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> String {
        format!("/v1/stream/{}", self.name)
    }

    /// Adds one to three writers of different kinds.
    pub(crate) fn add_writers(&mut self, random: &mut SmallRng) {
        let may_close = random.random_ratio(1, 3);
        let mut writer_kinds = vec![WriterKind::Producer { epoch: 0, seq: 0 }];
        match random.random_range(0..8) {
            0 => writer_kinds = vec![WriterKind::Match],
            1 => writer_kinds.push(WriterKind::Match),
            2 | 3 => writer_kinds.push(WriterKind::Plain),
            4 => writer_kinds.push(WriterKind::Seq { rank: 0 }),
            5 => {
                writer_kinds.extend([WriterKind::Producer { epoch: 0, seq: 0 }, WriterKind::Plain]);
            }
            _ => {}
        }
        let numbered = (0..).zip(writer_kinds);
        let kind = self.kind;
        self.writers = numbered
            .map(|(id, writer_kind)| {
                CrashWriter::new(id, kind, writer_kind, may_close, random.random())
            })
            .collect();
    }

    /// The request that creates it.
    pub(crate) fn put(&self, http: &reqwest::Client, url: &str) -> reqwest::RequestBuilder {
        let mut request = http.put(url).header("content-type", media_type(self.kind));
        request = request.body(self.creation.first.sent.clone());
        if self.creation.closed {
            request = request.header(headers::STREAM_CLOSED, "true");
        }
        if let Some((source, at, sub)) = &self.creation.fork {
            request = request
                .header(headers::STREAM_FORKED_FROM, format!("/v1/stream/{source}"))
                .header(headers::STREAM_FORK_OFFSET, format!("{at:016}"));
            if *sub > 0 {
                request = request.header(headers::STREAM_FORK_SUB_OFFSET, sub.to_string());
            }
        }
        request
    }

    /// Compares the stream with what is known about it.
    ///
    /// - `settles`: the server was restarted, so no request can still be in progress; afterwards
    ///   the result of every request is known.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn compare(
        &mut self,
        view: StreamView,
        settles: bool,
        counts: &mut CrashCounts,
    ) -> Result<(), String> {
        let page = match (view, self.presence) {
            (
                StreamView::Page(page),
                StreamPresence::Unsure | StreamPresence::Alive | StreamPresence::Leaving,
            ) => page,
            (
                StreamView::Missing(_),
                StreamPresence::Unsure | StreamPresence::Leaving | StreamPresence::Gone,
            ) => {
                // A store that failed may later contain what it could not acknowledge.
                self.presence = if settles {
                    StreamPresence::Gone
                } else {
                    self.presence
                };
                return Ok(());
            }
            (StreamView::Missing(status), StreamPresence::Alive) => {
                return Err(format!("is lost: {status}"));
            }
            (StreamView::Page(_), StreamPresence::Gone) => {
                return Err("exists again, although it was deleted".into());
            }
        };
        if let Some(status) = self
            .writers
            .iter()
            .find_map(|writer| writer.over.filter(|status| *status != 409))
        {
            return Err(format!("exists again, although a writer got {status}"));
        }
        self.check_content(&page)?;
        self.check_end(&page)?;
        if settles {
            self.settle(page, counts)?;
        }
        Ok(())
    }

    fn check_content(&self, page: &WholeStream) -> Result<(), String> {
        if page.content.starts_with(&self.content) {
            return Ok(());
        }
        let common = page
            .content
            .iter()
            .zip(&self.content)
            .take_while(|(is, was)| is == was)
            .count();
        let (is, was) = (page.content.len(), self.content.len());
        Err(format!(
            "had {was} bytes, has {is}, equal only up to {common}"
        ))
    }

    /// A closed stream stays closed, and a stream that was not closed is open.
    fn check_end(&self, page: &WholeStream) -> Result<(), String> {
        let entries = || self.writers.iter().flat_map(|writer| &writer.entries);
        let closing =
            || entries().filter(|entry| entry.closes && entry.fate != AppendFate::Refused);
        let was_told = self.writers.iter().any(|writer| writer.over == Some(409));
        let must = self.closed
            || was_told
            || closing().any(|entry| matches!(entry.fate, AppendFate::Kept { .. }));
        let pending = self
            .writers
            .iter()
            .filter_map(|writer| writer.pending.as_ref());
        let may =
            must || closing().next().is_some() || pending.into_iter().any(|it| it.entry.closes);
        if must && !page.closed {
            return Err(format!(
                "is open, although its closing was acknowledged (writers: {was_told}, before: {})",
                self.closed
            ));
        }
        if page.closed && !may {
            return Err("is closed, but was not closed by any request".into());
        }
        if self.closed && page.content.len() != self.content.len() {
            return Err(format!(
                "grew from {} to {} after its end",
                self.content.len(),
                page.content.len()
            ));
        }
        Ok(())
    }

    /// Decides for every append without a response whether it is in the stream; it must stay so.
    fn settle(&mut self, page: WholeStream, counts: &mut CrashCounts) -> Result<(), String> {
        let entries: Vec<&[SentAppend]> =
            self.writers.iter().map(|writer| &*writer.entries).collect();
        let found = find(&page.content, self.content.len(), &entries)?;
        for it in &found {
            let entry = &entries[it.writer][it.entry];
            let end = it.at + entry.body.kept.len();
            if entry.closes && (!page.closed || end != page.content.len()) {
                return Err(format!(
                    "holds an append that closed it at {end}, but ends at {}",
                    page.content.len()
                ));
            }
            self.boundaries
                .extend(entry.body.ends.iter().map(|end| it.at + end));
        }
        for (index, writer) in self.writers.iter_mut().enumerate() {
            let entries = std::mem::take(&mut writer.entries);
            counts.acknowledged += entries
                .iter()
                .filter(|it| matches!(it.fate, AppendFate::Kept { .. }))
                .count() as u64;
            let Some((place, last)) = entries.into_iter().enumerate().last() else {
                continue;
            };
            if last.fate != AppendFate::Unknown {
                continue;
            }
            let is_bare = last.body.kept.is_empty();
            let is_there = if is_bare {
                page.closed
            } else {
                found
                    .iter()
                    .any(|it| (it.writer, it.entry) == (index, place))
            };
            *(if is_there {
                &mut counts.unknown_there
            } else {
                &mut counts.unknown_absent
            }) += 1;
            if last.stamp != Stamp::None {
                writer.pending = Some(Pending {
                    entry: last,
                    is_there,
                });
            }
        }
        counts.bytes += (page.content.len() - self.content.len()) as u64;
        counts.closed += u64::from(page.closed && !self.closed);
        (self.content, self.closed, self.presence) =
            (page.content, page.closed, StreamPresence::Alive);
        Ok(())
    }
}
