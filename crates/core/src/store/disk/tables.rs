//! Checks the engine's tables before the engine opens them: the lists of tables, and each table's directory of sections.
//!
//! The engine stores checksums of these but does not verify all of them. A flipped bit in the list of a
//! space's tables would lose data silently, and one in a table's directory can cause a huge
//! allocation. The engine verifies the rest of a table when it reads it.
//!
//! A space is a folder with the file `current` (number of the list, u64; XXH3 of the list, u128; a
//! zero) and the list, named `v` and its number. Lists and tables end with a directory (`TOC!`, a
//! count, and for each section position, length and name) and a trailer: `SFA!`, 1, 0, XXH3 of the
//! directory (u128), its position (u64), its length (u64). All numbers are little-endian.

use super::files::FilesError;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

const TRAILER_BYTES: usize = 38;
const TRAILER_BEGIN: [u8; 6] = *b"SFA!\x01\x00";
const DIRECTORY_BEGIN: [u8; 4] = *b"TOC!";

/// Checks all spaces in `folder`.
pub(super) fn check(folder: &Path) -> Result<(), FilesError> {
    for entry in fs::read_dir(folder)? {
        let space = entry?.path();
        let current = fs::read(space.join("current"))?;
        let Some((number, sum)) = read_current(&current) else {
            return Err(damaged(&space.join("current"), "is invalid"));
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
            return Err(damaged(&path, "does not match its checksum"));
        }
        let tables = tables(&list).ok_or_else(|| damaged(&path, "is not a list of tables"))?;
        for table in tables {
            let path = space.join("tables").join(table.to_string());
            match has_valid_directory(&path) {
                Ok(true) => {}
                Ok(false) => return Err(damaged(&path, "has an invalid directory")),
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
                // The kind and value of its checksum, and a number, which are not used.
                let _: [u8; 1 + 16 + 8] = chunk(&mut input)?;
            }
        }
    }
    Some(tables)
}

/// The position and length of each section, by name.
fn sections(directory: &[u8]) -> Option<HashMap<&[u8], (usize, usize)>> {
    let mut input = directory.strip_prefix(&DIRECTORY_BEGIN)?;
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

/// Whether a table's directory matches its checksum.
fn has_valid_directory(path: &Path) -> io::Result<bool> {
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
    let mut directory = Vec::new();
    file.seek(SeekFrom::Start(begin as u64))?;
    file.take(end - begin as u64).read_to_end(&mut directory)?;
    Ok(xxh3_128(&directory) == sum && sections(&directory).is_some())
}

/// The checksum and the position of the directory.
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
