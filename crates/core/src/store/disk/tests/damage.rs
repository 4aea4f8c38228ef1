//! Truncated files and flipped bits: the store opens with a prefix of the commits or reports the
//! damage; it never returns wrong bytes.

use super::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::fs;
use std::path::PathBuf;

/// Flushes both keyspaces from memory into tables.
fn flush(store: &DiskStore) {
    let engine = store.current.get().unwrap();
    engine.data.rotate_memtable_and_wait().unwrap();
    engine.metadata.rotate_memtable_and_wait().unwrap();
}

/// A small store on disk, and its content after each of its commits.
struct DamageSample {
    directory: tempfile::TempDir,
    states: Vec<DiskModel>,
}

impl DamageSample {
    /// - `flushes`: so that most of it is in tables and not only in the journal.
    fn new(flushes: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = open(directory.path()).unwrap();
        let mut states = vec![DiskModel::default()];
        let mut take = |id: u64, change: Change| {
            let mut model = states.last().unwrap().clone();
            model.apply(StreamId(id), &change);
            states.push(model);
            commit(&store, StreamId(id), change).unwrap();
        };
        let marked = |position: u64, body: &str, seq: u64, close: bool| {
            let progress = WriterProgress {
                seq: Some(seq.to_string()),
                producer: Some(producer("p", 1, seq)),
            };
            Change::Append {
                at: offset(position),
                payload: Some(json(body)),
                close,
                progress,
                now: at(seq),
            }
        };
        take(1, creation("one", None));
        take(2, creation("two", Some("[11,22]")));
        take(3, creation("three", Some("7")));
        for number in 0..12 {
            take(1, marked(number * 6, "[1,2,3]", number, number == 11));
            take(2, append(6 + number * 3, "33"));
            if flushes && number % 4 == 3 {
                flush(&store);
            }
        }
        take(2, Change::Trim { before: offset(12) });
        take(3, Change::delete());
        take(2, append(42, "44"));
        if flushes {
            flush(&store);
        }
        drop(store);
        Self {
            directory,
            states: states.into_iter().map(DiskModel::kept).collect(),
        }
    }

    /// A copy with one file changed.
    fn changed(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_all(self.directory.path(), copy.path());
        let place = copy.path().join(file);
        let mut bytes = fs::read(&place).unwrap();
        change(&mut bytes);
        fs::write(&place, bytes).unwrap();
        copy
    }

    /// The files whose name contains `part`, relative to the directory.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(self.directory.path(), &mut found);
        found.retain(|path| {
            path.to_string_lossy().contains(part) && fs::metadata(path).unwrap().len() > 0
        });
        found
            .into_iter()
            .map(|path| path.strip_prefix(self.directory.path()).unwrap().to_owned())
            .collect()
    }

    /// The number of commits that a damaged copy contains, or `None` if opening or reading it fails.
    fn prefix(&self, copy: &Path, what: &str) -> Option<usize> {
        let (store, recovery) = match open(copy) {
            Ok(opened) => opened,
            Err(DiskOpenError::Damaged { .. }) => return None,
            Err(other) => panic!("{what}: {other:?}"),
        };
        match DiskModel::of(&store, recovery) {
            Ok(model) => {
                let held = self.states.iter().rposition(|state| *state == model);
                assert!(
                    held.is_some(),
                    "{what}: no prefix of what was committed: {model:#?}"
                );
                held
            }
            Err(StoreError::Damaged(_)) => None,
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&path, &target);
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            // Without the zeros after the written part, which would take most of the time.
            let bytes = fs::read(&path).unwrap();
            let written = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            fs::write(&target, &bytes[..written]).unwrap();
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Truncates the journal of a sample to the part that was written.
fn shorten(sample: &DamageSample) -> (PathBuf, usize) {
    let [journal] = &sample.files(".jnl")[..] else {
        panic!("one journal")
    };
    let path = sample.directory.path().join(journal);
    let bytes = fs::read(&path).unwrap();
    let written = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    fs::write(&path, &bytes[..written]).unwrap();
    (journal.clone(), written)
}

#[test]
fn a_truncated_journal_yields_every_commit_before_the_cut() {
    let sample = DamageSample::new(false);
    let (journal, written) = shorten(&sample);
    // As after a loss of power: there is no record of the synced position.
    fs::remove_file(sample.directory.path().join("synced")).unwrap();
    let mut held = 0;
    for length in (0..=written).step_by(61).chain([written]) {
        for zeros in [0, 100] {
            let copy = sample.changed(&journal, |bytes| {
                bytes.truncate(length);
                bytes.resize(length + zeros, 0);
            });
            let now = sample
                .prefix(copy.path(), &format!("cut at {length}"))
                .expect("a truncated end is not damage");
            assert!(
                now >= held,
                "cut at {length}: {now} commits, but {held} when cut earlier"
            );
            held = now;
        }
    }
    assert_eq!(held, sample.states.len() - 1, "the complete journal");
}

#[test]
fn a_journal_without_its_synced_part_is_refused() {
    let sample = DamageSample::new(false);
    let (journal, written) = shorten(&sample);
    for length in (0..written).step_by(97).chain([written - 1]) {
        for zeros in [0, 100] {
            let copy = sample.changed(&journal, |bytes| {
                bytes.truncate(length);
                bytes.resize(length + zeros, 0);
            });
            let held = sample.prefix(copy.path(), &format!("cut at {length}"));
            // The last commit may be one of the sweeper, which no request waits for and which is
            // repeated.
            let is_all = held == Some(sample.states.len() - 1);
            assert!(
                held.is_none() || is_all,
                "cut at {length} of {written}: {held:?}"
            );
        }
    }
    fs::remove_file(sample.directory.path().join(&journal)).unwrap();
    assert!(
        matches!(
            open(sample.directory.path()),
            Err(DiskOpenError::Damaged { .. })
        ),
        "the journal was removed"
    );
}

#[test]
fn a_flipped_bit_in_a_journal_is_refused() {
    let sample = DamageSample::new(false);
    let (journal, written) = shorten(&sample);
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let last = sample.states.len() - 1;
    for place in (0..written).step_by(23).chain(written - 200..written) {
        let bit = random.random_range(0..8);
        let what = format!("seed {seed}: bit {bit} of byte {place} of {written}");
        let copy = sample.changed(&journal, |bytes| bytes[place] ^= 1 << bit);
        // The number of a commit may change without effect, as long as the order is the same.
        let held = sample.prefix(copy.path(), &what);
        assert!(
            held.is_none() || held == Some(last),
            "{what}: {held:?} of {last} commits, without an error"
        );
    }
}

#[test]
fn an_unfinished_append_of_bytes_like_commits_is_truncated() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path()).unwrap();
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    drop(store);
    // The engine's own commits, as a client may send them.
    let place = directory.path().join("db/0.jnl");
    let bytes = fs::read(&place).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let forged = bytes[..written].repeat(40);
    let (store, _) = open(directory.path()).unwrap();
    let payload = Payload::parse(ContentKind::Binary, Bytes::from(forged)).unwrap();
    let progress = WriterProgress::default();
    let change = Change::Append {
        at: offset(2),
        payload: Some(payload),
        close: false,
        progress,
        now: at(0),
    };
    commit(&store, StreamId(1), change).unwrap();
    drop(store);
    // As after a kill in the middle of this append, before its sync was recorded.
    fs::remove_file(directory.path().join("synced")).unwrap();
    let whole_journal = fs::read(&place).unwrap();
    let end = whole_journal.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for length in [
        end - 1,
        end - 100,
        written + (end - written) / 2,
        written + 200,
    ] {
        fs::write(&place, [&whole_journal[..length], &[0; 5_000]].concat()).unwrap();
        let (store, recovery) =
            open(directory.path()).unwrap_or_else(|refusal| panic!("{length}: {refusal}"));
        assert_eq!(
            whole(&store, &recovery.streams[0]).as_deref(),
            Ok("1,"),
            "{length}"
        );
        drop(store);
        fs::remove_file(directory.path().join("synced")).unwrap();
    }
}

#[test]
fn damaged_tables_never_return_wrong_bytes() {
    let sample = DamageSample::new(true);
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let tables = sample.files("keyspaces/");
    assert!(tables.len() > 8, "{tables:?}");
    let (mut refused, mut tried) = (0, 0);
    for table in tables {
        let length = fs::metadata(sample.directory.path().join(&table))
            .unwrap()
            .len();
        let step = usize::try_from(length / 12).unwrap().max(1);
        let length = usize::try_from(length).unwrap();
        for place in (0..length).step_by(step) {
            let (place, bit) = (
                (place + random.random_range(0..step)).min(length - 1),
                random.random_range(0..8),
            );
            let what = format!(
                "seed {seed}: bit {bit} of byte {place} of {}",
                table.display()
            );
            let flipped = sample.changed(&table, |bytes| bytes[place] ^= 1 << bit);
            refused += usize::from(sample.prefix(flipped.path(), &what).is_none());
            tried += 1;
        }
        let what = format!("half of {}", table.display());
        let cut = sample.changed(&table, |bytes| bytes.truncate(length / 2));
        refused += usize::from(sample.prefix(cut.path(), &what).is_none());
        tried += 1;
    }
    println!("{refused} of {tried} were refused");
    assert!(refused * 3 > tried, "{refused} of {tried} refused");
}
