//! Waiting with a deadline and a description of what is waited for.

use std::time::Duration;

/// The longest wait in a test, much longer than any wait should take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`.
///
/// - `what`: what is waited for.
///
/// # Panics
/// If it is not ready within [`DEADLINE`].
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} without success: {what}"),
    }
}

/// Calls `look` until it returns a value.
///
/// # Panics
/// If it returns none within [`DEADLINE`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Waits until `holds` returns true.
///
/// # Panics
/// If it does not within [`DEADLINE`].
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, async || holds().then_some(())).await;
}
