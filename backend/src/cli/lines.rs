//! Reads standard input: a thread buffers lines until the sender takes them all as one body.

use bytes::Bytes;
use serde_json::value::RawValue;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tailwater_protocol::json;
use tokio::sync::Notify;

/// Bytes that are buffered before reading pauses.
const BUFFERED_MAX: usize = 512 * 1024;
/// Maximum line of a JSON stream. In other streams longer lines are split.
const LINE_MAX: usize = 8 * 1024 * 1024;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How a line is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// To a JSON message, unchanged.
    Json,
    /// To a JSON string.
    Strings,
    /// Unchanged, with a line end added to the last line if it has none.
    Text,
    /// Unchanged.
    Bytes,
}

/// Why a line can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is not a JSON value.
    #[error("line {line} is not JSON: {fault} (--strings sends lines as JSON strings)")]
    NotJson {
        /// The line, counted from 1.
        line: u64,
        /// The parser's error.
        fault: String,
    },
    /// It is too long for one message.
    #[error("line {line} exceeds the limit of {LINE_MAX} bytes for a JSON message")]
    TooLong {
        /// The line, counted from 1.
        line: u64,
    },
    /// The input can't be read.
    #[error("the input can't be read after line {line}: {fault}")]
    Io {
        /// The last line read.
        line: u64,
        /// The system's error.
        fault: io::Error,
    },
}

/// The lines buffered since the last call, in order.
#[derive(Debug, Default)]
pub(super) struct BufferedLines {
    /// The body of one append; empty when no line had data.
    pub(super) body: Bytes,
    /// The last line in it, or skipped after it, counted from 1.
    pub(super) last_line: u64,
    /// How the input ended, if it did.
    pub(super) end: Option<Result<(), LineError>>,
}

/// The queue between the reading thread and the sender.
#[derive(Debug)]
pub(super) struct LineReader {
    shared: Arc<LineQueue>,
}

#[derive(Debug)]
struct LineQueue {
    /// Whether bodies are JSON arrays; otherwise they are the lines as they are.
    is_json: bool,
    state: Mutex<LineQueueState>,
    /// Signalled when the sender has taken everything.
    emptied: Condvar,
    /// Signalled when lines are buffered, or the input has ended.
    filled: Notify,
}

#[derive(Debug, Default)]
struct LineQueueState {
    body: Vec<u8>,
    last_line: u64,
    has_data: bool,
    end: Option<Result<(), LineError>>,
}

impl LineReader {
    /// Starts to read `input` in a thread, which ends with the input.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(input: impl Read + Send + 'static, rule: Rule) -> io::Result<Self> {
        let shared = Arc::new(LineQueue {
            is_json: matches!(rule, Rule::Json | Rule::Strings),
            state: Mutex::default(),
            emptied: Condvar::new(),
            filled: Notify::new(),
        });
        let reading = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                let end = reading.read_lines(&mut BufReader::with_capacity(64 * 1024, input), rule);
                reading.lock().end = Some(end);
                reading.notify();
            })?;
        Ok(Self { shared })
    }

    /// Takes everything buffered; waits until there is something, or the end.
    pub(super) async fn take(&self) -> BufferedLines {
        loop {
            if let Some(buffered) = self.shared.take() {
                return buffered;
            }
            self.shared.filled.notified().await;
        }
    }
}

impl LineQueue {
    fn lock(&self) -> MutexGuard<'_, LineQueueState> {
        // A panic can't leave the state inconsistent: only whole lines are added.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.lock().has_data = true;
        self.filled.notify_one();
    }

    fn take(&self) -> Option<BufferedLines> {
        let mut state = self.lock();
        if !std::mem::take(&mut state.has_data) {
            return None;
        }
        let mut body = std::mem::take(&mut state.body);
        if self.is_json && !body.is_empty() {
            body.push(b']');
        }
        self.emptied.notify_one();
        Some(BufferedLines {
            body: body.into(),
            last_line: state.last_line,
            end: state.end.take(),
        })
    }

    fn read_lines(&self, input: &mut impl BufRead, rule: Rule) -> Result<(), LineError> {
        let mut line = Vec::new();
        let mut last_line = 0;
        loop {
            line.clear();
            let read = input
                .by_ref()
                .take(LINE_MAX as u64)
                .read_until(b'\n', &mut line);
            match read {
                Err(fault) => {
                    return Err(LineError::Io {
                        line: last_line,
                        fault,
                    });
                }
                Ok(0) => return Ok(()),
                Ok(_) => {}
            }
            // JSON is always UTF-8, so a byte order mark is removed.
            if last_line == 0
                && matches!(rule, Rule::Json | Rule::Strings)
                && line.starts_with(BYTE_ORDER_MARK)
            {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            let is_whole = line.len() < LINE_MAX || line.ends_with(b"\n");
            let number = last_line + 1;
            last_line += u64::from(is_whole);
            match rule {
                Rule::Json | Rule::Strings if !is_whole => {
                    return Err(LineError::TooLong { line: number });
                }
                Rule::Json => self.push(message(&line, number)?, last_line),
                Rule::Strings => self.push(string(&line).as_bytes(), last_line),
                Rule::Text if is_whole && !line.ends_with(b"\n") => {
                    line.push(b'\n');
                    self.push(&line, last_line);
                }
                Rule::Text | Rule::Bytes => self.push(&line, last_line),
            }
        }
    }

    fn push(&self, bytes: &[u8], last_line: u64) {
        let state = self.lock();
        let is_full = |state: &mut LineQueueState| state.body.len() >= BUFFERED_MAX;
        let mut state = self
            .emptied
            .wait_while(state, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        if self.is_json && !bytes.is_empty() {
            let before = if state.body.is_empty() { b'[' } else { b',' };
            state.body.push(before);
        }
        state.body.extend_from_slice(bytes);
        state.last_line = last_line;
        drop(state);
        self.notify();
    }
}

/// The JSON message of a line, trimmed; empty for a blank line.
fn message(line: &[u8], number: u64) -> Result<&[u8], LineError> {
    let message = json::trim(line);
    if message.is_empty() {
        return Ok(message);
    }
    match serde_json::from_slice::<&RawValue>(message) {
        Ok(_) => Ok(message),
        Err(fault) => {
            let (text, column) = (fault.to_string(), fault.column());
            // The parser's line number is relative to this line.
            let text = text.split(" at line ").next().unwrap_or(&text);
            Err(LineError::NotJson {
                line: number,
                fault: format!("{text} at column {column}"),
            })
        }
    }
}

/// A line as a JSON string, without its line end.
fn string(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    serde_json::Value::from(String::from_utf8_lossy(line)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of reading `input`: the bodies joined, the last line, and how it ended.
    async fn all(input: &[u8], rule: Rule) -> (String, u64, Result<(), String>) {
        let line_reader = LineReader::start(io::Cursor::new(input.to_vec()), rule).unwrap();
        let mut bodies = Vec::new();
        loop {
            let buffered = line_reader.take().await;
            bodies.extend_from_slice(&buffered.body);
            if let Some(end) = buffered.end {
                let end = end.map_err(|fault| fault.to_string());
                return (
                    String::from_utf8_lossy(&bodies).replace("][", ","),
                    buffered.last_line,
                    end,
                );
            }
        }
    }

    #[tokio::test]
    async fn a_line_is_converted_by_the_stream_type() {
        for (rule, input, expected, lines) in [
            (Rule::Text, "a\r\n\nb", "a\r\n\nb\n", 3),
            (Rule::Bytes, "a\nb", "a\nb", 2),
            (
                Rule::Json,
                "{\"a\":1}\n\n  [2, 3]\r\n\"x\"",
                "[{\"a\":1},[2, 3],\"x\"]",
                4,
            ),
            (Rule::Json, "\n\n", "", 2),
            (
                Rule::Strings,
                "a \"b\"\r\n\nc",
                "[\"a \\\"b\\\"\",\"\",\"c\"]",
                3,
            ),
            (Rule::Text, "", "", 0),
        ] {
            assert_eq!(
                all(input.as_bytes(), rule).await,
                (expected.to_owned(), lines, Ok(())),
                "{rule:?} {input:?}"
            );
        }
    }

    #[tokio::test]
    async fn invalid_json_ends_reading_but_earlier_lines_are_sent() {
        for wrong in [&b"{"[..], b"1 2", b"\"\xff\"", b"nul"] {
            let (body, last_line, end) =
                all(&[b"1\n2\n", wrong, b"\n3\n"].concat(), Rule::Json).await;
            assert_eq!((body.as_str(), last_line), ("[1,2]", 2));
            assert!(end.unwrap_err().starts_with("line 3 is not JSON"));
        }
    }

    #[tokio::test]
    async fn long_lines_are_split_except_for_json() {
        let long = vec![b'7'; LINE_MAX + 5];
        let (body, last_line, end) = all(&long, Rule::Text).await;
        assert_eq!((body.len(), last_line, end), (long.len() + 1, 1, Ok(())));
        let (body, _, end) = all(&long, Rule::Json).await;
        assert_eq!(body, "");
        assert!(end.unwrap_err().starts_with("line 1 exceeds the limit"));
    }

    #[tokio::test]
    async fn reading_pauses_while_the_buffer_is_full() {
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let input = line.repeat(30_000);
        let line_reader = LineReader::start(io::Cursor::new(input), Rule::Text).unwrap();
        let mut lines = 0;
        loop {
            let buffered = line_reader.take().await;
            assert!(
                buffered.body.len() < BUFFERED_MAX + line.len(),
                "{}",
                buffered.body.len()
            );
            lines += buffered.body.len() / line.len();
            assert_eq!(lines as u64, buffered.last_line, "whole lines only");
            if buffered.end.is_some() {
                break;
            }
        }
        assert_eq!(lines, 30_000);
    }
}
