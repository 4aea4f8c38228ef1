//! The file in which `tailwater tail` keeps where it is: one line, the offset and the stream's URL.
//!
//! The line is overwritten in place with a single small write. A killed process leaves the old line or the new one; so does
//! a machine that loses power, because no block is ever given up. That is why there is neither a second file nor a wait for
//! the disk after every message.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tailwater_protocol::Token;

/// More than a line with the longest offset and a long URL.
const LENGTH_MAX: u64 = 16 * 1024;

/// Where a stream was read to, in a file.
#[derive(Debug)]
pub struct SavedPosition {
    file: File,
    path: PathBuf,
    url: String,
    found: Option<Token>,
    written: Option<Token>,
    length: usize,
}

/// The file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// The system refuses it.
    #[error("the state file {} can't be used: {fault}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        fault: io::Error,
    },
    /// It holds something else.
    #[error("the state file {} holds `{begin}`: expected an offset and a URL; remove it to begin anew", path.display())]
    NotAPosition {
        /// The file.
        path: PathBuf,
        /// How its content begins.
        begin: String,
    },
    /// It belongs to another stream.
    #[error("the state file {} belongs to {found}, not to {wanted}: use one file for each stream", path.display())]
    OtherStream {
        /// The file.
        path: PathBuf,
        /// The stream it belongs to.
        found: String,
        /// The stream that was asked for.
        wanted: String,
    },
}

impl SavedPosition {
    /// Opens or makes the file of the stream at `url`.
    ///
    /// # Errors
    /// [`PositionError`]: it can't be opened, or holds something else than a position in this stream.
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
        // Zeros are what a file system may leave of a new file when the power goes.
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
                let (path, found, wanted) = (path.to_owned(), of.to_owned(), url.to_owned());
                return Err(PositionError::OtherStream {
                    path,
                    found,
                    wanted,
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

    /// The offset that was in the file, the first time this is asked.
    pub fn take_found(&mut self) -> Option<Token> {
        self.found.take()
    }

    /// Writes down that everything before `next` is done.
    ///
    /// # Errors
    /// [`PositionError::Io`].
    pub fn write(&mut self, next: &Token) -> Result<(), PositionError> {
        if self.written.as_ref() == Some(next) {
            return Ok(());
        }
        let mut line = format!("{next} {}\n", self.url);
        // What a longer line left behind becomes blank.
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
    fn what_was_written_last_is_found_also_when_it_is_shorter() {
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
    fn another_streams_file_and_other_files_are_refused() {
        let file = TemporaryFile::new("other");
        file.open("http://h/a")
            .unwrap()
            .write(&"7".parse().unwrap())
            .unwrap();
        let fault = file.open("http://h/b").unwrap_err().to_string();
        assert!(
            fault.contains("belongs to http://h/a, not to http://h/b"),
            "{fault}"
        );
        std::fs::write(&file.0, "#!/bin/sh\necho precious\n").unwrap();
        let fault = file.open("http://h/a").unwrap_err().to_string();
        assert!(fault.contains("holds `#!/bin/sh"), "{fault}");
        assert_eq!(
            std::fs::read_to_string(&file.0).unwrap(),
            "#!/bin/sh\necho precious\n"
        );
        std::fs::write(&file.0, [0; 64]).unwrap();
        assert_eq!(file.open("http://h/a").unwrap().take_found(), None);
    }
}
