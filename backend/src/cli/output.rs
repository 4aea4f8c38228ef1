//! Whether anybody still reads standard output.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io;

/// Done when the one who read standard output, through a pipe or a socket, has gone; never when it is something that nobody can
/// leave, such as a file.
///
/// It is seen without writing: a stream may be silent for hours.
pub(super) async fn reader_gone() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let watch = move || {
        if wait_until_gone().is_ok() {
            // Nobody is told when the command has ended before.
            let _ended = tell.send(());
        }
    };
    // Waiting for this can't be called off; the thread ends with the process.
    let watching = std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(watch);
    if watching.is_err() || told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn wait_until_gone() -> Result<(), Errno> {
    let stdout = io::stdout();
    // Errors and hang-ups are told without being asked for.
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
