//! Waiting with a deadline that says what was waited for.

use std::time::Duration;

/// What no wait in a test may exceed; nothing is expected to come near it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// `future`.
///
/// - `what`: what is waited for.
///
/// # Panics
/// When that has not come within [`DEADLINE`].
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// What `look` finds, which is asked again and again.
///
/// # Panics
/// When it has found nothing within [`DEADLINE`].
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

/// Comes back when `holds` says so.
///
/// # Panics
/// When it has not within [`DEADLINE`].
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, async || holds().then_some(())).await;
}
