//! Tests of journals that are truncated, damaged or end in an unfinished commit.

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
fn bytes_like_a_commit_within_an_unfinished_commit_are_ignored() {
    let inside: Vec<u8> = (4..9)
        .flat_map(|number| commit_of(number, &[b"forged"]))
        .collect();
    let whole = commit_of(3, &[b"kept"]);
    let last = commit_of(4, &[b"before", &inside, b"after"]);
    for length in 1..last.len() {
        for zeros in [0, 9_000] {
            let folder = folder(&[&whole[..], &last[..length], &vec![0; zeros]].concat());
            let seen = check(folder.path(), None, None);
            assert!(seen.is_ok(), "cut at {length} of {}: {seen:?}", last.len());
            assert_eq!(journal(&folder), whole, "cut at {length}");
        }
    }
}

#[test]
fn nested_batch_heads_are_skipped_in_linear_time() {
    // Each head is followed by an item that extends to the end: parsing from each head would take
    // an hour.
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
    assert!(check(folder.path(), None, None).is_ok());
    assert_eq!(journal(&folder), whole);
}

#[test]
fn a_flipped_bit_before_complete_commits_is_damage() {
    let [first, second, third] = [3, 4, 5].map(|number| commit_of(number, &[b"one", b"two"]));
    let all = [&first[..], &second, &third].concat();
    for place in first.len()..first.len() + second.len() {
        let mut bytes = all.clone();
        bytes[place] ^= 1;
        let folder = folder(&bytes);
        match check(folder.path(), None, None) {
            Err(FilesError::Damaged(what)) => assert!(what.contains("0.jnl"), "{what}"),
            // Commit numbers are not part of the checksum.
            Ok(_) if (5..13).contains(&(place - first.len())) => {}
            // Without a synced position, a wrong length looks like an unfinished commit.
            Ok(_) => assert_eq!(journal(&folder), first, "byte {place}"),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(
            fs::write(folder.path().join("0.jnl"), &bytes).ok(),
            Some(())
        );
        let synced = Some(JournalPosition {
            journal: 0,
            number: 5,
        });
        let seen = check(folder.path(), synced, None);
        let is_number = (5..13).contains(&(place - first.len()));
        assert!(
            matches!(seen, Err(FilesError::Damaged(_))) || is_number,
            "byte {place}: {seen:?}"
        );
    }
}

#[test]
fn a_journal_shorter_than_its_synced_length_is_damage() {
    let [first, second] = [3, 5].map(|number| commit_of(number, &[b"value"]));
    let both = [first.clone(), second.clone()].concat();
    let at = |journal, number| Some(JournalPosition { journal, number });
    for (bytes, synced, is_whole) in [
        (&both[..], at(0, 5), true),
        // The last commit may have a higher number than the recorded one.
        (&both, at(0, 4), true),
        (&both, at(0, 6), false),
        (&both[..both.len() - 1], at(0, 5), false),
        (&both[..both.len() - 1], at(0, 3), true),
        (&first, at(0, 5), false),
        (&[], at(0, 3), false),
        (&[], at(0, 0), true),
        (&[], None, true),
        // The recorded journal is missing.
        (&both, at(1, 5), false),
        (&both, at(1, 0), false),
    ] {
        let folder = folder(bytes);
        let seen = check(folder.path(), synced, None);
        assert_eq!(
            seen.is_ok(),
            is_whole,
            "{} bytes, {synced:?}: {seen:?}",
            bytes.len()
        );
        assert!(
            is_whole || journal(&folder) == bytes,
            "a damaged journal is not changed"
        );
    }
    let folder = folder(&first);
    fs::write(folder.path().join("1.jnl"), &second).unwrap();
    assert_eq!(
        check(folder.path(), at(1, 5), None).unwrap(),
        JournalPosition {
            journal: 1,
            number: 5
        }
    );
    fs::write(folder.path().join("1.jnl"), [0; 100]).unwrap();
    // The last commit is in an earlier journal, which may be deleted before anything is written to
    // this one.
    assert_eq!(
        check(folder.path(), at(0, 3), None).unwrap(),
        JournalPosition {
            journal: 1,
            number: 0
        }
    );
    fs::remove_file(folder.path().join("0.jnl")).unwrap();
    assert!(
        check(folder.path(), at(0, 3), None).is_ok(),
        "the recorded journal was deleted after its content was written to tables"
    );
    fs::write(folder.path().join("3.jnl"), [0; 100]).unwrap();
    assert!(
        check(folder.path(), at(0, 3), None).is_err(),
        "journals are numbered without gaps"
    );
}

#[test]
fn failed_commits_are_truncated() {
    let all = [3, 4, 6].map(|number| commit_of(number, &[b"value"]));
    for (undo, left) in [(7, 3), (6, 2), (5, 2), (4, 1), (3, 0), (0, 0)] {
        let folder = folder(&all.concat());
        let numbers = [0, 3, 4, 6];
        let seen = check(folder.path(), None, Some(undo)).unwrap();
        assert_eq!(
            seen,
            JournalPosition {
                journal: 0,
                number: numbers[left]
            },
            "from {undo}"
        );
        assert_eq!(journal(&folder), all[..left].concat(), "from {undo}");
    }
    let folder = folder(&all.concat());
    let synced = Some(JournalPosition {
        journal: 0,
        number: 6,
    });
    assert!(
        check(folder.path(), synced, Some(6)).is_err(),
        "a synced commit cannot have failed"
    );
}

proptest::proptest! {
    /// Commits with values that look like commits, the last one truncated: all complete ones are
    /// kept unchanged, with and without a synced position.
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
        for noted in [None, Some(JournalPosition { journal: 0, number })] {
            let seen = check(folder.path(), noted, None);
            proptest::prop_assert_eq!(seen.ok(), Some(JournalPosition { journal: 0, number }));
            let kept = journal(&folder);
            proptest::prop_assert_eq!(&kept[..whole.len()], &whole[..]);
            proptest::prop_assert!(kept[whole.len()..].iter().all(|byte| *byte == 0));
        }
    }

    /// For any bytes, the check terminates, and keeps a prefix of the journal or refuses it.
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in proptest::collection::vec(proptest::prelude::prop_oneof![0_u8..5, proptest::prelude::any::<u8>()], 0..400),
    ) {
        let folder = folder(&bytes);
        if check(folder.path(), None, None).is_ok() {
            proptest::prop_assert!(bytes.starts_with(&journal(&folder)));
        }
    }
}
