//! Detects changes of sources by their modification times.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The latest modification time below `paths`; files that are removed meanwhile are ignored.
pub(crate) fn newest<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<SystemTime> {
    paths.into_iter().filter_map(newest_below).max()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    let metadata = path.symlink_metadata().ok()?;
    let own = metadata.modified().ok();
    if !metadata.is_dir() {
        return own;
    }
    // The time of a folder changes when files in it are removed or renamed.
    let entries = fs::read_dir(path).ok()?.filter_map(Result::ok);
    entries
        .filter_map(|entry| newest_below(&entry.path()))
        .chain(own)
        .max()
}
