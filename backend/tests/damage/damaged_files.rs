//! Files that were damaged while the server was down: it refuses to start, or serves the result of
//! a whole number of commits.

use crate::process::ServerFolder;
use crate::process::durable_server::{DurableServer, TEXT};
use crate::{ExpectedStreams, FoundStream, large, read, seeded, setting, small};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[tokio::test]
async fn a_damaged_journal_never_yields_wrong_content() {
    let mut random = seeded();
    let mut server = DurableServer::new("damage-small");
    let mut known = ExpectedStreams::default();
    small(&server, &mut known, &mut random).await;
    server.kill();
    try_damages(
        &server.folder,
        &known,
        setting("TAILWATER_DAMAGE_TRIALS", 40),
        &mut random,
    )
    .await;
}

#[tokio::test]
async fn damaged_tables_never_yield_wrong_content() {
    let mut random = seeded();
    let mut server = DurableServer::new("damage-large");
    let mut known = ExpectedStreams::default();
    large(&server, &mut known, &mut random).await;
    server.kill();
    let is_table = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "tables");
    assert!(
        files(&server.folder.data).iter().any(is_table),
        "no tables were written: {:?}",
        files(&server.folder.data)
    );
    try_damages(
        &server.folder,
        &known,
        setting("TAILWATER_DAMAGE_TRIALS", 20),
        &mut random,
    )
    .await;
}

/// Damages copies of a store, each in one place, and checks what a server does with each.
async fn try_damages(
    place: &ServerFolder,
    known: &ExpectedStreams,
    trials: u64,
    random: &mut SmallRng,
) {
    let whole = place.data.clone();
    let all = files(&whole);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for trial in 0..=trials {
        let copy = ServerFolder {
            data: whole.with_file_name("copy"),
            log: whole.with_file_name("copy.log"),
            ..place.clone()
        };
        let _absent = fs::remove_dir_all(&copy.data);
        let _absent = fs::remove_file(&copy.log);
        copy_folder(&whole, &copy.data);
        // First without damage; then every file once; then random files, small ones as often as
        // large ones.
        let place = usize::try_from(trial).unwrap();
        let file = all
            .get(place.wrapping_sub(1))
            .unwrap_or_else(|| &all[random.random_range(0..all.len())]);
        let what = if trial == 0 {
            "nothing".to_owned()
        } else {
            damage(&copy.data.join(file), random)
        };
        let mut server = DurableServer::on_shared_folder(copy.clone());
        let outcome = start_and_check(&mut server, known)
            .await
            .unwrap_or_else(|wrong| {
                panic!("{}: {what}: {wrong}\n{}", file.display(), copy.log_tail());
            });
        assert!(
            !copy.log_tail().contains("panicked"),
            "{}: {what}\n{}",
            file.display(),
            copy.log_tail()
        );
        assert!(
            trial > 0 || outcome == "served everything",
            "without damage: {outcome}\n{}",
            copy.log_tail()
        );
        assert_ne!(
            outcome,
            "served a prefix",
            "{}: {what}: acknowledged data was lost without an error",
            file.display()
        );
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!(
        "damage: {trials} trials on {} files: {outcomes:?}",
        all.len()
    );
}

/// The result of starting a server on a store, as a text that can be counted.
async fn start_and_check(
    server: &mut DurableServer,
    known: &ExpectedStreams,
) -> Result<String, String> {
    if server.try_start().is_err() {
        let words = server.folder.log_tail();
        let last = words.lines().last().unwrap_or_default();
        let says = last.starts_with("tailwater: ")
            && last.contains(&*server.folder.data.to_string_lossy());
        return if says {
            Ok("refused to start".into())
        } else {
            Err(format!("no clear message: {last:?}"))
        };
    }
    let mut found = BTreeMap::new();
    for (stream, content) in &known.content {
        found.insert(*stream, read(server, stream, content).await?);
    }
    let changes = known.changes(&found)?;
    let is_damaged = found.values().any(|it| matches!(it, FoundStream::Damaged));
    let written = server.post("text", &TEXT, "after").await;
    if !matches!(written.status, 204 | 404 | 500 | 503) {
        return Err(format!("the response to an append was {written:?}"));
    }
    server.kill();
    Ok(match changes == known.history.len() {
        _ if is_damaged => "reported damage".into(),
        true => "served everything".into(),
        false => "served a prefix".into(),
    })
}

/// Damages a file in one place, and describes the damage.
fn damage(path: &Path, random: &mut SmallRng) -> String {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let length = file.metadata().unwrap().len();
    // Journals end in zeros that were never written; damage is more useful before them.
    let bytes = fs::read(path).unwrap();
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last as u64 + 1);
    if used == 0 {
        file.set_len(length / 2).unwrap();
        return format!("cut from {length} to {}", length / 2);
    }
    let at = random.random_range(0..used);
    match random.random_range(0..5) {
        0 => {
            file.set_len(at).unwrap();
            format!("cut from {length} ({used} used) to {at}")
        }
        1 => {
            let zeros =
                vec![0; usize::try_from(random.random_range(1..=4_096.min(used - at))).unwrap()];
            file.write_all_at(&zeros, at).unwrap();
            format!("{} bytes of zeros at {at} of {used}", zeros.len())
        }
        2 => {
            fs::remove_file(path).unwrap();
            "removed".into()
        }
        _ => {
            let bit = random.random_range(0..8);
            let byte = bytes[usize::try_from(at).unwrap()] ^ (1 << bit);
            file.write_all_at(&[byte], at).unwrap();
            format!("bit {bit} of byte {at} of {used} flipped")
        }
    }
}

/// All files below `folder` except the lock, relative to it, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.ends_with("lock") => {}
                false => found.push(path.strip_prefix(folder).unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}
