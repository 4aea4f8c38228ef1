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

use super::synced::Position;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The bytes at the end of every commit.
const MARK: [u8; 4] = *b"FJL\x03";
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
    synced: Option<Position>,
    undo_from: Option<u64>,
) -> Result<Position, FilesError> {
    let journals = journals(folder)?;
    let mut last = Position::default();
    let mut number = 0;
    let mut unfinished: Option<Unfinished<'_>> = None;
    for (journal, path) in &journals {
        let bytes = fs::read(path)?;
        if let Some(before) = unfinished.as_ref().filter(|_| written(&bytes).is_some()) {
            return Err(FilesError::Damaged(format!(
                "the journal {}, which later journals follow",
                before.place()
            )));
        }
        let (end, reached) = whole_commits(&bytes, number, undo_from);
        last = Position {
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
            let found = Unfinished { path, end, written };
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
    if let Some(Unfinished { path, end, written }) = unfinished {
        cut(path, end)?;
        tracing::warn!(
            "{} ended in {written} bytes of an unfinished commit; they are cut off",
            path.display()
        );
    }
    Ok(last)
}

/// Bytes at the end of a journal that are no whole commit.
struct Unfinished<'a> {
    path: &'a Path,
    end: usize,
    written: usize,
}

impl Unfinished<'_> {
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
    while let Some(Extent {
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
struct Extent {
    length: usize,
    number: u64,
    is_whole: bool,
}

/// The commit that `bytes` begin with, if its lengths lead to an end.
fn extent(bytes: &[u8]) -> Option<Extent> {
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
    Some(Extent {
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
mod tests {
    use super::*;

    fn commit_of(number: u64, values: &[&[u8]]) -> Vec<u8> {
        let mut items = Vec::new();
        for value in values {
            items.extend_from_slice(&[2, 0, 0]);
            items.extend_from_slice(&7_u64.to_le_bytes());
            items.extend_from_slice(&1_u16.to_le_bytes());
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            items.extend_from_slice(&length);
            items.extend_from_slice(&length);
            items.push(b'k');
            items.extend_from_slice(value);
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

    /// A folder with one journal.
    fn folder(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("0.jnl"), bytes).unwrap();
        folder
    }

    fn journal(folder: &tempfile::TempDir) -> Vec<u8> {
        fs::read(folder.path().join("0.jnl")).unwrap()
    }

    #[test]
    fn what_lies_in_an_unfinished_commit_is_no_commit() {
        let inside: Vec<u8> = (4..9)
            .flat_map(|number| commit_of(number, &[b"forged"]))
            .collect();
        let whole = commit_of(3, &[b"kept"]);
        let last = commit_of(4, &[b"before", &inside, b"after"]);
        for length in 1..last.len() {
            for zeros in [0, 9_000] {
                let folder = folder(&[&whole[..], &last[..length], &vec![0; zeros]].concat());
                let seen = examine(folder.path(), None, None);
                assert!(seen.is_ok(), "cut at {length} of {}: {seen:?}", last.len());
                assert_eq!(journal(&folder), whole, "cut at {length}");
            }
        }
    }

    #[test]
    fn heads_in_heads_are_passed_over_in_one_go() {
        // Each head announces an item that reaches to the end: looked at from each of them, this would take an hour.
        let length = 8 << 20;
        let mut forged: Vec<u8> = Vec::with_capacity(length);
        while forged.len() + 64 < length {
            let left = u32::try_from(length - forged.len() - 35 - 13)
                .unwrap()
                .to_le_bytes();
            forged.extend_from_slice(&[
                1, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ]);
            forged.extend_from_slice(&[left, left].concat());
        }
        forged.resize(length - 13, 7);
        forged.extend_from_slice(&[&[3][..], &[0; 8], &MARK].concat());
        let whole = commit_of(3, &[b"kept"]);
        let torn = commit_of(4, &[&forged, b"lost"]);
        let folder = folder(&[&whole[..], &torn[..torn.len() - 20]].concat());
        assert!(examine(folder.path(), None, None).is_ok());
        assert_eq!(journal(&folder), whole);
    }

    #[test]
    fn a_flipped_bit_before_whole_commits_is_damage_wherever_the_lengths_are_still_right() {
        let [first, second, third] = [3, 4, 5].map(|number| commit_of(number, &[b"one", b"two"]));
        let all = [&first[..], &second, &third].concat();
        for place in first.len()..first.len() + second.len() {
            let mut bytes = all.clone();
            bytes[place] ^= 1;
            let folder = folder(&bytes);
            match examine(folder.path(), None, None) {
                Err(FilesError::Damaged(what)) => assert!(what.contains("0.jnl"), "{what}"),
                // Numbers are not part of the checksum.
                Ok(_) if (5..13).contains(&(place - first.len())) => {}
                // Without a word of what was synced, a length that is wrong looks like an end.
                Ok(_) => assert_eq!(journal(&folder), first, "byte {place}"),
                Err(other) => panic!("{other:?}"),
            }
            assert_eq!(
                fs::write(folder.path().join("0.jnl"), &bytes).ok(),
                Some(())
            );
            let synced = Some(Position {
                journal: 0,
                number: 5,
            });
            let seen = examine(folder.path(), synced, None);
            let is_number = (5..13).contains(&(place - first.len()));
            assert!(
                matches!(seen, Err(FilesError::Damaged(_))) || is_number,
                "byte {place}: {seen:?}"
            );
        }
    }

    #[test]
    fn what_was_synced_must_be_there() {
        let [first, second] = [3, 5].map(|number| commit_of(number, &[b"value"]));
        let both = [first.clone(), second.clone()].concat();
        let at = |journal, number| Some(Position { journal, number });
        for (bytes, synced, is_whole) in [
            (&both[..], at(0, 5), true),
            // The number of a commit is at least what was noted of it.
            (&both, at(0, 4), true),
            (&both, at(0, 6), false),
            (&both[..both.len() - 1], at(0, 5), false),
            (&both[..both.len() - 1], at(0, 3), true),
            (&first, at(0, 5), false),
            (&[], at(0, 3), false),
            (&[], at(0, 0), true),
            // It went with its journal, or not.
            (&[], None, true),
            (&both, at(1, 5), false),
            (&both, at(1, 0), false),
        ] {
            let folder = folder(bytes);
            let seen = examine(folder.path(), synced, None);
            assert_eq!(
                seen.is_ok(),
                is_whole,
                "{} bytes, {synced:?}: {seen:?}",
                bytes.len()
            );
            assert!(
                is_whole || journal(&folder) == bytes,
                "what is damaged is left alone"
            );
        }
        let folder = folder(&first);
        fs::write(folder.path().join("1.jnl"), &second).unwrap();
        assert_eq!(
            examine(folder.path(), at(1, 5), None).unwrap(),
            Position {
                journal: 1,
                number: 5
            }
        );
        fs::write(folder.path().join("1.jnl"), [0; 100]).unwrap();
        // The last commit lies in an earlier journal, which may go before anything is written to this one.
        assert_eq!(
            examine(folder.path(), at(0, 3), None).unwrap(),
            Position {
                journal: 1,
                number: 0
            }
        );
        fs::remove_file(folder.path().join("0.jnl")).unwrap();
        assert!(
            examine(folder.path(), at(0, 3), None).is_ok(),
            "its journal is gone, its content rests in tables"
        );
        fs::write(folder.path().join("3.jnl"), [0; 100]).unwrap();
        assert!(
            examine(folder.path(), at(0, 3), None).is_err(),
            "journals are numbered without gaps"
        );
    }

    #[test]
    fn commits_that_failed_are_cut_off() {
        let all = [3, 4, 6].map(|number| commit_of(number, &[b"value"]));
        for (undo, left) in [(7, 3), (6, 2), (5, 2), (4, 1), (3, 0), (0, 0)] {
            let folder = folder(&all.concat());
            let numbers = [0, 3, 4, 6];
            let seen = examine(folder.path(), None, Some(undo)).unwrap();
            assert_eq!(
                seen,
                Position {
                    journal: 0,
                    number: numbers[left]
                },
                "from {undo}"
            );
            assert_eq!(journal(&folder), all[..left].concat(), "from {undo}");
        }
        let folder = folder(&all.concat());
        let synced = Some(Position {
            journal: 0,
            number: 6,
        });
        assert!(
            examine(folder.path(), synced, Some(6)).is_err(),
            "what was synced has not failed"
        );
    }

    proptest::proptest! {
        /// Commits with values that look like commits, the last one cut: all whole ones stay, to the byte, whatever is noted.
        #[test]
        fn a_cut_journal_keeps_its_whole_commits(
            shapes in proptest::collection::vec(
                proptest::collection::vec((0_u8..4, proptest::collection::vec(0_u8..6, 0..80)), 1..5), 1..8),
            cut in 0.0_f64..1.0,
            zeros in 0_usize..5_000,
        ) {
            let mut commits: Vec<Vec<u8>> = Vec::new();
            for (number, shape) in (1..).zip(&shapes) {
                let values: Vec<Vec<u8>> = shape.iter().map(|(kind, noise)| match kind {
                    0 => noise.clone(),
                    1 => [&noise[..], &commit_of(number + 1, &[noise])].concat(),
                    2 => commit_of(number + 1, &[noise, noise])[..noise.len().min(40)].to_vec(),
                    _ => commits.last().cloned().unwrap_or_default(),
                }).collect();
                commits.push(commit_of(number, &values.iter().map(|value| &value[..]).collect::<Vec<_>>()));
            }
            let last = commits.pop().unwrap();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a length")]
            let length = (last.len() as f64 * cut) as usize;
            let whole = commits.concat();
            let folder = folder(&[&whole[..], &last[..length], &vec![0; zeros]].concat());
            let number = commits.len() as u64;
            for noted in [None, Some(Position { journal: 0, number })] {
                let seen = examine(folder.path(), noted, None);
                proptest::prop_assert_eq!(seen.ok(), Some(Position { journal: 0, number }));
                let kept = journal(&folder);
                proptest::prop_assert_eq!(&kept[..whole.len()], &whole[..]);
                proptest::prop_assert!(kept[whole.len()..].iter().all(|byte| *byte == 0));
            }
        }

        /// Whatever the bytes are, this ends, and keeps or refuses.
        #[test]
        fn no_bytes_are_too_strange(
            bytes in proptest::collection::vec(proptest::prelude::prop_oneof![0_u8..5, proptest::prelude::any::<u8>()], 0..400),
        ) {
            let folder = folder(&bytes);
            if examine(folder.path(), None, None).is_ok() {
                proptest::prop_assert!(bytes.starts_with(&journal(&folder)));
            }
        }
    }
}
