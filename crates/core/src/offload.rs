//! Work that would keep a worker from its other connections is done on a thread of its own.

use std::future::pending;
use std::panic::resume_unwind;

/// Bytes of input from which on reading them takes longer than going to another thread and back, many times over.
pub const LONG_BYTES: usize = 64 << 10;

/// What `work` returns: at once for up to [`LONG_BYTES`] of input, else from a thread where it may take its time.
///
/// Has to be polled inside a tokio runtime.
///
/// # Panics
/// When `work` does.
pub async fn offload<T: Send + 'static>(
    input_bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if input_bytes <= LONG_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // It was never begun: the runtime has ended, and so has everybody who waits.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn only_long_work_leaves_the_thread() {
        let here = thread::current().id();
        assert_eq!(offload(LONG_BYTES, || thread::current().id()).await, here);
        assert_ne!(
            offload(LONG_BYTES + 1, || thread::current().id()).await,
            here
        );
    }
}
