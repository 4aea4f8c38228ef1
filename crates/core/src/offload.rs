//! Runs long computations on a blocking thread, so that they do not delay other connections.

use std::future::pending;
use std::panic::resume_unwind;

/// The number of input bytes up to which parsing is fast enough to run on the async worker thread.
pub const LONG_BYTES: usize = 64 << 10;

/// Runs `work` and returns its result: on the current thread for up to [`LONG_BYTES`] of input,
/// otherwise on a blocking thread.
///
/// Must be polled within a tokio runtime.
///
/// # Panics
/// Panics if `work` panics.
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
            // The task was cancelled before it started, which happens only when the runtime shuts down.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn only_long_work_runs_on_another_thread() {
        let here = thread::current().id();
        assert_eq!(offload(LONG_BYTES, || thread::current().id()).await, here);
        assert_ne!(
            offload(LONG_BYTES + 1, || thread::current().id()).await,
            here
        );
    }
}
