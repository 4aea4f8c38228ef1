//! Whether sources changed, by their modification times: no daemon, no kernel interface, no limit on watches.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The newest modification below `paths`; files that vanish meanwhile count as absent.
pub(crate) fn newest<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<SystemTime> {
    paths.into_iter().filter_map(newest_below).max()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    let metadata = path.symlink_metadata().ok()?;
    let own = metadata.modified().ok();
    if !metadata.is_dir() {
        return own;
    }
    // A folder's own time tells of files that were deleted or renamed.
    let entries = fs::read_dir(path).ok()?.filter_map(Result::ok);
    entries
        .filter_map(|entry| newest_below(&entry.path()))
        .chain(own)
        .max()
}
