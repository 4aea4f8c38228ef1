//! Which other users of the machine can read a server's data.

use crate::process::ServerFolder;
use crate::process::durable_server::{DurableServer, TEXT};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn data_is_private_and_strict_mode_refuses_readable_folders() {
    let mut server = DurableServer::closed(ServerFolder::new("restart-private"));
    fs::create_dir_all(&server.folder.data).unwrap();
    fs::set_permissions(&server.folder.data, Permissions::from_mode(0o755)).unwrap();
    server.options.more.push("--strict".into());
    server.try_start().unwrap_err();
    let words = server.folder.log_tail();
    assert!(
        words.contains("chmod 700") && words.contains("755"),
        "{words}"
    );
    server.options.more.pop();
    server.start();
    let words = server.folder.log_tail();
    assert!(
        words.contains("chmod 700") && words.contains("--strict"),
        "{words}"
    );
    // Enough data that the engine writes tables, too.
    for _ in 0..12 {
        server
            .put(
                &format!("s{}", rand::random::<u32>()),
                &TEXT,
                &"x".repeat(1 << 20),
            )
            .await
            .expect(201);
    }
    server.kill();
    let mut folders = vec![server.folder.data.clone()];
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
    fs::set_permissions(&server.folder.data, Permissions::from_mode(0o700)).unwrap();
    server.options.more.push("--strict".into());
    server.start();
    server.kill();
}
