//! Whether the content of a stream is what was sent to it: each writer's appends in order, every
//! acknowledged one exactly once at the offset that was returned, and nothing else. Pure.

use super::body::SentBody;
use std::collections::HashSet;

/// What is known about one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendFate {
    /// It was acknowledged; its end, if the response contained it.
    Kept { end: Option<usize> },
    /// It was sent and got no response.
    Unknown,
    /// It was refused, so it must not be in the stream.
    Refused,
}

/// One append.
#[derive(Debug, Clone)]
pub(crate) struct SentAppend {
    pub(crate) body: SentBody,
    /// Whether it closes the stream.
    pub(crate) closes: bool,
    pub(crate) fate: AppendFate,
    /// How it was sent.
    pub(crate) stamp: Stamp,
}

/// What identifies an append when it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Nothing: it must not be sent again.
    None,
    /// An idempotent producer's numbers.
    Producer { epoch: u64, seq: u64 },
    /// `Stream-Seq`.
    Seq(String),
    /// `If-Match`.
    At(String),
}

/// An append that was found in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundContent {
    /// The index of its writer.
    pub(crate) writer: usize,
    /// The index among the writer's appends.
    pub(crate) entry: usize,
    /// The position at which it begins.
    pub(crate) at: usize,
}

/// Finds the appends of which `content[from..]` consists: each writer's in order, all acknowledged
/// ones included.
///
/// # Errors
/// What is wrong at the first position that cannot be explained.
pub(crate) fn find(
    content: &[u8],
    from: usize,
    writers: &[&[SentAppend]],
) -> Result<Vec<FoundContent>, String> {
    let mut search = Search {
        content,
        writers,
        failed: HashSet::new(),
        found: Vec::new(),
        deepest: (from, None),
    };
    let next = vec![0; writers.len()];
    if search.explain(from, next) {
        Ok(search.found)
    } else {
        Err(search.failure())
    }
}

struct Search<'a> {
    content: &'a [u8],
    writers: &'a [&'a [SentAppend]],
    /// Positions, with each writer's next append, from which the rest could not be explained.
    failed: HashSet<(usize, Vec<usize>)>,
    found: Vec<FoundContent>,
    /// The last position that could be explained, and each writer's next append there.
    deepest: (usize, Option<Vec<usize>>),
}

impl Search<'_> {
    /// Depth first without recursion, as thousands of appends would need as many stack frames.
    fn explain(&mut self, from: usize, next: Vec<usize>) -> bool {
        let first = self.candidates(from, &next);
        let mut path = vec![(from, next, first)];
        while let Some((at, next, candidates)) = path.last_mut() {
            let (at, taken) = (*at, candidates.pop());
            if taken.is_none() && at == self.content.len() && self.is_all(next) {
                return true;
            }
            if at >= self.deepest.0 {
                self.deepest = (at, Some(next.clone()));
            }
            let Some((writer, entry)) = taken else {
                self.failed.insert((at, next.clone()));
                path.pop();
                self.found.pop();
                continue;
            };
            let mut after = next.clone();
            after[writer] = entry + 1;
            let then = at + self.writers[writer][entry].body.kept.len();
            if !self.failed.contains(&(then, after.clone())) {
                let candidates = self.candidates(then, &after);
                self.found.push(FoundContent { writer, entry, at });
                path.push((then, after, candidates));
            }
        }
        false
    }

    /// Appends that can begin at `at`; the best one last.
    fn candidates(&self, at: usize, next: &[usize]) -> Vec<(usize, usize)> {
        let rest = &self.content[at..];
        let mut candidates = Vec::new();
        for (writer, entries) in self.writers.iter().enumerate() {
            for (index, entry) in entries.iter().enumerate().skip(next[writer]) {
                let kept = &entry.body.kept;
                let is_here =
                    !kept.is_empty() && rest.starts_with(kept) && entry.fate != AppendFate::Refused;
                let told = match entry.fate {
                    AppendFate::Kept { end } => end,
                    AppendFate::Unknown | AppendFate::Refused => None,
                };
                if is_here && told.is_none_or(|end| end == at + kept.len()) {
                    candidates.push((told.is_some(), (writer, index)));
                }
                // Only appends that need not be in the stream can be skipped.
                if matches!(entry.fate, AppendFate::Kept { .. }) && !kept.is_empty() {
                    break;
                }
            }
        }
        candidates.sort_by_key(|(is_told, _)| *is_told);
        candidates
            .into_iter()
            .map(|(_, candidate)| candidate)
            .collect()
    }

    /// Whether no acknowledged append is left.
    fn is_all(&self, next: &[usize]) -> bool {
        let must = |entry: &SentAppend| {
            matches!(entry.fate, AppendFate::Kept { .. }) && !entry.body.kept.is_empty()
        };
        self.writers
            .iter()
            .zip(next)
            .all(|(entries, next)| !entries[*next..].iter().any(must))
    }

    fn failure(&self) -> String {
        let (at, next) = &self.deepest;
        let Some(next) = next else {
            return format!("nothing could be explained from {at}");
        };
        let rest = &self.content[*at..];
        let shown = String::from_utf8_lossy(&rest[..rest.len().min(60)]).into_owned();
        let mut complaint = format!(
            "explained up to {at} of {}; it continues with {shown:?}",
            self.content.len()
        );
        for (writer, entries) in self.writers.iter().enumerate() {
            for (index, entry) in entries.iter().enumerate() {
                let kept = &entry.body.kept;
                let is_here = kept.len() > 1 && rest.starts_with(kept);
                let place = if index < next[writer] {
                    "found before"
                } else {
                    "not found before"
                };
                if is_here {
                    complaint += &format!(
                        "\n  this is writer {writer}'s append {index} ({:?}, {place})",
                        entry.fate
                    );
                }
            }
            if let Some(entry) = entries.get(next[writer]) {
                let common = rest
                    .iter()
                    .zip(&entry.body.kept)
                    .take_while(|(is, was)| is == was)
                    .count();
                let (length, fate) = (entry.body.kept.len(), entry.fate);
                complaint += &format!(
                    "\n  writer {writer}'s next is append {} of {}: {length} bytes, {fate:?}, the first {common} fit here",
                    next[writer],
                    entries.len(),
                );
            }
        }
        complaint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const KEPT_AT: fn(usize) -> AppendFate = |end| AppendFate::Kept { end: Some(end) };
    const KEPT: AppendFate = AppendFate::Kept { end: None };

    fn entry(kept: &'static str, fate: AppendFate) -> SentAppend {
        let body = SentBody {
            sent: Bytes::new(),
            kept: Bytes::from_static(kept.as_bytes()),
            ends: vec![kept.len()],
        };
        SentAppend {
            body,
            closes: false,
            fate,
            stamp: Stamp::None,
        }
    }

    fn find_in(
        content: &str,
        writers: &[&[SentAppend]],
    ) -> Result<Vec<(usize, usize, usize)>, String> {
        let found = find(content.as_bytes(), 0, writers)?;
        Ok(found
            .into_iter()
            .map(|it| (it.writer, it.entry, it.at))
            .collect())
    }

    #[test]
    fn appends_of_several_writers_are_found_in_any_interleaving() {
        let one = [
            entry("a1", KEPT_AT(2)),
            entry("a2", KEPT),
            entry("a3", AppendFate::Unknown),
        ];
        let two = [
            entry("b1", KEPT_AT(4)),
            entry("no", AppendFate::Refused),
            entry("b2", KEPT),
        ];
        assert_eq!(
            find_in("a1b1b2a2", &[&one, &two]),
            Ok(vec![(0, 0, 0), (1, 0, 2), (1, 2, 4), (0, 1, 6)])
        );
        assert_eq!(
            find_in("a1b1a2a3b2", &[&one, &two]).map(|found| found.len()),
            Ok(5),
            "the unacknowledged append is in the stream"
        );
    }

    #[test]
    fn ambiguous_bytes_are_tried_for_every_writer() {
        // `x` could be the second writer's, but then its next append is missing.
        let one = [entry("x", KEPT), entry("y", KEPT)];
        let two = [entry("x", KEPT), entry("z", KEPT)];
        assert!(find_in("xyxz", &[&one, &two]).is_ok());
        assert!(find_in("xzxy", &[&one, &two]).is_ok());
        assert!(find_in("xyzx", &[&one, &two]).is_err());
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let one = || {
            [
                entry("a1", KEPT_AT(2)),
                entry("a2", KEPT_AT(6)),
                entry("a3", AppendFate::Unknown),
            ]
        };
        let two = || [entry("b1", KEPT_AT(4)), entry("no", AppendFate::Refused)];
        assert!(find_in("a1b1a2", &[&one(), &two()]).is_ok());
        for (content, damage) in [
            ("a1b1", "the last acknowledged append is lost"),
            ("b1a2", "the first append is lost"),
            ("a1b1a2a2", "an append is there twice"),
            ("a1b1a2b1", "an older append is there twice"),
            ("a2b1a1", "the order of one writer is not kept"),
            ("a1b1no", "a refused append is there"),
            ("b1a1a2", "the offsets returned differ from those found"),
            ("a1b1a2a3a3", "an unacknowledged append is there twice"),
            ("a1b1a", "an append is truncated"),
            ("a1b1a2zz", "content that was never sent is there"),
            ("a1bXa2", "a byte differs"),
        ] {
            assert!(
                find_in(content, &[&one(), &two()]).is_err(),
                "{damage}: {content}"
            );
        }
    }
}
