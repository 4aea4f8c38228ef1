//! Operations on files and folders of the data directory: private permissions, no symbolic links, syncing.

use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The flag with which opening a symbolic link fails.
pub(super) const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// The mode bits that must not be set, because the files contain messages and the keys that webhooks
/// are signed with.
pub(super) const OTHERS: u32 = 0o077;

/// Why the engine's files cannot be read.
#[derive(Debug)]
pub(super) enum FilesError {
    /// An operation of the file system failed.
    Io(io::Error),
    /// The files are damaged; a description.
    Damaged(String),
}

impl From<io::Error> for FilesError {
    fn from(reason: io::Error) -> Self {
        Self::Io(reason)
    }
}

/// Creates a file that only its owner can access; removes an existing file first.
pub(super) fn replace_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(reason) if reason.kind() != io::ErrorKind::NotFound => return Err(reason),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Opens a file for reading and writing; fails on a symbolic link.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(NO_FOLLOW)
        .open(path)
}

/// Creates and syncs a directory and its missing parents, which only their owner can access.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path
        .ancestors()
        .take_while(|place| fs::symlink_metadata(place).is_err())
        .collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing.into_iter().filter_map(Path::parent) {
        sync_folder(if made.as_os_str().is_empty() {
            Path::new(".")
        } else {
            made
        })?;
    }
    Ok(())
}

/// Removes the permissions of others from all files and folders in a folder.
pub(super) fn restrict(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = fs::symlink_metadata(&path)?;
        if found.is_symlink() {
            continue;
        }
        if found.mode() & OTHERS != 0 {
            fs::set_permissions(
                &path,
                fs::Permissions::from_mode(found.mode() & 0o7777 & !OTHERS),
            )?;
        }
        if found.is_dir() {
            restrict(&path)?;
        }
    }
    Ok(())
}

/// Syncs the entries of a folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
