//! The file in which `tailwater tail` stores its position: one line with the offset and the
//! stream's URL.
//!
//! The line is overwritten in place with a single small write. After a kill it is the old line or
//! the new one; likewise after a loss of power, because no block is freed. So neither a second file
//! nor an fsync for each message is needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tailwater_protocol::Token;

/// More than a line with the longest offset and a long URL.
const LENGTH_MAX: u64 = 16 * 1024;

/// A stream's position, stored in a file.
#[derive(Debug)]
pub struct SavedPosition {
    file: File,
    path: PathBuf,
    url: String,
    found: Option<Token>,
    written: Option<Token>,
    length: usize,
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// It can't be read or written.
    #[error("the state file {} can't be used: {fault}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        fault: io::Error,
    },
    /// Its content is not a position.
    #[error("the state file {} contains `{begin}`, expected an offset and a URL; remove it to start over", path.display())]
    NotAPosition {
        /// The file.
        path: PathBuf,
        /// The beginning of its content.
        begin: String,
    },
    /// It belongs to another stream.
    #[error("the state file {} belongs to {found}, expected {requested}; use one file for each stream", path.display())]
    OtherStream {
        /// The file.
        path: PathBuf,
        /// The stream it belongs to.
        found: String,
        /// The requested stream.
        requested: String,
    },
}

impl SavedPosition {
    /// Opens or creates the file for the stream at `url`.
    ///
    /// # Errors
    /// [`PositionError`]: it can't be opened, or contains anything but a position in this stream.
    pub fn open(path: &Path, url: &str) -> Result<Self, PositionError> {
        let io = |fault| PositionError::Io {
            path: path.to_owned(),
            fault,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        let mut content = Vec::new();
        Read::by_ref(&mut file)
            .take(LENGTH_MAX)
            .read_to_end(&mut content)
            .map_err(io)?;
        let length = content.len();
        let text = String::from_utf8_lossy(&content);
        // A file system may leave zeros in a new file after a loss of power.
        let line = text.trim_matches(|char: char| char == '\0' || char.is_whitespace());
        let mut found = None;
        if !line.is_empty() {
            let (offset, of) = line.split_once(' ').unwrap_or((line, url));
            let not_a_position = |_| {
                let begin = line.chars().take(40).collect();
                PositionError::NotAPosition {
                    path: path.to_owned(),
                    begin,
                }
            };
            found = Some(offset.parse().map_err(not_a_position)?);
            if of != url {
                let (path, found, requested) = (path.to_owned(), of.to_owned(), url.to_owned());
                return Err(PositionError::OtherStream {
                    path,
                    found,
                    requested,
                });
            }
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            url: url.to_owned(),
            found,
            written: None,
            length,
        })
    }

    /// The offset found in the file; `None` from the second call on.
    pub fn take_found(&mut self) -> Option<Token> {
        self.found.take()
    }

    /// Stores that everything before `next` is processed.
    ///
    /// # Errors
    /// [`PositionError::Io`].
    pub fn write(&mut self, next: &Token) -> Result<(), PositionError> {
        if self.written.as_ref() == Some(next) {
            return Ok(());
        }
        let mut line = format!("{next} {}\n", self.url);
        // The rest of a longer line is overwritten with line feeds.
        self.length = self.length.max(line.len());
        line.extend(std::iter::repeat_n('\n', self.length - line.len()));
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(line.as_bytes()));
        written.map_err(|fault| PositionError::Io {
            path: self.path.clone(),
            fault,
        })?;
        self.written = Some(next.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("tailwater-{name}-{}", std::process::id())))
        }

        fn open(&self, url: &str) -> Result<SavedPosition, PositionError> {
            SavedPosition::open(&self.0, url)
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _gone = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_last_position_is_found_even_if_shorter() {
        let file = TemporaryFile::new("position");
        let url = "http://h/a";
        assert_eq!(file.open(url).unwrap().take_found(), None);
        for offset in ["0000000000000009", "12_345678901234567890", "7"] {
            file.open(url)
                .unwrap()
                .write(&offset.parse().unwrap())
                .unwrap();
            assert_eq!(
                file.open(url).unwrap().take_found(),
                Some(offset.parse().unwrap())
            );
        }
    }

    #[test]
    fn files_of_other_streams_or_kinds_are_refused() {
        let file = TemporaryFile::new("other");
        file.open("http://h/a")
            .unwrap()
            .write(&"7".parse().unwrap())
            .unwrap();
        let fault = file.open("http://h/b").unwrap_err().to_string();
        assert!(
            fault.contains("belongs to http://h/a, expected http://h/b"),
            "{fault}"
        );
        std::fs::write(&file.0, "#!/bin/sh\necho precious\n").unwrap();
        let fault = file.open("http://h/a").unwrap_err().to_string();
        assert!(fault.contains("contains `#!/bin/sh"), "{fault}");
        assert_eq!(
            std::fs::read_to_string(&file.0).unwrap(),
            "#!/bin/sh\necho precious\n"
        );
        std::fs::write(&file.0, [0; 64]).unwrap();
        assert_eq!(file.open("http://h/a").unwrap().take_found(), None);
    }
}
