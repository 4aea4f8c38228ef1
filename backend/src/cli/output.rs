//! Detects that standard output is no longer read.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;

/// Completes when the reader of standard output, a pipe or a socket, has gone; never for anything
/// else, such as a file.
///
/// This is detected without writing, since a stream may be silent for hours.
pub(super) async fn reader_closed() {
    let (sender, closed) = tokio::sync::oneshot::channel();
    let wait = move || {
        if wait_for_hang_up().is_ok() {
            // The receiver is gone when the command has ended before.
            let _ended = sender.send(());
        }
    };
    // This wait can't be cancelled; the thread ends with the process.
    let thread = std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(wait);
    if thread.is_err() || closed.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn wait_for_hang_up() -> Result<(), Errno> {
    let stdout = io::stdout();
    // Errors and hang-ups are always reported.
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    loop {
        match poll(&mut watched, None) {
            Ok(_)
                if watched[0]
                    .revents()
                    .intersects(PollFlags::ERR | PollFlags::HUP) =>
            {
                return Ok(());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(fault) => return Err(fault),
        }
    }
}
