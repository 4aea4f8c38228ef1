//! The data directory: used by one server, private, of our version, and complete.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Every file below `path`, with its content.
fn files(directory: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    files
}

#[test]
fn a_second_store_in_one_directory_is_refused_while_it_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _) = open(directory.path()).unwrap();
    let refusal = open(directory.path()).unwrap_err();
    assert!(
        matches!(&refusal, DiskOpenError::InUse { path } if path == directory.path()),
        "{refusal:?}"
    );
    let text = refusal.to_string();
    let place = directory.path().display().to_string();
    assert!(
        text.contains(&place) && text.contains("--data-dir") && text.lines().count() == 1,
        "{text}"
    );
    commit(&first, StreamId(1), creation("a", None)).unwrap();
    drop(first);
    assert_eq!(open(directory.path()).unwrap().1.streams.len(), 1);
}

#[test]
fn a_directory_with_other_files_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    let before = files(directory.path());
    let refusal = open(directory.path()).unwrap_err();
    assert!(
        matches!(&refusal, DiskOpenError::Foreign { found, .. } if found == "letter.txt"),
        "{refusal:?}"
    );
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_missing_directory_is_created_private_and_an_empty_one_used() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory.path().join("a/b")).unwrap());
    let mode = fs::metadata(directory.path().join("a/b"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    fs::create_dir(directory.path().join("empty")).unwrap();
    drop(open(&directory.path().join("empty")).unwrap());
}

#[test]
fn new_and_existing_files_are_made_private() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(open(&data).unwrap());
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    for file in ["lock", "TAILWATER", "synced"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
        fs::set_permissions(data.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let all = files(&data);
    assert!(all.len() > 8, "{}", all.len());
    all.iter().for_each(|(file, _)| {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    });
    fs::set_permissions(data.join("db"), fs::Permissions::from_mode(0o755)).unwrap();
    // As after a copy that did not preserve the modes.
    drop(super::super::Directory::lock(&data).unwrap());
    for (file, _) in files(&data) {
        assert_eq!(mode(Path::new(&file)), 0o600, "{file}");
    }
    assert_eq!(mode(&data.join("db")), 0o700);
}

#[test]
fn a_directory_readable_by_others_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    for (mode, is_private) in [
        (0o700, true),
        (0o500, true),
        (0o755, false),
        (0o750, false),
        (0o701, false),
    ] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let outcome = DiskStore::check_private(directory.path());
        assert_eq!(outcome.is_ok(), is_private, "{mode:o}: {outcome:?}");
        if let Err(refusal) = outcome {
            let text = refusal.to_string();
            let place = directory.path().display().to_string();
            assert!(
                text.contains(&place)
                    && text.contains("chmod 700")
                    && text.contains(&format!("{mode:o}")),
                "{text}"
            );
        }
    }
    DiskStore::check_private(&directory.path().join("none")).expect("a new directory is private");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn symbolic_links_are_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let victim = place.path().join("victim");
    for name in ["lock", "TAILWATER.new", "synced.new", "synced", "db.new"] {
        for is_there in [false, true] {
            let data = place.path().join("data");
            let _absent = fs::remove_dir_all(&data);
            let _absent = fs::remove_file(&victim);
            if name.starts_with("synced") || name.starts_with("db") {
                drop(open(&data).unwrap());
                let _absent = fs::remove_file(data.join("synced"));
                if name.starts_with("db") {
                    fs::remove_dir_all(data.join("db")).unwrap();
                }
            } else {
                fs::create_dir(&data).unwrap();
            }
            if is_there {
                fs::write(&victim, "precious").unwrap();
            }
            std::os::unix::fs::symlink(&victim, data.join(name)).unwrap();
            let opened = open(&data);
            // Whether opening succeeds or not, the link's target is unchanged.
            if let Err(refusal) = &opened {
                assert!(
                    refusal.to_string().contains(&*data.to_string_lossy()),
                    "{name}: {refusal}"
                );
            }
            drop(opened);
            assert_eq!(
                fs::read_to_string(&victim).ok(),
                is_there.then(|| "precious".to_owned()),
                "{name}"
            );
        }
    }
}

#[test]
fn a_path_that_cannot_be_a_directory_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refusal = open(file.path()).unwrap_err();
    assert!(matches!(refusal, DiskOpenError::Io { .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(
        text.contains(&file.path().display().to_string()) && text.contains("--data-dir"),
        "{text}"
    );
}

#[test]
fn another_version_is_refused_naming_both() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    fs::write(
        directory.path().join("TAILWATER"),
        "tailwater data directory, format 3\n",
    )
    .unwrap();
    let before = files(directory.path());
    let refusal = open(directory.path()).unwrap_err();
    assert!(
        matches!(refusal, DiskOpenError::Version { .. }),
        "{refusal:?}"
    );
    let text = refusal.to_string();
    assert!(
        text.contains("format 2") && text.contains("format 3"),
        "{text}"
    );
    assert_eq!(files(directory.path()), before);
}

#[test]
fn an_initialisation_interrupted_by_a_crash_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let unfinished = directory.path().join("db.new");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("0.jnl"), "half").unwrap();
    fs::write(directory.path().join("lock"), "").unwrap();
    fs::write(
        directory.path().join("TAILWATER"),
        "tailwater data directory, format 2\n",
    )
    .unwrap();
    let (store, recovery) = open(directory.path()).unwrap();
    assert!(recovery.streams.is_empty());
    commit(&store, StreamId(1), creation("a", None)).unwrap();
}

#[test]
fn a_missing_part_is_damage_and_nothing_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path()).unwrap();
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    store
        .current
        .get()
        .unwrap()
        .data
        .rotate_memtable_and_wait()
        .unwrap();
    store
        .current
        .get()
        .unwrap()
        .metadata
        .rotate_memtable_and_wait()
        .unwrap();
    drop(store);
    let db = directory.path().join("db");
    let mut parts = vec![db.join("version"), db.join("keyspaces")];
    let spaces = fs::read_dir(db.join("keyspaces")).unwrap();
    parts.extend(spaces.map(|space| space.unwrap().path().join("current")));
    assert_eq!(parts.len(), 6, "{parts:?}");
    for part in parts {
        let aside = directory.path().join("aside");
        fs::rename(&part, &aside).unwrap();
        let before = files(directory.path());
        let refusal = open(directory.path()).unwrap_err();
        assert!(
            matches!(refusal, DiskOpenError::Damaged { .. }),
            "{}: {refusal:?}",
            part.display()
        );
        assert_eq!(files(directory.path()), before, "{}", part.display());
        fs::rename(&aside, &part).unwrap();
    }
    let (store, recovery) = open(directory.path()).unwrap();
    assert_eq!(whole(&store, &recovery.streams[0]).unwrap(), "1,");
}

#[test]
fn an_open_store_reports_stored_bytes_and_free_space() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path()).unwrap();
    let before = store.usage();
    assert_eq!(
        (before.kind, before.limit_bytes, before.reserved_bytes),
        ("disk", None, Some(1))
    );
    assert!(before.free_bytes > Some(0), "{before:?}");
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    let after = store.usage().stored_bytes;
    assert!(after > before.stored_bytes, "{after:?}, {before:?}");
}
