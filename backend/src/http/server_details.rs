//! The details of the server: version, uptime, memory, store and connections.

use crate::api::App;
use crate::api::gate::Gate;
use std::sync::Arc;
use tailwater_core::store::StoreUsage;
use tailwater_protocol::inspect::{ServerDetails, StoreDetails};
use tokio::sync::Semaphore;

/// Collects the details of the server. The memory of the process and the free space of the disk are
/// read on a blocking thread.
pub(super) async fn server_details(app: &App, gate: &Gate) -> ServerDetails {
    let store = Arc::clone(app.streams.store());
    let blocking = tokio::task::spawn_blocking(move || (store.usage(), resident_bytes()));
    let (usage, resident_bytes) = blocking.await.unwrap_or_default();
    let readers_max = app.config.live_readers_max.min(Semaphore::MAX_PERMITS);
    ServerDetails {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: app.clock.now_us() as f64 / 1e6,
        resident_bytes,
        store: store_details(usage),
        stream_count: app.streams.count(),
        live_readers: readers_max.saturating_sub(app.live.available_permits()),
        // The connections of an application that mounts the streams are not counted.
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

/// Resident memory of this process in bytes; `None` on systems without `/proc`.
fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The resident memory in bytes according to the text of `/proc/self/status`.
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
