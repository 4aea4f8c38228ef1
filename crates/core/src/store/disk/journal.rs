//! Checks the engine's journals before the engine opens them.
//!
//! The engine itself treats the first invalid bytes as the end of the journal, so acknowledged commits
//! after a damaged place would be lost silently. A crash can only leave an unfinished commit at the
//! end of the written bytes; it is cut off. Everything else is reported as damage: a journal that ends
//! before the synced position (`synced.rs`), an invalid commit before valid ones, and a missing or
//! incomplete journal before others.
//!
//! A commit consists of `1`, the number of items (u32) and the commit's number (u64); for each item
//! either `2`, kind, compression, space (u64), the lengths of key (u16), value (u32) and stored value
//! (u32), key and value, or `4` and a space (u64); then `3`, the XXH3 of the items (u64) and a marker.
//! All numbers are little-endian. The last commit is followed by zeros. Values contain data of
//! clients, which may look like commits, so values are skipped and never searched. Each byte is read a
//! fixed number of times.

use super::files::FilesError;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The marker at the end of every commit.
const MARK: [u8; 4] = *b"FJL\x03";
/// The largest plausible number of a commit: the engine counts from zero.
const NUMBER_MAX: u64 = 1 << 60;

/// A position in the journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct JournalPosition {
    /// The number of the journal.
    pub(super) journal: u64,
    /// The journal contains a commit with this or a higher number; 0 if no commit is known.
    pub(super) number: u64,
}

/// Checks all journals in `folder`, and cuts off an unfinished commit at the end.
///
/// - `synced`: the synced position, if it is known.
/// - `undo_from`: the number of the first failed commit; it and all later ones are cut off.
/// - Returns the last journal, and the number of its last commit, or 0 if it has none.
///
/// # Errors
/// [`FilesError::Damaged`]; nothing was changed.
pub(super) fn check(
    folder: &Path,
    synced: Option<JournalPosition>,
    undo_from: Option<u64>,
) -> Result<JournalPosition, FilesError> {
    let journals = journals(folder)?;
    let mut last = JournalPosition::default();
    let mut number = 0;
    let mut unfinished: Option<UnfinishedCommit<'_>> = None;
    for (journal, path) in &journals {
        let bytes = fs::read(path)?;
        if let Some(before) = unfinished.as_ref().filter(|_| written(&bytes).is_some()) {
            return Err(FilesError::Damaged(format!(
                "the journal {}, before later journals",
                before.place()
            )));
        }
        let (end, reached) = valid_commits(&bytes, number, undo_from);
        last = JournalPosition {
            journal: *journal,
            number: if end > 0 { reached } else { 0 },
        };
        number = reached;
        if let Some(synced) =
            synced.filter(|synced| synced.journal == *journal && last.number < synced.number)
        {
            let (path, wanted) = (path.display(), synced.number);
            let what = format!(
                "the journal {path} at byte {end}: commits up to number {wanted} are missing"
            );
            return Err(FilesError::Damaged(what));
        }
        let rest = &bytes[end..];
        if let Some(written) = written(rest) {
            let found = UnfinishedCommit { path, end, written };
            if let Some(next) = later_commit(rest).filter(|_| !is_undone(rest, undo_from)) {
                let (place, next) = (found.place(), end + next);
                return Err(FilesError::Damaged(format!(
                    "the journal {place}; valid commits follow from byte {next}"
                )));
            }
            unfinished = Some(found);
        }
    }
    if let Some(synced) =
        synced.filter(|synced| journals.is_empty() || synced.journal > last.journal)
    {
        let path = folder.join(format!("{}.jnl", synced.journal));
        return Err(FilesError::Damaged(format!(
            "{} is missing",
            path.display()
        )));
    }
    if let Some(UnfinishedCommit { path, end, written }) = unfinished {
        cut(path, end)?;
        tracing::warn!(
            "{} ended with {written} bytes of an unfinished commit, which were cut off",
            path.display()
        );
    }
    Ok(last)
}

/// The bytes of an unfinished commit at the end of a journal.
struct UnfinishedCommit<'a> {
    path: &'a Path,
    end: usize,
    written: usize,
}

impl UnfinishedCommit<'_> {
    fn place(&self) -> String {
        format!(
            "{} at byte {} of {}",
            self.path.display(),
            self.end,
            self.end + self.written
        )
    }
}

/// The journals by number, in the order in which they were written.
fn journals(folder: &Path) -> Result<BTreeMap<u64, PathBuf>, FilesError> {
    let mut journals = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse::<u64>().ok());
            let Some(number) = number else {
                return Err(FilesError::Damaged(format!(
                    "{} is not the name of a journal",
                    path.display()
                )));
            };
            journals.insert(number, path);
        }
    }
    // The engine removes the oldest first.
    let missing = journals
        .keys()
        .zip(journals.keys().skip(1))
        .find(|(before, after)| **before + 1 != **after);
    if let Some((before, _)) = missing {
        let path = folder.join(format!("{}.jnl", before + 1));
        return Err(FilesError::Damaged(format!(
            "{} is missing",
            path.display()
        )));
    }
    Ok(journals)
}

/// The end of the valid commits at the start of `bytes`, and the number of the last one. Commits from
/// `undo_from` on are treated as invalid.
fn valid_commits(bytes: &[u8], before: u64, undo_from: Option<u64>) -> (usize, u64) {
    let (mut end, mut number) = (0, before);
    let counts = |next: u64, number: u64| {
        (next > number || number == 0) && undo_from.is_none_or(|undo| next < undo)
    };
    while let Some((length, next)) = commit(&bytes[end..]).filter(|(_, next)| counts(*next, number))
    {
        (end, number) = (end + length, next);
    }
    (end, number)
}

/// The index of the first valid commit in `bytes`; 0 if `bytes` start with a valid commit whose number
/// is not higher than the previous one. It is found only if the lengths in the commits before it are
/// correct, because they determine where those end.
fn later_commit(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(CommitExtent {
        length, is_valid, ..
    }) = extent(&bytes[at..])
    {
        if is_valid {
            return Some(at);
        }
        at += length;
    }
    None
}

/// Whether `bytes` start with a valid commit that failed. All commits after it have failed as well.
fn is_undone(bytes: &[u8], undo_from: Option<u64>) -> bool {
    commit(bytes)
        .zip(undo_from)
        .is_some_and(|((_, number), undo)| number >= undo)
}

/// The length and number of the valid commit at the start of `bytes`.
fn commit(bytes: &[u8]) -> Option<(usize, u64)> {
    extent(bytes)
        .filter(|extent| extent.is_valid)
        .map(|extent| (extent.length, extent.number))
}

/// The length and number in a commit, and whether its checksum is valid.
struct CommitExtent {
    length: usize,
    number: u64,
    is_valid: bool,
}

/// The extent of the commit at the start of `bytes`, if its lengths are consistent.
fn extent(bytes: &[u8]) -> Option<CommitExtent> {
    let mut input = bytes;
    let [1] = chunk(&mut input)? else { return None };
    let items = u32::from_le_bytes(chunk(&mut input)?);
    let number = u64::from_le_bytes(chunk(&mut input)?);
    if items == 0 || number > NUMBER_MAX {
        return None;
    }
    let body = input;
    for _ in 0..items {
        item(&mut input)?;
    }
    let items_bytes = &body[..body.len() - input.len()];
    let [3] = chunk(&mut input)? else { return None };
    let sum = u64::from_le_bytes(chunk(&mut input)?);
    let is_valid = chunk(&mut input)? == MARK && xxh3_64(items_bytes) == sum;
    Some(CommitExtent {
        length: bytes.len() - input.len(),
        number,
        is_valid,
    })
}

fn item(input: &mut &[u8]) -> Option<()> {
    match chunk(input)? {
        [2] => {
            let [_kind, 0] = chunk(input)? else {
                return None;
            };
            let _space: [u8; 8] = chunk(input)?;
            let key = u16::from_le_bytes(chunk(input)?);
            let value = u32::from_le_bytes(chunk(input)?);
            let stored = u32::from_le_bytes(chunk(input)?);
            if stored != value {
                return None;
            }
            let length = usize::from(key).checked_add(usize::try_from(stored).ok()?)?;
            *input = input.get(length..)?;
        }
        [4] => {
            let _space: [u8; 8] = chunk(input)?;
        }
        _ => return None,
    }
    Some(())
}

fn chunk<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*taken)
}

/// The number of bytes up to the last non-zero byte; `None` if all bytes are zero.
fn written(rest: &[u8]) -> Option<usize> {
    // Compared in large pieces, because a journal ends with many zeros.
    const ZEROS: [u8; 4096] = [0; 4096];
    let piece = rest
        .chunks(ZEROS.len())
        .rposition(|piece| piece != &ZEROS[..piece.len()])?;
    let until = rest.len().min((piece + 1) * ZEROS.len());
    rest[..until]
        .iter()
        .rposition(|byte| *byte != 0)
        .map(|last| last + 1)
}

fn cut(path: &Path, end: usize) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).open(path)?;
    file.set_len(end as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
