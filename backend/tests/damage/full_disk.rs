//! A full file system: appends are refused, reads work, and nothing is lost.

use crate::process::ServerFolder;
use crate::process::durable_server::{DurableServer, JSON};
use crate::{ExpectedStreams, check, until_accepted, until_refused};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A small file system in memory; unmounted when dropped.
#[derive(Debug)]
struct SmallFileSystem {
    path: PathBuf,
}

impl SmallFileSystem {
    /// Mounts it on the data directory, or prints why that is not possible here.
    fn mount(place: &ServerFolder, mebibytes: u32) -> Option<Self> {
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

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        // Lazily, as the server of a failed test may still be running.
        let _left = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_appends_serves_reads_and_loses_nothing() {
    fill("damage-full", "6MiB", &["#full"]).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_without_a_reserve_loses_nothing() {
    fill("damage-brim", "1", &["#full", "#unwritable"]).await;
}

/// Fills a file system of 40 MiB except for `reserve`, reads, enlarges it, writes again, and
/// restarts.
async fn fill(name: &str, reserve: &str, problems: &[&str]) {
    let place = ServerFolder::new(name);
    let Some(disk) = SmallFileSystem::mount(&place, 40) else {
        return;
    };
    let mut server = DurableServer::closed(place);
    server
        .options
        .more
        .extend(["--disk-reserve".to_owned(), reserve.to_owned()]);
    server.start();
    let mut known = ExpectedStreams::default();
    known.append(&server, "json", "{\"first\":1}").await;
    let piece = "0123456789abcdef".repeat(8 << 10);
    known.append(&server, "text", &piece).await;
    let refused = until_refused(&server, &mut known, &piece).await;
    assert!(
        matches!(refused.status, 503 | 507) && problems.contains(&&*refused.problem().kind),
        "{refused:?}"
    );
    check(&server, &known).await;
    disk.grow(400);
    let resumed = until_accepted(&server, &mut known).await;
    println!(
        "damage: {name}: {} appends, then {}; with space again {resumed}",
        known.history.len(),
        refused.status
    );
    assert!(
        resumed == "it continues" || refused.status == 503,
        "a disk that was only full is written again: {refused:?}"
    );
    check(&server, &known).await;
    server.crash();
    check(&server, &known).await;
    known.append(&server, "json", "{\"last\":1}").await;
    check(&server, &known).await;
    server.kill();
    drop(disk);
}

#[tokio::test]
async fn on_a_full_disk_subscriptions_can_be_acked_but_not_created() {
    let place = ServerFolder::new("damage-subscriptions");
    let Some(disk) = SmallFileSystem::mount(&place, 60) else {
        return;
    };
    let mut server = DurableServer::closed(place);
    server
        .options
        .more
        .extend(["--disk-reserve".to_owned(), "20MiB".to_owned()]);
    server.start();
    let mut known = ExpectedStreams::default();
    known.append(&server, "json", "{\"first\":1}").await;
    server.put("wake", &JSON, "").await.expect(201);
    let streams: Vec<_> = (0..3_000)
        .map(|number| format!("{number}{}", "s".repeat(300)))
        .collect();
    let asked = |streams: &[String]| {
        serde_json::json!({"type": "pull-wake", "pattern": "json", "streams": streams, "wake_stream": "wake"})
            .to_string()
    };
    let ds = |id: &str| format!("__ds/subscriptions/{id}");
    for id in ["kept", "gone"] {
        server
            .put(&ds(id), &JSON, &asked(&streams[..100]))
            .await
            .expect(201);
    }
    known.append(&server, "json", "{\"second\":1}").await;
    let claim = server
        .post(&ds("kept/claim"), &JSON, "{\"worker\":\"w\"}")
        .await
        .expect(200);
    let claim: serde_json::Value = serde_json::from_slice(&claim.body).unwrap();
    // The space is taken by other files; concurrent merging makes no difference.
    fs::write(server.folder.data.join("others"), vec![1; 44 << 20]).unwrap();
    for number in 0..12 {
        let refused = server
            .put(&ds(&format!("n{number}")), &JSON, &asked(&streams))
            .await;
        assert_eq!(
            (refused.status, &*refused.problem().kind),
            (507, "#full"),
            "{number}: {refused:?}"
        );
    }
    assert_eq!(server.post("json", &JSON, "{}").await.status, 507);
    let authorization = format!("Bearer {}", claim["token"].as_str().unwrap());
    let head = [JSON[0], ("authorization", &authorization)];
    let acks = serde_json::json!({"wake_id": claim["wake_id"], "generation": claim["generation"],
        "acks": [{"stream": "json", "offset": server.head("json").await.next_offset()}]});
    server
        .post(&ds("kept/ack"), &head, &acks.to_string())
        .await
        .expect(200);
    server.delete(&ds("gone")).await.expect(204);
    check(&server, &known).await;
    server.delete("wake").await.expect(204);
    server.crash();
    check(&server, &known).await;
    assert_eq!(server.get(&ds("gone")).await.status, 404);
    server.get(&ds("kept")).await.expect(200);
    server.kill();
    drop(disk);
}
