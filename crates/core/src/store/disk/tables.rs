//! Looks the engine's tables over before the engine opens them: their lists and tables of contents.
//!
//! The engine keeps checksums of these and does not look at all of them: a flipped bit in the list of a space's tables would
//! make it forget some of what was written, one in a table's contents make it ask for more memory than there is. What is in
//! the tables it checks itself when it reads.
//!
//! A space is a folder with `current` (number of the list, u64; XXH3 of the list, u128; a zero) and the list, `v` and its
//! number. List and tables end in their contents (`TOC!`, a count, per section position, length and name) and a trailer:
//! `SFA!`, 1, 0, XXH3 of the contents (u128), where they begin (u64), their length (u64). All numbers little-endian.

use super::files::FilesError;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

const TRAILER_BYTES: usize = 38;
const TRAILER_BEGIN: [u8; 6] = *b"SFA!\x01\x00";
const CONTENTS_BEGIN: [u8; 4] = *b"TOC!";

/// Looks over all spaces in `folder`.
pub(super) fn examine(folder: &Path) -> Result<(), FilesError> {
    for entry in fs::read_dir(folder)? {
        let space = entry?.path();
        let current = fs::read(space.join("current"))?;
        let Some((number, sum)) = read_current(&current) else {
            return Err(damaged(
                &space.join("current"),
                "is not what it was written as",
            ));
        };
        let path = space.join(format!("v{number}"));
        let list = match fs::read(&path) {
            Ok(list) => list,
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(&path, "is missing"));
            }
            Err(reason) => return Err(reason.into()),
        };
        if xxh3_128(&list) != sum {
            return Err(damaged(&path, "does not fit its checksum"));
        }
        let tables = tables(&list).ok_or_else(|| damaged(&path, "is no list of tables"))?;
        for table in tables {
            let path = space.join("tables").join(table.to_string());
            match has_contents(&path) {
                Ok(true) => {}
                Ok(false) => return Err(damaged(&path, "has broken contents")),
                Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                    return Err(damaged(&path, "is missing"));
                }
                Err(reason) => return Err(reason.into()),
            }
        }
    }
    Ok(())
}

fn damaged(path: &Path, what: &str) -> FilesError {
    FilesError::Damaged(format!("{} {what}", path.display()))
}

/// The number and the checksum of the list.
fn read_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let mut input = bytes;
    let number = u64::from_le_bytes(chunk(&mut input)?);
    let sum = u128::from_le_bytes(chunk(&mut input)?);
    (input == [0]).then_some((number, sum))
}

/// The numbers of the tables in a list.
fn tables(list: &[u8]) -> Option<Vec<u64>> {
    let (rest, trailer) = list.split_last_chunk::<TRAILER_BYTES>()?;
    let (_, begin) = read_trailer(trailer)?;
    let sections = sections(rest.get(begin..)?)?;
    let (at, length) = *sections.get(&b"tables"[..])?;
    let mut input = list.get(at..at.checked_add(length)?)?;
    let mut tables = Vec::new();
    let [levels] = chunk(&mut input)?;
    for _ in 0..levels {
        let [runs] = chunk(&mut input)?;
        for _ in 0..runs {
            for _ in 0..u32::from_le_bytes(chunk(&mut input)?) {
                tables.push(u64::from_le_bytes(chunk(&mut input)?));
                // The kind and value of its checksum, and a number.
                let _: [u8; 1 + 16 + 8] = chunk(&mut input)?;
            }
        }
    }
    Some(tables)
}

/// Where each section lies, by name: its position and length.
fn sections(contents: &[u8]) -> Option<HashMap<&[u8], (usize, usize)>> {
    let mut input = contents.strip_prefix(&CONTENTS_BEGIN)?;
    let mut sections = HashMap::new();
    for _ in 0..u32::from_le_bytes(chunk(&mut input)?) {
        let at = usize::try_from(u64::from_le_bytes(chunk(&mut input)?)).ok()?;
        let length = usize::try_from(u64::from_le_bytes(chunk(&mut input)?)).ok()?;
        let name_length = usize::from(u16::from_le_bytes(chunk(&mut input)?));
        let (name, rest) = input.split_at_checked(name_length)?;
        input = rest;
        sections.insert(name, (at, length));
    }
    Some(sections)
}

/// Whether a table's contents fit their checksum.
fn has_contents(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(end) = file.metadata()?.len().checked_sub(TRAILER_BYTES as u64) else {
        return Ok(false);
    };
    let mut trailer = [0; TRAILER_BYTES];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut trailer)?;
    let Some((sum, begin)) = read_trailer(&trailer).filter(|(_, begin)| *begin as u64 <= end)
    else {
        return Ok(false);
    };
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(begin as u64))?;
    file.take(end - begin as u64).read_to_end(&mut contents)?;
    Ok(xxh3_128(&contents) == sum && sections(&contents).is_some())
}

/// The checksum of the contents and where they begin.
fn read_trailer(trailer: &[u8; TRAILER_BYTES]) -> Option<(u128, usize)> {
    let mut input = trailer.strip_prefix(&TRAILER_BEGIN)?;
    let sum = u128::from_le_bytes(chunk(&mut input)?);
    let begin = usize::try_from(u64::from_le_bytes(chunk(&mut input)?)).ok()?;
    Some((sum, begin))
}

fn chunk<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*taken)
}
