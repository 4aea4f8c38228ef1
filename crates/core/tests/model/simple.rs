//! A simple model of streams as the protocol defines them: every stream is a list of messages, and
//! a fork is a copy.

use super::ops::{AppendBody, Op, Sent};
use std::collections::BTreeMap;
use tailwater_protocol::headers::ContentKind;

/// All streams by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Simple {
    pub(crate) streams: BTreeMap<u8, SimpleStream>,
    numbers: u64,
}

/// One stream.
#[derive(Debug, Clone)]
pub(crate) struct SimpleStream {
    number: u64,
    pub(crate) kind: ContentKind,
    /// The stored messages: each JSON message with a comma after it.
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) closed: bool,
    closed_by: Option<(u8, (u64, u64))>,
    seq: Option<String>,
    pub(crate) producers: BTreeMap<u8, (u64, u64)>,
    /// The number of the stream that it was forked from.
    source: Option<u64>,
    pub(crate) hidden: bool,
}

impl SimpleStream {
    pub(crate) fn tail(&self) -> usize {
        self.messages.iter().map(Vec::len).sum()
    }

    /// Positions between messages, including the first and the last.
    pub(crate) fn boundaries(&self) -> Vec<usize> {
        let mut at = 0;
        let ends = self.messages.iter().map(|message| {
            at += message.len();
            at
        });
        std::iter::once(0).chain(ends).collect()
    }

    fn end(&self) -> String {
        format!(
            "at {}{}",
            self.tail(),
            if self.closed { " closed" } else { "" }
        )
    }

    fn judge(&self, id: u8, (epoch, seq): (u64, u64)) -> Result<Option<(u64, u64)>, String> {
        match self.producers.get(&id) {
            None if seq == 0 => Ok(None),
            None => Err(format!("gap 0 {seq}")),
            Some((last, _)) if epoch < *last => Err(format!("stale {last}")),
            Some((last, _)) if epoch > *last && seq == 0 => Ok(None),
            Some((last, _)) if epoch > *last => Err("epoch start".into()),
            Some((last, highest)) if seq <= *highest => Ok(Some((*last, *highest))),
            Some((_, highest)) if seq == highest + 1 => Ok(None),
            Some((_, highest)) => Err(format!("gap {} {seq}", highest + 1)),
        }
    }

    fn append(&mut self, sent: &Sent) -> String {
        let judged = sent.producer.map(|(id, at)| self.judge(id, at));
        if self.closed {
            let is_again = sent.producer.is_some() && sent.producer == self.closed_by;
            let stale = judged
                .and_then(Result::err)
                .filter(|refusal| refusal.starts_with("stale"));
            return match stale {
                _ if is_again => {
                    format!("again {:?} {}", sent.producer.map(|(_, at)| at), self.end())
                }
                Some(stale) => stale,
                None if sent.closes && sent.body.is_none() && sent.producer.is_none() => {
                    format!("again None {}", self.end())
                }
                None => format!("closed {}", self.tail()),
            };
        }
        match judged {
            Some(Err(refusal)) => return refusal,
            Some(Ok(Some(highest))) => return format!("again {:?} {}", Some(highest), self.end()),
            Some(Ok(None)) | None => {}
        }
        if sent.seq.is_some() && self.seq >= sent.seq {
            return "seq".into();
        }
        let expected = sent.only_at.map(|away| self.tail() + usize::from(away));
        if expected.is_some_and(|expected| expected != self.tail()) {
            return format!("not at {}", self.tail());
        }
        self.messages
            .extend(sent.body.iter().flat_map(|body| body.messages(self.kind)));
        self.closed = sent.closes;
        self.seq = sent.seq.clone().or(self.seq.take());
        if let Some((id, at)) = sent.producer {
            self.producers.insert(id, at);
            self.closed_by = sent.closes.then_some((id, at));
        }
        format!("new {:?} {}", sent.producer.map(|(_, at)| at), self.end())
    }

    fn read(&self, from: usize, max: usize) -> String {
        let boundaries = self.boundaries();
        let Ok(first) = boundaries.binary_search(&from.min(self.tail())) else {
            return "inside".into();
        };
        let mut data: Vec<u8> = Vec::new();
        for message in &self.messages[first..] {
            if !data.is_empty() && data.len() + message.len() > max {
                break;
            }
            data.extend_from_slice(message);
        }
        format!(
            "{:?} then {} {}",
            String::from_utf8_lossy(&data),
            boundaries[first] + data.len(),
            self.end()
        )
    }
}

impl Simple {
    /// Adapts a random operation so that it more often fits the existing streams.
    ///
    /// - A producer's numbers mean: epoch 0 an old one, 1 a new one (if odd, not from its start),
    ///   others the current one; sequence number 0 a repetition, 1 a gap, others the next.
    /// - An even position means the message boundary of that number.
    pub(crate) fn aim(&self, op: &Op) -> Op {
        let mut op = op.clone();
        match &mut op {
            Op::Append {
                name,
                sent:
                    Sent {
                        producer: Some((id, (epoch, seq))),
                        ..
                    },
            } => {
                let last = self
                    .streams
                    .get(name)
                    .and_then(|stream| stream.producers.get(id));
                let (last_epoch, next) = last.map_or((5, 0), |(epoch, seq)| (*epoch, seq + 1));
                let wanted = *seq;
                (*epoch, *seq) = match *epoch {
                    0 => (last_epoch.saturating_sub(1), next),
                    1 => (last_epoch + 1, wanted % 2),
                    _ if wanted == 0 => (last_epoch, next.saturating_sub(1)),
                    _ => (last_epoch, next + u64::from(wanted == 1)),
                };
            }
            Op::Read {
                name,
                from: position,
                ..
            }
            | Op::Fork {
                source: name,
                at: position,
                ..
            } => {
                if let Some(stream) = self
                    .streams
                    .get(name)
                    .filter(|_| position.is_multiple_of(2))
                {
                    let boundaries = stream.boundaries();
                    *position = boundaries[*position % boundaries.len()];
                }
            }
            _ => {}
        }
        op
    }

    /// Applies an operation and returns its outcome in the same notation as the real streams.
    pub(crate) fn apply(&mut self, op: &Op) -> String {
        match op {
            Op::Create {
                name,
                kind,
                first,
                closed,
            } => match self.streams.get(name) {
                Some(there) if there.hidden => "hidden".into(),
                Some(there) => {
                    let same =
                        there.kind == *kind && there.closed == *closed && there.source.is_none();
                    if same {
                        "there".into()
                    } else {
                        "differs".into()
                    }
                }
                None => {
                    let messages = first.iter().flat_map(|body| body.messages(*kind)).collect();
                    self.make(*name, *kind, messages, *closed, None)
                }
            },
            Op::Append { name, sent } => match self.streams.get_mut(name) {
                None => "none".into(),
                Some(there) if there.hidden => "hidden".into(),
                Some(there) => there.append(sent),
            },
            Op::Read { name, from, max } => match self.streams.get(name) {
                None => "none".into(),
                Some(there) if there.hidden => "hidden".into(),
                Some(there) => there.read(*from, *max),
            },
            Op::Delete { name } => self.delete(*name),
            Op::Fork {
                name,
                source,
                at,
                first,
            } => self.fork(*name, *source, *at, first.as_ref()),
            Op::Reopen => "reopened".into(),
        }
    }

    fn make(
        &mut self,
        name: u8,
        kind: ContentKind,
        messages: Vec<Vec<u8>>,
        closed: bool,
        source: Option<u64>,
    ) -> String {
        self.numbers += 1;
        let stream = SimpleStream {
            number: self.numbers,
            kind,
            messages,
            closed,
            closed_by: None,
            seq: None,
            producers: BTreeMap::new(),
            source,
            hidden: false,
        };
        let made = format!("made {}", stream.end());
        self.streams.insert(name, stream);
        made
    }

    fn fork(&mut self, name: u8, source: u8, at: usize, first: Option<&AppendBody>) -> String {
        match self.streams.get(&name) {
            Some(there) if there.hidden => return "hidden".into(),
            Some(_) => return "taken".into(),
            None => {}
        }
        let (number, kind, mut messages) = match self.streams.get(&source) {
            None => return "no source".into(),
            Some(there) if there.hidden => return "source hidden".into(),
            Some(there) if at > there.tail() => return "beyond".into(),
            Some(there) => match there.boundaries().binary_search(&at) {
                Ok(count) => (there.number, there.kind, there.messages[..count].to_vec()),
                Err(_) => return "inside".into(),
            },
        };
        messages.extend(first.iter().flat_map(|body| body.messages(kind)));
        self.make(name, kind, messages, false, Some(number))
    }

    fn delete(&mut self, name: u8) -> String {
        match self.streams.get(&name) {
            None => return "none".into(),
            Some(there) if there.hidden => return "hidden".into(),
            Some(_) => {}
        }
        if let Some(there) = self.streams.get_mut(&name) {
            there.hidden = true;
        }
        // A hidden stream without forks is deleted, and then possibly its source.
        loop {
            let sources: Vec<u64> = self.streams.values().filter_map(|it| it.source).collect();
            let before = self.streams.len();
            self.streams
                .retain(|_, it| !it.hidden || sources.contains(&it.number));
            if self.streams.len() == before {
                return "deleted".into();
            }
        }
    }
}
