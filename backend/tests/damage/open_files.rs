//! A server whose process cannot open more files.

use crate::process::durable_server::DurableServer;
use crate::{ExpectedStreams, check, until_accepted, until_refused};
use std::process::Command;

#[tokio::test]
async fn writing_resumes_once_files_can_be_opened_again() {
    let mut server = DurableServer::new("damage-files");
    let mut known = ExpectedStreams::default();
    known.append(&server, "json", "{\"first\":1}").await;
    let piece = "0123456789abcdef".repeat(8 << 10);
    known.append(&server, "text", &piece).await;
    let process = server.process.as_ref().unwrap().id().to_string();
    if !set_files(&process, "8:") {
        println!("damage: SKIPPED, the limit of open files can't be changed here");
        return;
    }
    let refused = until_refused(&server, &mut known, &piece).await;
    assert_eq!(
        (refused.status, &*refused.problem().kind),
        (503, "#unwritable"),
        "{refused:?}"
    );
    assert!(!refused.text().contains("restart"), "{refused:?}");
    // What is in memory can still be read.
    server.get("json").await.expect(200);
    assert!(set_files(&process, "4096:"));
    assert_eq!(until_accepted(&server, &mut known).await, "it continues");
    check(&server, &known).await;
    server.crash();
    check(&server, &known).await;
    server.kill();
}

/// Sets the limit of open files of a process.
fn set_files(process: &str, limit: &str) -> bool {
    let changed = Command::new("prlimit")
        .args(["--pid", process, &format!("--nofile={limit}")])
        .output();
    changed.is_ok_and(|output| output.status.success())
}
