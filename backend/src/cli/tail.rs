//! `tailwater tail`: print a stream's messages as they come, by any technique, and come back after every fault.

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
Every message of a JSON stream is printed on a line of its own, byte for byte (but for line breaks between tokens, which \
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
    /// If it keeps failing, another one is used, unless --strict. Server-sent events can't carry all text exactly: CR and
    /// CRLF arrive as LF, and bytes that are not UTF-8 as U+FFFD.
    #[arg(long, default_value = "ndjson", value_name = "TECHNIQUE")]
    live: Technique,

    /// Where to begin: -1 (the beginning), now, or an offset that the server gave
    #[arg(
        long,
        default_value = "-1",
        value_name = "OFFSET",
        allow_hyphen_values = true
    )]
    from: Token,

    /// Keep the position in FILE: begin there if it has one, else at --from.
    ///
    /// It is written after each piece of output was flushed, so that after a kill or a crash no message is missing; at worst
    /// the last piece is printed again.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Time from poll to poll, with --live poll
    #[arg(long, default_value = "1s", value_parser = duration_value, value_name = "TIME")]
    poll_interval: Duration,

    /// Ask the server to hold each long-poll this long (the server has a limit)
    #[arg(long, value_parser = duration_value, value_name = "TIME")]
    hold: Option<Duration>,

    /// Use no other technique than the one asked for
    #[arg(long)]
    strict: bool,

    /// No notes on standard error
    #[arg(long, short)]
    quiet: bool,
}

/// Why it ended before the stream did.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The stream can't be named like that.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// The file with the position is unusable.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// No TLS, or no runtime.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The output can't be written.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// The stream can't be read, and asking again would not help.
    #[error("{url} can't be read: {why}")]
    Unreadable {
        /// The stream.
        url: String,
        /// What the server said.
        why: String,
    },
}

/// Prints the stream until it is closed, or nobody reads the output any more.
///
/// # Errors
/// [`TailError`], in words for the terminal.
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
        troubled: false,
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
                fault: Some(why), ..
            } => Err(TailError::Unreadable {
                url: url.clone(),
                why,
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
            // Whoever read the output has seen enough, though nothing came that could tell by not being taken.
            () = output::reader_gone() => {}
        }
    });
    match outcome {
        // Who closed the pipe has seen enough.
        Err(TailError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes batches whole, and then where they ended.
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

/// Says on standard error what goes wrong, and when it goes well again.
struct Notes {
    quiet: bool,
    fault: Option<String>,
    troubled: bool,
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
                let fault = self.fault.take().unwrap_or_else(|| "a fault".to_owned());
                self.troubled = true;
                self.say(&format!(
                    "{fault}; asking again in {:.1} s",
                    for_ms / 1_000.0
                ));
            }
            FollowReport::Changed {
                to,
                fault: Some(fault),
                ..
            } => self.say(&format!("{fault}; now by {to}")),
            FollowReport::Batch { batch, .. } if self.troubled => {
                self.troubled = false;
                self.say(&format!("reading again, at {}", batch.next));
            }
            _ => {}
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            // With standard error closed there is nobody to tell.
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
    fn each_message_is_a_line_and_text_and_bytes_are_as_they_are() {
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

    /// Takes a number of bytes and then no more.
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
    fn the_position_is_not_written_when_the_output_was_not() {
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
