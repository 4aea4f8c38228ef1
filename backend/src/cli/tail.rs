//! `tailwater tail`: prints a stream's messages as they arrive, by any technique, and reconnects
//! after errors.

use super::output;
use super::position::{PositionError, SavedPosition};
use super::target::{StreamTarget, StreamTargetError};
use crate::config::values::duration_value;
use clap::Args;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;
use tailwater_client::drivers::native::{FollowOptions, NativeClient, SetupError};
use tailwater_client::{FollowReport, ReceivedBatch};
use tailwater_protocol::{Data, Technique, Token};

const HELP: &str = "\
Every message of a JSON stream is printed on a line of its own, byte for byte (except line breaks between tokens, which \
become spaces); text and bytes are printed as they are. Ends with success when the stream is closed. After an \
error that may be temporary it reconnects and continues at the same offset, with a note on standard error.

Examples:
  tailwater tail logs/demo
  tailwater tail logs/demo --live websocket --from now
  tailwater tail logs/demo --state demo.position >> demo.log";

/// Settings of `tailwater tail`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = HELP)]
pub struct TailArgs {
    #[command(flatten)]
    target: StreamTarget,

    /// How to follow: poll, long-poll, ndjson, sse or websocket.
    ///
    /// If it keeps failing, another one is used, unless --strict. Server-sent events can't carry
    /// all text exactly: CR and CRLF arrive as LF, and bytes that are not UTF-8 as U+FFFD.
    #[arg(long, default_value = "ndjson", value_name = "TECHNIQUE")]
    live: Technique,

    /// Where to begin: -1 (the beginning), now, or an offset returned by the server
    #[arg(
        long,
        default_value = "-1",
        value_name = "OFFSET",
        allow_hyphen_values = true
    )]
    from: Token,

    /// Store the position in FILE: begin there if it has one, otherwise at --from.
    ///
    /// It is written after each piece of output was flushed, so that after a kill or a crash no
    /// message is missing; at worst the last piece is printed again.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Interval between polls, with --live poll
    #[arg(long, default_value = "1s", value_parser = duration_value, value_name = "TIME")]
    poll_interval: Duration,

    /// Ask the server to hold each long-poll this long (the server has a limit)
    #[arg(long, value_parser = duration_value, value_name = "TIME")]
    hold: Option<Duration>,

    /// Use only the requested technique
    #[arg(long)]
    strict: bool,

    /// No notes on standard error
    #[arg(long, short)]
    quiet: bool,
}

/// Why it ended before the stream did.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The stream's name is invalid.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// The file with the position can't be used.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// TLS or the runtime could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A system call failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The output can't be written.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// The stream can't be read, and a retry would not help.
    #[error("can't read {url}: {reason}")]
    Unreadable {
        /// The stream's URL.
        url: String,
        /// The reason.
        reason: String,
    },
}

/// Prints the stream until it is closed, or the output is no longer read.
///
/// # Errors
/// [`TailError`], as text for the terminal.
pub fn run(args: TailArgs) -> Result<(), TailError> {
    let url = args.target.url()?;
    let mut position = args
        .state
        .as_deref()
        .map(|path| SavedPosition::open(path, &url))
        .transpose()?;
    let from = position
        .as_mut()
        .and_then(|position| position.take_found())
        .unwrap_or(args.from);
    let options = FollowOptions {
        technique: args.live,
        from,
        poll_interval: args.poll_interval,
        hold: args.hold,
        fallback: !args.strict,
        seed: rand::random(),
        ..FollowOptions::default()
    };
    let client = NativeClient::new()?;
    let mut printer = Printer::new(io::stdout().lock(), position);
    let mut notes = Notes {
        quiet: args.quiet,
        fault: None,
        is_failing: false,
    };
    let mut outcome = Ok(());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let follow = client.run(&url, options, |report| {
        notes.take(&report);
        outcome = match report {
            FollowReport::Batch { batch, .. } => printer.print(&batch),
            FollowReport::Finished {
                fault: Some(reason),
                ..
            } => Err(TailError::Unreadable {
                url: url.clone(),
                reason,
            }),
            _ => Ok(()),
        };
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    runtime.block_on(async {
        tokio::select! {
            () = follow => {}
            // The output's reader has closed it, which no failed write could show without new data.
            () = output::reader_closed() => {}
        }
    });
    match outcome {
        // A closed pipe is a normal end.
        Err(TailError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes batches, and then their end position.
struct Printer<W> {
    out: W,
    position: Option<SavedPosition>,
    buffer: Vec<u8>,
}

impl<W: Write> Printer<W> {
    fn new(out: W, position: Option<SavedPosition>) -> Self {
        Self {
            out,
            position,
            buffer: Vec::new(),
        }
    }

    fn print(&mut self, batch: &ReceivedBatch) -> Result<(), TailError> {
        self.buffer.clear();
        match &batch.data {
            Data::Json(messages) => {
                for message in messages {
                    let line = message.bytes().map(|byte| {
                        if matches!(byte, b'\r' | b'\n') {
                            b' '
                        } else {
                            byte
                        }
                    });
                    self.buffer.extend(line);
                    self.buffer.push(b'\n');
                }
            }
            Data::Text(text) => self.buffer.extend_from_slice(text.as_bytes()),
            Data::Binary(bytes) => self.buffer.extend_from_slice(bytes),
        }
        if !self.buffer.is_empty() {
            self.out
                .write_all(&self.buffer)
                .and_then(|()| self.out.flush())
                .map_err(TailError::Output)?;
        }
        if let Some(position) = &mut self.position {
            position.write(&batch.next)?;
        }
        Ok(())
    }
}

/// Reports errors and recoveries on standard error.
struct Notes {
    quiet: bool,
    fault: Option<String>,
    is_failing: bool,
}

impl Notes {
    fn take(&mut self, report: &FollowReport) {
        match report {
            FollowReport::Ended {
                fault: Some(fault), ..
            } => self.fault = Some(fault.clone()),
            FollowReport::Waiting {
                after_fault: true,
                for_ms,
                ..
            } => {
                let fault = self
                    .fault
                    .take()
                    .unwrap_or_else(|| "unknown error".to_owned());
                self.is_failing = true;
                self.print_note(&format!("{fault}; retrying in {:.1} s", for_ms / 1_000.0));
            }
            FollowReport::Changed {
                to,
                fault: Some(fault),
                ..
            } => self.print_note(&format!("{fault}; switching to {to}")),
            FollowReport::Batch { batch, .. } if self.is_failing => {
                self.is_failing = false;
                self.print_note(&format!("reading again at {}", batch.next));
            }
            _ => {}
        }
    }

    fn print_note(&self, text: &str) {
        if !self.quiet {
            // Standard error may be closed.
            let _closed = writeln!(io::stderr(), "tailwater: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(data: Data) -> ReceivedBatch {
        ReceivedBatch {
            data,
            next: "7".parse().unwrap(),
            up_to_date: true,
            closed: false,
        }
    }

    #[test]
    fn json_messages_become_lines_other_data_is_unchanged() {
        for (data, expected) in [
            (
                Data::Json(vec!["{\"a\":\r\n1}".to_owned(), "2".to_owned()]),
                "{\"a\":  1}\n2\n",
            ),
            (Data::Text("a\r\nb".to_owned()), "a\r\nb"),
            (Data::Binary(b"c".to_vec()), "c"),
            (Data::Json(Vec::new()), ""),
        ] {
            let mut printer = Printer::new(Vec::new(), None);
            printer.print(&batch(data)).unwrap();
            assert_eq!(String::from_utf8(printer.out).unwrap(), expected);
        }
    }

    /// Accepts this many bytes and then fails.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(taken)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_position_is_stored_only_after_the_output() {
        let path = std::env::temp_dir().join(format!("tailwater-tail-{}", std::process::id()));
        let position = SavedPosition::open(&path, "http://h/a").unwrap();
        let mut printer = Printer::new(Full(3), Some(position));
        assert!(
            printer
                .print(&batch(Data::Text("abcdef".to_owned())))
                .is_err()
        );
        assert_eq!(
            SavedPosition::open(&path, "http://h/a")
                .unwrap()
                .take_found(),
            None
        );
        std::fs::remove_file(&path).unwrap();
    }
}
