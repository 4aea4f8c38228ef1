//! Looks the engine's journal over before the engine reads it.
//!
//! Left alone, the engine takes the first bytes that it does not understand for the end: commits that were acknowledged and
//! lie behind a damaged place would be gone without a word. A crash can only leave a commit unfinished at the very end of
//! what was written; that is cut off. Anything else is damage, and said: less than was noted as synced (`synced.rs`), a
//! broken commit before whole ones, a journal before others that is not whole or missing.
//!
//! A commit is `1`, the number of items (u32), its number (u64); per item `2`, kind, compression, space (u64), the lengths of
//! key (u16), value (u32) and value as stored (u32), key, value, or `4` and a space (u64); then `3`, the XXH3 of the items
//! (u64) and a mark. All numbers little-endian. What lies behind the last commit is zeros. Values hold what clients sent, which
//! may look like commits; so nothing is ever looked for in them, and each byte is looked at a fixed number of times.

use super::files::FilesError;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The bytes at the end of every commit.
const MARK: [u8; 4] = *b"FJL\x03";
/// Numbers of commits beyond this are damage: the engine counts from zero.
const NUMBER_MAX: u64 = 1 << 60;

/// A place in the journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct JournalPosition {
    /// The journal's number.
    pub(super) journal: u64,
    /// That journal has a commit with this number or a higher one; 0 where none is known.
    pub(super) number: u64,
}

/// Looks over all journals in `folder`; cuts off an unfinished commit at the end of what was written.
///
/// - `synced`: what must be there, if that is known.
/// - `undo_from`: commits with this number and higher ones have failed, and are cut off as if they were unfinished.
/// - Returns the last journal, and the number of its last commit: 0 where it has none.
///
/// # Errors
/// [`FilesError::Damaged`]; then nothing was changed.
pub(super) fn examine(
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
                "the journal {}, which later journals follow",
                before.place()
            )));
        }
        let (end, reached) = whole_commits(&bytes, number, undo_from);
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
                "the journal {path} at byte {end}: commits up to number {wanted} were there"
            );
            return Err(FilesError::Damaged(what));
        }
        let rest = &bytes[end..];
        if let Some(written) = written(rest) {
            let found = UnfinishedCommit { path, end, written };
            if let Some(next) = later_commit(rest).filter(|_| !is_undone(rest, undo_from)) {
                let (place, next) = (found.place(), end + next);
                return Err(FilesError::Damaged(format!(
                    "the journal {place}; whole commits follow from byte {next}"
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
            "{} ended in {written} bytes of an unfinished commit; they are cut off",
            path.display()
        );
    }
    Ok(last)
}

/// Bytes at the end of a journal that are no whole commit.
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
                    "the name of {} is no journal's",
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

/// Where the run of whole commits ends that `bytes` begin with, and the number of the last of them. Commits from `undo_from` on
/// do not count.
fn whole_commits(bytes: &[u8], before: u64, undo_from: Option<u64>) -> (usize, u64) {
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

/// Where in `bytes` the first whole commit begins, if there is one; at 0 when its number does not rise. Of a broken one before
/// it the lengths must be right: they are what says where it ends.
fn later_commit(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(CommitExtent {
        length, is_whole, ..
    }) = extent(&bytes[at..])
    {
        if is_whole {
            return Some(at);
        }
        at += length;
    }
    None
}

/// Whether `bytes` begin with a whole commit that has failed: all that follows it has, too.
fn is_undone(bytes: &[u8], undo_from: Option<u64>) -> bool {
    commit(bytes)
        .zip(undo_from)
        .is_some_and(|((_, number), undo)| number >= undo)
}

/// The length and number of the whole commit that `bytes` begin with.
fn commit(bytes: &[u8]) -> Option<(usize, u64)> {
    extent(bytes)
        .filter(|extent| extent.is_whole)
        .map(|extent| (extent.length, extent.number))
}

/// What a commit says of itself, whether or not its content is right.
struct CommitExtent {
    length: usize,
    number: u64,
    is_whole: bool,
}

/// The commit that `bytes` begin with, if its lengths lead to an end.
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
    let is_whole = chunk(&mut input)? == MARK && xxh3_64(items_bytes) == sum;
    Some(CommitExtent {
        length: bytes.len() - input.len(),
        number,
        is_whole,
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

/// Bytes up to the last that is not zero; `None` when all are.
fn written(rest: &[u8]) -> Option<usize> {
    // Whole pieces at once: what is behind the commits is mostly zeros, and much.
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
