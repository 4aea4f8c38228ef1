//! What the server runs on: version, uptime, memory, store and connections.

use crate::api::App;
use crate::api::gate::Gate;
use std::sync::Arc;
use tailwater_core::store::StoreUsage;
use tailwater_protocol::inspect::{ServerDetails, StoreDetails};
use tokio::sync::Semaphore;

/// Looks at the server; takes no longer than the system needs for the size of the process and the
/// free space of a disk.
pub(super) async fn server_details(app: &App, gate: &Gate) -> ServerDetails {
    let store = Arc::clone(app.streams.store());
    // Both may wait for the system.
    let look = tokio::task::spawn_blocking(move || (store.usage(), resident_bytes()));
    let (usage, resident_bytes) = look.await.unwrap_or_default();
    let readers_max = app.config.live_readers_max.min(Semaphore::MAX_PERMITS);
    ServerDetails {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: app.clock.now_us() as f64 / 1e6,
        resident_bytes,
        store: store_details(usage),
        stream_count: app.streams.count(),
        live_readers: readers_max.saturating_sub(app.live.available_permits()),
        // An application that mounts the streams has connections of its own, which it does not count.
        connections: Some(gate.connections()).filter(|count| *count > 0),
    }
}

fn store_details(usage: StoreUsage) -> StoreDetails {
    StoreDetails {
        kind: usage.kind.to_owned(),
        stored_bytes: usage.stored_bytes,
        limit_bytes: usage.limit_bytes,
        free_bytes: usage.free_bytes,
        reserved_bytes: usage.reserved_bytes,
    }
}

/// Memory of this process that is not swapped out; `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The resident memory in the text of `/proc/self/status`.
///
/// Source: proc_pid_status(5).
fn resident_in(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_is_read_in_bytes_or_not_at_all() {
        let status = "Name:\tx\nVmHWM:\t   40000 kB\nVmRSS:\t   27528 kB\n";
        assert_eq!(resident_in(status), Some(27_528 * 1024));
        for other in ["", "VmRSS:\t 1 MB", "VmRSS:\t x kB"] {
            assert_eq!(resident_in(other), None, "{other}");
        }
    }
}
