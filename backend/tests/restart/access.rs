//! Who else on this machine may read what a server keeps.

use crate::process::Place;
use crate::process::house::{House, TEXT};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn others_can_t_read_what_a_server_keeps_and_a_strict_one_does_not_start_where_they_could() {
    let mut house = House::closed(Place::new("restart-private"));
    fs::create_dir_all(&house.place.data).unwrap();
    fs::set_permissions(&house.place.data, Permissions::from_mode(0o755)).unwrap();
    house.way.more.push("--strict".into());
    house.try_start().unwrap_err();
    let words = house.place.last_words();
    assert!(
        words.contains("chmod 700") && words.contains("755"),
        "{words}"
    );
    house.way.more.pop();
    house.start();
    let words = house.place.last_words();
    assert!(
        words.contains("chmod 700") && words.contains("--strict"),
        "{words}"
    );
    // Enough that the engine writes tables, too.
    for _ in 0..12 {
        house
            .put(
                &format!("s{}", rand::random::<u32>()),
                &TEXT,
                &"x".repeat(1 << 20),
            )
            .await
            .expect(201);
    }
    house.kill();
    let mut folders = vec![house.place.data.clone()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            count += 1;
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(count > 10, "{count} files");
    fs::set_permissions(&house.place.data, Permissions::from_mode(0o700)).unwrap();
    house.way.more.push("--strict".into());
    house.start();
    house.kill();
}
