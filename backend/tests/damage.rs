//! Damaged files and a full file system, through the binary and HTTP: the server refuses to start and says why, or serves what a
//! whole number of commits left, or answers that data is damaged; it never serves wrong bytes, and loses nothing when it is full.
//!
//! `TAILWATER_DAMAGE_SEED` repeats a run, `TAILWATER_DAMAGE_TRIALS` says how many damages per store.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what is wrong by failing, in its helpers too, and what it could not try"
)]

mod process;

use process::Place;
use process::house::{House, JSON, TEXT};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What was acknowledged, in its order: which stream, and its content after it.
type History = Vec<(&'static str, usize)>;

/// What a store must hold.
#[derive(Debug, Default)]
struct Known {
    /// Each stream's content, as readers get it: of a JSON stream without the brackets.
    content: BTreeMap<&'static str, String>,
    history: History,
}

impl Known {
    async fn append(&mut self, house: &House, stream: &'static str, body: &str) {
        let kind = if stream == "json" { JSON } else { TEXT };
        if !self.content.contains_key(stream) {
            house.put(stream, &kind, "").await.expect(201);
            self.content.insert(stream, String::new());
            self.history.push((stream, 0));
        }
        house.post(stream, &kind, body).await.expect(204);
        let content = self.content.get_mut(stream).unwrap();
        content.push_str(body);
        if stream == "json" {
            content.push(',');
        }
        self.history.push((stream, content.len()));
    }

    /// How many of the acknowledged changes the lengths found amount to; streams that can't be read count as any.
    ///
    /// # Errors
    /// When they are not what a number of changes, in their order, left.
    fn changes(&self, found: &BTreeMap<&'static str, Found>) -> Result<usize, String> {
        let mut lengths: BTreeMap<&str, Option<usize>> = BTreeMap::new();
        let agrees = |lengths: &BTreeMap<&str, Option<usize>>| {
            found.iter().all(|(stream, found)| match found {
                Found::Whole(length) => lengths.get(stream).copied().flatten() == Some(*length),
                Found::Missing => !lengths.contains_key(stream),
                Found::Damaged => true,
            })
        };
        let mut best = agrees(&lengths).then_some(0);
        for (count, (stream, length)) in self.history.iter().enumerate() {
            lengths.insert(stream, Some(*length));
            best = if agrees(&lengths) {
                Some(count + 1)
            } else {
                best
            };
        }
        best.ok_or_else(|| format!("no number of commits leaves {found:?}"))
    }
}

/// What a stream shows.
#[derive(Debug)]
enum Found {
    /// So many bytes, all of them right.
    Whole(usize),
    Missing,
    /// It, or a part of it, is answered with a problem.
    Damaged,
}

/// Some small appends to two streams, so that everything rests in the journal.
async fn small(house: &House, known: &mut Known, random: &mut SmallRng) {
    for number in 0..40 {
        let filler = "x".repeat(random.random_range(0..600));
        known
            .append(
                house,
                "json",
                &format!("{{\"n\":{number},\"s\":\"{filler}\"}}"),
            )
            .await;
        known
            .append(house, "text", &format!("{number}:{filler}\n"))
            .await;
    }
}

/// Enough that most of it rests in tables.
async fn large(house: &House, known: &mut Known, random: &mut SmallRng) {
    small(house, known, random).await;
    for number in 0..56 {
        let letters: String =
            std::iter::repeat_with(|| char::from(random.random_range(b'a'..=b'z')))
                .take(1 << 10)
                .collect();
        known
            .append(house, "large", &format!("{number}:{}", letters.repeat(700)))
            .await;
        known.append(house, "text", &format!("{number};")).await;
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

#[tokio::test]
async fn a_damaged_journal_is_never_served_as_if_it_were_whole() {
    let mut random = seeded();
    let mut house = House::new("damage-small");
    let mut known = Known::default();
    small(&house, &mut known, &mut random).await;
    house.kill();
    try_damages(
        &house.place,
        &known,
        setting("TAILWATER_DAMAGE_TRIALS", 40),
        &mut random,
    )
    .await;
}

#[tokio::test]
async fn damaged_tables_are_never_served_as_if_they_were_whole() {
    let mut random = seeded();
    let mut house = House::new("damage-large");
    let mut known = Known::default();
    large(&house, &mut known, &mut random).await;
    house.kill();
    let is_table = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "tables");
    assert!(
        files(&house.place.data).iter().any(is_table),
        "nothing rests in tables: {:?}",
        files(&house.place.data)
    );
    try_damages(
        &house.place,
        &known,
        setting("TAILWATER_DAMAGE_TRIALS", 20),
        &mut random,
    )
    .await;
}

fn seeded() -> SmallRng {
    let seed = setting("TAILWATER_DAMAGE_SEED", rand::random::<u32>().into());
    println!("damage: TAILWATER_DAMAGE_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// Damages copies of a store, each in one place, and looks at what a server makes of each.
async fn try_damages(place: &Place, known: &Known, trials: u64, random: &mut SmallRng) {
    let whole = place.data.clone();
    let all = files(&whole);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for trial in 0..=trials {
        let copy = Place {
            data: whole.with_file_name("copy"),
            log: whole.with_file_name("copy.log"),
            ..place.clone()
        };
        let _absent = fs::remove_dir_all(&copy.data);
        let _absent = fs::remove_file(&copy.log);
        copy_folder(&whole, &copy.data);
        // At first nothing is damaged; then every file once, then any, the small ones as often as the large ones.
        let place = usize::try_from(trial).unwrap();
        let file = all
            .get(place.wrapping_sub(1))
            .unwrap_or_else(|| &all[random.random_range(0..all.len())]);
        let what = if trial == 0 {
            "nothing".to_owned()
        } else {
            damage(&copy.data.join(file), random)
        };
        let mut house = House::guest(copy.clone());
        let outcome = look(&mut house, known).await.unwrap_or_else(|wrong| {
            panic!("{}: {what}: {wrong}\n{}", file.display(), copy.last_words());
        });
        assert!(
            !copy.last_words().contains("panicked"),
            "{}: {what}\n{}",
            file.display(),
            copy.last_words()
        );
        assert!(
            trial > 0 || outcome == "served everything",
            "without damage: {outcome}\n{}",
            copy.last_words()
        );
        assert_ne!(
            outcome,
            "served a beginning",
            "{}: {what}: what was acknowledged went without a word",
            file.display()
        );
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!(
        "damage: {trials} damages to {} files: {outcomes:?}",
        all.len()
    );
}

/// What a server makes of a store, in words to be counted.
async fn look(house: &mut House, known: &Known) -> Result<String, String> {
    if house.try_start().is_err() {
        let words = house.place.last_words();
        let last = words.lines().last().unwrap_or_default();
        let says =
            last.starts_with("tailwater: ") && last.contains(&*house.place.data.to_string_lossy());
        return if says {
            Ok("refused to start".into())
        } else {
            Err(format!("not said clearly: {last:?}"))
        };
    }
    let mut found = BTreeMap::new();
    for (stream, content) in &known.content {
        found.insert(*stream, read(house, stream, content).await?);
    }
    let changes = known.changes(&found)?;
    let is_damaged = found.values().any(|it| matches!(it, Found::Damaged));
    let written = house.post("text", &TEXT, "after").await;
    if !matches!(written.status, 204 | 404 | 500 | 503) {
        return Err(format!("an append was answered {written:?}"));
    }
    house.kill();
    Ok(match changes == known.history.len() {
        _ if is_damaged => "answered a problem".into(),
        true => "served everything".into(),
        false => "served a beginning".into(),
    })
}

/// Reads a stream to its end or to its damage; every byte that comes must be right.
async fn read(house: &House, stream: &'static str, content: &str) -> Result<Found, String> {
    let mut got = 0;
    loop {
        let page = house.get(&format!("{stream}?offset={got:016}")).await;
        match page.status {
            200 => {}
            404 if got == 0 && page.problem() == "#no-stream" => return Ok(Found::Missing),
            500 if page.problem() == "#damaged" => return Ok(Found::Damaged),
            _ => return Err(format!("{stream} at {got}: {page:?}")),
        }
        let data = match page
            .body
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some("") => String::new(),
            Some(inner) if stream == "json" => format!("{inner},"),
            _ => page.body.clone(),
        };
        if !content[got..].starts_with(&data) {
            return Err(format!(
                "{stream} at {got}: {} bytes came that were never written there",
                data.len()
            ));
        }
        got += data.len();
        if page.next() != format!("{got:016}") {
            return Err(format!(
                "{stream}: {got} bytes came, and {} is told",
                page.next()
            ));
        }
        if page.is("stream-up-to-date") {
            return Ok(Found::Whole(got));
        }
        if data.is_empty() {
            return Err(format!(
                "{stream} at {got}: an empty page that is not the last"
            ));
        }
    }
}

/// Damages a file in one place, and says how.
fn damage(path: &Path, random: &mut SmallRng) -> String {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let length = file.metadata().unwrap().len();
    // Journals end in zeros that were never written: what lies in front of them is worth damaging.
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

/// All files below `folder` but the lock, relative to it, in order.
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

/// A small file system in memory; gone when dropped.
#[derive(Debug)]
struct Small {
    path: PathBuf,
}

impl Small {
    /// Mounts it on the data directory, or says why that is not possible here.
    fn mount(place: &Place, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(&place.data).unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&place.data)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self {
                path: place.data.clone(),
            }),
            other => {
                println!("damage: SKIPPED, no small file system can be mounted here: {other:?}");
                None
            }
        }
    }

    fn grow(&self, mebibytes: u32) {
        let size = format!("remount,size={mebibytes}m");
        assert!(
            Command::new("mount")
                .args(["-o", &size])
                .arg(&self.path)
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: the server of a test that failed may still be there.
        let _left = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test]
async fn a_full_file_system_refuses_appends_goes_on_reading_and_loses_nothing() {
    fill("damage-full", "6MiB", &["#full"]).await;
}

#[tokio::test]
async fn a_file_system_that_is_full_without_warning_loses_nothing_either() {
    fill("damage-brim", "1", &["#full", "#unwritable"]).await;
}

/// Fills a file system of 40 MiB but for `reserve`, reads, makes it larger, writes on, and starts anew.
async fn fill(name: &str, reserve: &str, problems: &[&str]) {
    let place = Place::new(name);
    let Some(disk) = Small::mount(&place, 40) else {
        return;
    };
    let mut house = House::closed(place);
    house
        .way
        .more
        .extend(["--disk-reserve".to_owned(), reserve.to_owned()]);
    house.start();
    let mut known = Known::default();
    known.append(&house, "json", "{\"first\":1}").await;
    let piece = "0123456789abcdef".repeat(8 << 10);
    known.append(&house, "text", &piece).await;
    let refused = until_refused(&house, &mut known, &piece).await;
    assert!(
        matches!(refused.status, 503 | 507) && problems.contains(&&*refused.problem()),
        "{refused:?}"
    );
    check(&house, &known).await;
    disk.grow(400);
    let resumed = until_taken(&house, &mut known).await;
    println!(
        "damage: {name}: {} appends, then {}; with room again {resumed}",
        known.history.len(),
        refused.status
    );
    assert!(
        resumed == "it goes on" || refused.status == 503,
        "what was only full goes on: {refused:?}"
    );
    check(&house, &known).await;
    house.crash();
    check(&house, &known).await;
    known.append(&house, "json", "{\"last\":1}").await;
    check(&house, &known).await;
    house.kill();
    drop(disk);
}

async fn until_refused(house: &House, known: &mut Known, piece: &str) -> process::house::Answer {
    for _ in 0..2_000 {
        let answer = house.post("text", &TEXT, piece).await;
        if answer.status != 204 {
            return answer;
        }
        let content = known.content.get_mut("text").unwrap();
        content.push_str(piece);
        known.history.push(("text", content.len()));
    }
    panic!("never full");
}

/// Appends until it is taken again, or the server says that it must be started anew.
async fn until_taken(house: &House, known: &mut Known) -> &'static str {
    let begun = Instant::now();
    while begun.elapsed() < process::DEADLINE {
        let answer = house.post("json", &JSON, "{\"again\":1}").await;
        match answer.status {
            204 => {
                let content = known.content.get_mut("json").unwrap();
                content.push_str("{\"again\":1},");
                return "it goes on";
            }
            503 if answer.body.contains("restart") => return "it asks for a restart",
            503 | 507 => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            _ => panic!("{answer:?}"),
        }
    }
    panic!("it neither takes appends again nor says what to do");
}

async fn check(house: &House, known: &Known) {
    for (stream, content) in &known.content {
        match read(house, stream, content).await {
            Ok(Found::Whole(length)) => assert_eq!(length, content.len(), "{stream} is not whole"),
            other => panic!("{stream}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn on_a_full_file_system_subscriptions_ack_and_go_but_do_not_come() {
    let place = Place::new("damage-subscriptions");
    let Some(disk) = Small::mount(&place, 60) else {
        return;
    };
    let mut house = House::closed(place);
    house
        .way
        .more
        .extend(["--disk-reserve".to_owned(), "20MiB".to_owned()]);
    house.start();
    let mut known = Known::default();
    known.append(&house, "json", "{\"first\":1}").await;
    house.put("wake", &JSON, "").await.expect(201);
    let streams: Vec<_> = (0..3_000)
        .map(|number| format!("{number}{}", "s".repeat(300)))
        .collect();
    let asked = |streams: &[String]| {
        serde_json::json!({"type": "pull-wake", "pattern": "json", "streams": streams, "wake_stream": "wake"})
            .to_string()
    };
    let ds = |id: &str| format!("__ds/subscriptions/{id}");
    for id in ["kept", "gone"] {
        house
            .put(&ds(id), &JSON, &asked(&streams[..100]))
            .await
            .expect(201);
    }
    known.append(&house, "json", "{\"second\":1}").await;
    let claim = house
        .post(&ds("kept/claim"), &JSON, "{\"worker\":\"w\"}")
        .await
        .expect(200);
    let claim: serde_json::Value = serde_json::from_str(&claim.body).unwrap();
    // Others fill the disk; what is merged meanwhile makes no difference.
    fs::write(house.place.data.join("others"), vec![1; 44 << 20]).unwrap();
    for number in 0..12 {
        let refused = house
            .put(&ds(&format!("n{number}")), &JSON, &asked(&streams))
            .await;
        assert_eq!(
            (refused.status, &*refused.problem()),
            (507, "#full"),
            "{number}: {refused:?}"
        );
    }
    assert_eq!(house.post("json", &JSON, "{}").await.status, 507);
    let authorization = format!("Bearer {}", claim["token"].as_str().unwrap());
    let head = [JSON[0], ("authorization", &authorization)];
    let acks = serde_json::json!({"wake_id": claim["wake_id"], "generation": claim["generation"],
        "acks": [{"stream": "json", "offset": house.head("json").await.next()}]});
    house
        .post(&ds("kept/ack"), &head, &acks.to_string())
        .await
        .expect(200);
    house.delete(&ds("gone")).await.expect(204);
    check(&house, &known).await;
    house.delete("wake").await.expect(204);
    house.crash();
    check(&house, &known).await;
    assert_eq!(house.get(&ds("gone")).await.status, 404);
    house.get(&ds("kept")).await.expect(200);
    house.kill();
    drop(disk);
}

#[tokio::test]
async fn files_that_can_t_be_opened_for_a_while_stop_writing_for_that_while_only() {
    let mut house = House::new("damage-files");
    let mut known = Known::default();
    known.append(&house, "json", "{\"first\":1}").await;
    let piece = "0123456789abcdef".repeat(8 << 10);
    known.append(&house, "text", &piece).await;
    let server = house.server.as_ref().unwrap().id().to_string();
    if !set_files(&server, "8:") {
        println!("damage: SKIPPED, the limit of open files can't be changed here");
        return;
    }
    let refused = until_refused(&house, &mut known, &piece).await;
    assert_eq!(
        (refused.status, &*refused.problem()),
        (503, "#unwritable"),
        "{refused:?}"
    );
    assert!(!refused.body.contains("restart"), "{refused:?}");
    // What is in memory is read as ever.
    house.get("json").await.expect(200);
    assert!(set_files(&server, "4096:"));
    assert_eq!(until_taken(&house, &mut known).await, "it goes on");
    check(&house, &known).await;
    house.crash();
    check(&house, &known).await;
    house.kill();
}

/// Sets how many files a process may have open.
fn set_files(process: &str, limit: &str) -> bool {
    let changed = Command::new("prlimit")
        .args(["--pid", process, &format!("--nofile={limit}")])
        .output();
    changed.is_ok_and(|output| output.status.success())
}
