//! Looks the engine's journal over before the engine reads it.
//!
//! Left alone, the engine takes the first bytes that it does not understand for the end: commits that were acknowledged and
//! lie behind a damaged place would be gone without a word. A crash can only leave a commit unfinished at the very end of
//! the last journal; that is cut off. Anything else is damage, and said.
//!
//! A commit is `1`, the number of items (u32), its number (u64); per item `2`, kind, compression, space (u64), the lengths of
//! key (u16), value (u32) and value as stored (u32), key, value, or `4` and a space (u64); then `3`, the XXH3 of the items
//! (u64) and a mark. All numbers little-endian. What lies behind the last commit is zeros.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The bytes at the end of every commit.
const MARK: [u8; 4] = *b"FJL\x03";
/// The shortest commit with one item.
const COMMIT_BYTES_MIN: usize = 13 + 9 + 13;
/// Numbers of commits beyond this are damage: the engine counts from zero.
const NUMBER_MAX: u64 = 1 << 60;

/// Why the engine's files can't be read.
#[derive(Debug)]
pub(super) enum FilesError {
    /// The system refused.
    Io(io::Error),
    /// They are damaged, and where.
    Damaged(String),
}

impl From<io::Error> for FilesError {
    fn from(reason: io::Error) -> Self {
        Self::Io(reason)
    }
}

/// Looks over all journals in `folder`; cuts off an unfinished commit at the end of the last one.
///
/// - Returns the bytes cut off.
pub(super) fn examine(folder: &Path) -> Result<u64, FilesError> {
    let journals = journals(folder)?;
    let mut number = 0;
    for (index, path) in journals.iter().enumerate() {
        let bytes = fs::read(path)?;
        let (end, last) = whole_commits(&bytes, number);
        number = last;
        let rest = &bytes[end..];
        let Some(written) = written(rest) else { continue };
        let is_last = index + 1 == journals.len();
        let place = format!("{} at byte {end} of {}", path.display(), end + written);
        if !is_last {
            return Err(FilesError::Damaged(format!("the journal {place}, which later journals follow")));
        }
        if let Some(next) = later_commit(rest) {
            return Err(FilesError::Damaged(format!(
                "the journal {place}; whole commits follow from byte {}",
                end + next
            )));
        }
        cut(path, end)?;
        tracing::warn!("{} ended in {written} bytes of an unfinished commit; they are cut off", path.display());
        return Ok(written as u64);
    }
    Ok(0)
}

/// The journals in the order in which they were written.
fn journals(folder: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            let Some(number) = number else {
                return Err(FilesError::Damaged(format!("the name of {} is no journal's", path.display())));
            };
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Where the run of whole commits ends that `bytes` begin with, and the number of the last of them.
fn whole_commits(bytes: &[u8], before: u64) -> (usize, u64) {
    let (mut end, mut number) = (0, before);
    while let Some((length, next)) = commit(&bytes[end..]).filter(|(_, next)| *next > number || number == 0) {
        (end, number) = (end + length, next);
    }
    (end, number)
}

/// Where in `bytes` the first whole commit begins, if there is one; at 0 when its number does not rise.
fn later_commit(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len().saturating_sub(COMMIT_BYTES_MIN) + 1)
        .filter(|at| bytes.get(*at) == Some(&1))
        .find(|at| commit(&bytes[*at..]).is_some())
}

/// The length and number of the whole commit that `bytes` begin with.
fn commit(bytes: &[u8]) -> Option<(usize, u64)> {
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
    is_whole.then_some((bytes.len() - input.len(), number))
}

fn item(input: &mut &[u8]) -> Option<()> {
    match chunk(input)? {
        [2] => {
            let [_kind, 0] = chunk(input)? else { return None };
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
    let piece = rest.chunks(ZEROS.len()).rposition(|piece| piece != &ZEROS[..piece.len()])?;
    let until = rest.len().min((piece + 1) * ZEROS.len());
    rest[..until].iter().rposition(|byte| *byte != 0).map(|last| last + 1)
}

fn cut(path: &Path, end: usize) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).open(path)?;
    file.set_len(end as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit_of(number: u64, values: &[&str]) -> Vec<u8> {
        let mut items = Vec::new();
        for value in values {
            items.extend_from_slice(&[2, 0, 0]);
            items.extend_from_slice(&7_u64.to_le_bytes());
            items.extend_from_slice(&1_u16.to_le_bytes());
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            items.extend_from_slice(&length);
            items.extend_from_slice(&length);
            items.push(b'k');
            items.extend_from_slice(value.as_bytes());
        }
        let mut bytes = vec![1];
        bytes.extend_from_slice(&u32::try_from(values.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&items);
        bytes.push(3);
        bytes.extend_from_slice(&xxh3_64(&items).to_le_bytes());
        bytes.extend_from_slice(&MARK);
        bytes
    }

    #[test]
    fn whole_commits_end_where_the_first_broken_one_begins() {
        let (first, second) = (commit_of(3, &["one"]), commit_of(5, &["two", "three"]));
        let both = [first.clone(), second.clone()].concat();
        assert_eq!(whole_commits(&both, 0), (both.len(), 5));
        for length in first.len()..both.len() {
            assert_eq!(whole_commits(&both[..length], 0), (first.len(), 3), "cut at {length}");
        }
        let back = [second.clone(), first.clone()].concat();
        assert_eq!(whole_commits(&back, 0), (second.len(), 5), "numbers rise");
        assert_eq!(later_commit(&back[second.len()..]), Some(0));
        assert_eq!(later_commit(&both[1..]), Some(first.len() - 1));
        assert_eq!(later_commit(&both[1..both.len() - 1]), None, "not whole");
        assert_eq!(later_commit(&[]), None);
    }
}
