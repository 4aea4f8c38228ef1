//! Linux epoll, level-triggered, used by the load and by LIMIT.
//!
//! A library would have to be level-triggered, too: LIMIT makes the fewest system calls possible, and with an edge-triggered
//! one, such as `mio`, it would need a second `read` per request, until `EAGAIN`. `polling` is
//! level-triggered, but its registration is `unsafe`, which this workspace forbids.

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Most events that one wait returns; the next wait returns the others.
const AT_ONCE: usize = 512;

/// Waits for a set of sockets.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("epoll", &self.epoll)
            .finish_non_exhaustive()
    }
}

/// A socket that is ready, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// The number that it was added with.
    pub(crate) id: usize,
    /// Bytes can be written. A hang-up or an error is reported as readable.
    pub(crate) writable: bool,
    /// Bytes, or the end, can be read.
    pub(crate) readable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(AT_ONCE),
        })
    }

    /// Adds a socket, to wait until it is readable.
    pub(crate) fn add(&self, source: &impl AsFd, id: usize) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            source,
            epoll::EventData::new_u64(id as u64),
            epoll::EventFlags::IN,
        )?)
    }

    /// Waits until a socket is readable or, if `writable`, also until it can be written to.
    pub(crate) fn watch(&self, socket: &TcpStream, id: usize, writable: bool) -> io::Result<()> {
        let room = if writable {
            epoll::EventFlags::OUT
        } else {
            epoll::EventFlags::empty()
        };
        let flags = epoll::EventFlags::IN | room;
        Ok(epoll::modify(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(id as u64),
            flags,
        )?)
    }

    /// Fills `ready` with the sockets that become ready within `timeout`; there may be none.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(reason) => return Err(reason.into()),
        }
        ready.clear();
        for event in &self.events {
            let (id, flags) = (event.data, event.flags);
            ready.push(Ready {
                id: usize::try_from(id.u64()).unwrap_or(usize::MAX),
                writable: flags.contains(epoll::EventFlags::OUT),
                readable: flags.intersects(
                    epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR,
                ),
            });
        }
        Ok(())
    }
}

/// Bytes read or written; `None` if the call would block.
pub(crate) fn unless_blocked(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(reason)
            if matches!(
                reason.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(None)
        }
        Err(reason) => Err(reason),
    }
}
