//! Resource usage of a process, from `/proc`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The ids of a process and its descendants, the process first.
#[must_use]
pub fn family(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut at = 0;
    while at < all.len() {
        for thread in threads(all[at]) {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            let children = children.split_whitespace();
            all.extend(children.filter_map(|child| child.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// Processor time in user and system mode, of all threads of a process and its descendants.
///
/// # Errors
/// If the process has ended.
pub fn cpu_time(process: u32) -> io::Result<Duration> {
    let nanoseconds = |thread: PathBuf| -> Option<u64> {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    let threads = family(process).into_iter().flat_map(threads);
    let used: Vec<u64> = threads.filter_map(nanoseconds).collect();
    if used.is_empty() {
        return Err(io::Error::other(format!("process {process} has ended")));
    }
    Ok(Duration::from_nanos(used.iter().sum()))
}

/// Resident memory in bytes.
///
/// # Errors
/// If the process has ended.
pub fn resident_bytes(process: u32) -> io::Result<u64> {
    kib(process, "status", "VmRSS:")
}

/// Memory in bytes: the proportional set size of a process and its descendants.
///
/// # Errors
/// If the process has ended.
pub fn proportional_bytes(process: u32) -> io::Result<u64> {
    let family = family(process).into_iter();
    family
        .map(|process| kib(process, "smaps_rollup", "Pss:"))
        .sum()
}

/// The number of open files.
///
/// # Errors
/// If the process has ended.
pub fn open_files(process: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// The folders of a process's threads in `/proc`.
fn threads(process: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/task"));
    let entries = entries.into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// A value in KiB from a file of `/proc`, in bytes.
fn kib(process: u32, file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other(format!("no {name} in {file} of process {process}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_this_process_is_not_zero() {
        let process = std::process::id();
        assert!(resident_bytes(process).expect("it runs") > 1 << 20);
        assert!(proportional_bytes(process).expect("it runs") > 1 << 16);
        assert!(open_files(process).expect("it runs") > 2);
        assert!(cpu_time(process).is_ok());
        assert_eq!(family(process)[0], process);
    }

    #[test]
    fn the_usage_of_an_ended_process_is_an_error() {
        let ended = u32::MAX;
        assert!(resident_bytes(ended).is_err() && open_files(ended).is_err());
        assert!(cpu_time(ended).is_err());
    }
}
