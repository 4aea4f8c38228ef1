//! The commands that talk to a server: `append`, `export` and `import` when responses or files are
//! truncated.

use crate::command_line::{CommandServer, DEADLINE, output, tailwater, wait};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A proxy to `server` that drops the response to every other POST: the server has the append, but
/// the client does not know.
fn lossy_proxy(server: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let posts = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            let posts = Arc::clone(&posts);
            std::thread::spawn(move || proxy(&client, &server, &posts));
        }
    });
    address
}

/// Handles one request after the other; the client sends a body with its head or soon after.
fn proxy(mut client: &TcpStream, mut server: &TcpStream, posts: &AtomicUsize) {
    let mut buffer = [0; 65_536];
    let (cut, told) = (&AtomicBool::new(false), &AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = server.read(&mut buffer) {
                if cut.load(Ordering::SeqCst) || client.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            told.store(true, Ordering::SeqCst);
            let _gone = client.shutdown(Shutdown::Both);
        });
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            if buffer.starts_with(b"POST") && posts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
            {
                cut.store(true, Ordering::SeqCst);
            }
            if server.write_all(&buffer[..length]).is_err() || told.load(Ordering::SeqCst) {
                break;
            }
        }
        let _gone = server.shutdown(Shutdown::Both);
    });
}

#[test]
fn append_retries_unanswered_requests_without_duplicates() {
    let server = CommandServer::start();
    let path = lossy_proxy(server.address);
    let mut append = tailwater(&[
        "append",
        "it",
        "--json",
        "--server",
        &format!("http://{path}"),
    ]);
    let mut child = append.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..5 {
        writeln!(stdin, "{number}").unwrap();
        // A pause, so that there are several appends instead of one with five lines.
        let begun = Instant::now();
        while !server
            .ask("GET /v1/stream/it", "", "")
            .text()
            .ends_with(&format!("{number}]"))
        {
            assert!(begun.elapsed() < DEADLINE, "line {number} does not arrive");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    drop(stdin);
    wait(&mut child, "append");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("sending again"),
        "{said}"
    );
    let content = server.ask("GET /v1/stream/it", "", "");
    assert_eq!(content.text(), "[0,1,2,3,4]", "each line once");
}

#[test]
fn a_file_restores_a_stream_and_a_truncated_file_does_not() {
    let server = CommandServer::start();
    let text = "Content-Type: text/plain\r\n";
    server.ask("PUT /v1/stream/a/b", text, "one");
    let closes = format!("{text}Stream-Closed: true\r\n");
    server.ask("POST /v1/stream/a/b", &closes, "two");
    let url = server.url();
    let run = |arguments: &[&str], input: Option<&[u8]>| {
        let mut command = tailwater(arguments);
        command.env("TAILWATER_SERVER", &url);
        output(&mut command, input.unwrap_or_default())
    };
    let exported = run(&["export", "a/b"], None);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let cut = run(
        &["import", "copy"],
        Some(&exported.stdout[..exported.stdout.len() - 9]),
    );
    assert_eq!(cut.code, Some(1));
    let error = cut.stderr;
    assert!(
        error.contains("is truncated") && error.lines().count() == 1,
        "{error}"
    );
    let imported = run(
        &["import", &format!("{url}/v1/stream/copy")],
        Some(&exported.stdout),
    );
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let copy = server.ask("GET /v1/stream/copy", "", "");
    assert_eq!(copy.text(), "onetwo");
    let again = run(&["import", "copy"], Some(&exported.stdout));
    assert!(again.code == Some(1) && again.stderr.contains("exists"));
    let none = run(&["export", "none"], None);
    assert!(none.code == Some(1) && none.stdout.is_empty() && !none.stderr.is_empty());
}
