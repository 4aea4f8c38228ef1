//! Standard input as bodies to append: a thread reads lines and gathers them until the sender takes them all at once.

use bytes::Bytes;
use serde_json::value::RawValue;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tailwater_protocol::json;
use tokio::sync::Notify;

/// Bytes that gather before the reading waits for the sender.
const GATHERED_MAX: usize = 512 * 1024;
/// The longest line of a JSON stream. In other streams longer lines travel in pieces.
const LINE_MAX: usize = 8 * 1024 * 1024;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a line becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A JSON message, as it stands there.
    Json,
    /// A JSON string.
    Strings,
    /// Itself, with a line end even if the last one has none.
    Text,
    /// Itself.
    Bytes,
}

/// A line that can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not a JSON value.
    #[error("line {line} is not JSON: {fault} (--strings sends lines as JSON strings)")]
    NotJson {
        /// Which line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// Too long for one message.
    #[error(
        "line {line} is longer than {LINE_MAX} bytes, which is the limit of a JSON message here"
    )]
    TooLong {
        /// Which line, counted from 1.
        line: u64,
    },
    /// The input can't be read.
    #[error("the input can't be read after line {line}: {fault}")]
    Io {
        /// The last line read.
        line: u64,
        /// What the system says.
        fault: io::Error,
    },
}

/// What gathered since the last time, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The body of one append; empty when no line had anything to send.
    pub(super) body: Bytes,
    /// The last line in it, or passed over after it, counted from 1.
    pub(super) last_line: u64,
    /// Whether nothing comes after this, and why.
    pub(super) end: Option<Result<(), LineError>>,
}

/// Where the reading thread and the sender meet.
#[derive(Debug)]
pub(super) struct Intake {
    shared: Arc<LineQueue>,
}

#[derive(Debug)]
struct LineQueue {
    /// Whether a body is an array of messages, rather than the lines as they are.
    is_json: bool,
    state: Mutex<QueueState>,
    /// The sender took everything: there is room again.
    room: Condvar,
    /// Something gathered, or the end came.
    news: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    body: Vec<u8>,
    last_line: u64,
    has_news: bool,
    end: Option<Result<(), LineError>>,
}

impl Intake {
    /// Begins to read `input` in a thread of its own, which ends with the input.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(input: impl Read + Send + 'static, rule: Rule) -> io::Result<Self> {
        let shared = Arc::new(LineQueue {
            is_json: matches!(rule, Rule::Json | Rule::Strings),
            state: Mutex::default(),
            room: Condvar::new(),
            news: Notify::new(),
        });
        let gathering = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                let end = gathering.gather(&mut BufReader::with_capacity(64 * 1024, input), rule);
                gathering.lock().end = Some(end);
                gathering.tell();
            })?;
        Ok(Self { shared })
    }

    /// Everything that gathered; waits until there is something, or the end.
    pub(super) async fn take(&self) -> Gathered {
        loop {
            if let Some(gathered) = self.shared.take() {
                return gathered;
            }
            self.shared.news.notified().await;
        }
    }
}

impl LineQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // A panic of the other side can't have left the state half changed: only whole lines are put in.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.lock().has_news = true;
        self.news.notify_one();
    }

    fn take(&self) -> Option<Gathered> {
        let mut state = self.lock();
        if !std::mem::take(&mut state.has_news) {
            return None;
        }
        let mut body = std::mem::take(&mut state.body);
        if self.is_json && !body.is_empty() {
            body.push(b']');
        }
        self.room.notify_one();
        Some(Gathered {
            body: body.into(),
            last_line: state.last_line,
            end: state.end.take(),
        })
    }

    fn gather(&self, input: &mut impl BufRead, rule: Rule) -> Result<(), LineError> {
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
            // A file's byte order mark says how it is encoded, which JSON needs nobody to say.
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
                Rule::Json => self.put(message(&line, number)?, last_line),
                Rule::Strings => self.put(string(&line).as_bytes(), last_line),
                Rule::Text if is_whole && !line.ends_with(b"\n") => {
                    line.push(b'\n');
                    self.put(&line, last_line);
                }
                Rule::Text | Rule::Bytes => self.put(&line, last_line),
            }
        }
    }

    fn put(&self, bytes: &[u8], last_line: u64) {
        let state = self.lock();
        let full = |state: &mut QueueState| state.body.len() >= GATHERED_MAX;
        let mut state = self
            .room
            .wait_while(state, full)
            .unwrap_or_else(PoisonError::into_inner);
        if self.is_json && !bytes.is_empty() {
            let before = if state.body.is_empty() { b'[' } else { b',' };
            state.body.push(before);
        }
        state.body.extend_from_slice(bytes);
        state.last_line = last_line;
        drop(state);
        self.tell();
    }
}

/// The message on a line, without the white space around it; empty on a blank line.
fn message(line: &[u8], number: u64) -> Result<&[u8], LineError> {
    let message = json::trim(line);
    if message.is_empty() {
        return Ok(message);
    }
    match serde_json::from_slice::<&RawValue>(message) {
        Ok(_) => Ok(message),
        Err(fault) => {
            let (text, column) = (fault.to_string(), fault.column());
            // Its own count of lines begins anew with each line of the input.
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

    /// Everything that becomes of `input`: the bodies joined, the last line, and how it ended.
    async fn all(input: &[u8], rule: Rule) -> (String, u64, Result<(), String>) {
        let intake = Intake::start(io::Cursor::new(input.to_vec()), rule).unwrap();
        let mut bodies = Vec::new();
        loop {
            let gathered = intake.take().await;
            bodies.extend_from_slice(&gathered.body);
            if let Some(end) = gathered.end {
                let end = end.map_err(|fault| fault.to_string());
                return (
                    String::from_utf8_lossy(&bodies).replace("][", ","),
                    gathered.last_line,
                    end,
                );
            }
        }
    }

    #[tokio::test]
    async fn a_line_becomes_what_the_stream_is_made_of() {
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
    async fn a_line_that_is_not_json_ends_it_and_the_lines_before_it_are_kept() {
        for wrong in [&b"{"[..], b"1 2", b"\"\xff\"", b"nul"] {
            let (body, last_line, end) =
                all(&[b"1\n2\n", wrong, b"\n3\n"].concat(), Rule::Json).await;
            assert_eq!((body.as_str(), last_line), ("[1,2]", 2));
            assert!(end.unwrap_err().starts_with("line 3 is not JSON"));
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_travels_in_pieces_but_not_as_json() {
        let long = vec![b'7'; LINE_MAX + 5];
        let (body, last_line, end) = all(&long, Rule::Text).await;
        assert_eq!((body.len(), last_line, end), (long.len() + 1, 1, Ok(())));
        let (body, _, end) = all(&long, Rule::Json).await;
        assert_eq!(body, "");
        assert!(end.unwrap_err().starts_with("line 1 is longer"));
    }

    #[tokio::test]
    async fn reading_waits_for_the_sender_when_enough_has_gathered() {
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let input = line.repeat(30_000);
        let intake = Intake::start(io::Cursor::new(input), Rule::Text).unwrap();
        let mut lines = 0;
        loop {
            let gathered = intake.take().await;
            assert!(
                gathered.body.len() < GATHERED_MAX + line.len(),
                "{}",
                gathered.body.len()
            );
            lines += gathered.body.len() / line.len();
            assert_eq!(lines as u64, gathered.last_line, "whole lines only");
            if gathered.end.is_some() {
                break;
            }
        }
        assert_eq!(lines, 30_000);
    }
}
