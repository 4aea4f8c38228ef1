//! `tailwater append`: appends lines from standard input to a stream, without losing or repeating
//! any.
//!
//! While a request is in progress, further lines are buffered for the next one: a slow producer's
//! line is sent at once, a fast producer's lines are batched, and backpressure limits a producer
//! that is too fast. There is neither timer nor queue.

use super::lines::{BufferedLines, LineError, LineReader, Rule};
use super::target::{StreamTarget, StreamTargetError};
use crate::config::values::duration_value;
use bytes::Bytes;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use tailwater_client::ProducerSession;
use tailwater_client::drivers::native::{
    NativeClient, SetupError, StreamWriteError, StreamWriter, WriteReceipt,
};
use tailwater_client::reader::Backoff;
use tailwater_protocol::headers::ContentKind;

/// Time after which progress is shown, if standard error is a terminal.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

const HELP: &str = "\
A missing stream is created. Its content type determines how lines are sent: on a JSON stream each line is one JSON \
message and must be valid JSON (blank lines are skipped), unless --strings sends every line as a JSON string; on any \
other stream lines are appended as they are, including line ends.

While the server can't be reached or is out of space, unacknowledged lines are sent again, as an idempotent producer: \
the server appends each line once. If the server does not support producers, nothing is sent twice: the command stops \
and prints the number of the last acknowledged line.

Examples:
  journalctl -f | tailwater append logs/demo
  tailwater append events --json < events.ndjson";

/// Settings of `tailwater append`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = HELP)]
pub struct AppendArgs {
    #[command(flatten)]
    target: StreamTarget,

    /// Create a missing stream as JSON: the same as --content-type application/json
    #[arg(long, conflicts_with = "content_type")]
    json: bool,

    /// Content type of the stream; an existing stream must have it
    #[arg(
        long,
        value_name = "TYPE",
        help = "Content type of a missing stream [default: text/plain; charset=utf-8]"
    )]
    content_type: Option<String>,

    /// On a JSON stream, send each line as a JSON string; bytes that are not UTF-8 become U+FFFD
    #[arg(long)]
    strings: bool,

    /// Close the stream after the last line: readers learn that this is its end
    #[arg(long)]
    close: bool,

    /// How long to retry while the server can't be reached or is out of space
    #[arg(long, default_value = "1m", value_parser = duration_value, value_name = "TIME")]
    retry_for: Duration,

    /// Print only errors on standard error
    #[arg(long, short)]
    quiet: bool,
}

/// Why not every line was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendFailure {
    /// The stream's name is invalid.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// TLS or the runtime could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A system call failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The stream can't be appended to; no line was read.
    #[error("can't append to {url}: {reason}")]
    NoStream {
        /// The stream's URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// A line can't be sent.
    #[error("{fault}; {acknowledged}")]
    Line {
        /// The line, and what is wrong with it.
        fault: LineError,
        /// The progress.
        acknowledged: Acknowledged,
    },
    /// The server did not accept further lines.
    #[error("{url}: {fault}; {acknowledged}{unknown_lines}")]
    Server {
        /// The stream's URL.
        url: String,
        /// The error.
        fault: StreamWriteError,
        /// The progress.
        acknowledged: Acknowledged,
        /// The lines whose outcome is unknown, if any.
        unknown_lines: String,
    },
    /// All lines are appended, but the stream could not be closed.
    #[error("all lines are appended, but {url} could not be closed: {fault}")]
    Close {
        /// The stream's URL.
        url: String,
        /// The error.
        fault: StreamWriteError,
    },
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The last acknowledged line, counted from 1; 0 before the first.
    pub line: u64,
}

impl std::fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str("no line is appended"),
            line => write!(f, "the last line acknowledged is line {line}"),
        }
    }
}

/// Appends standard input, line by line.
///
/// # Errors
/// [`AppendFailure`], as text for the terminal; it contains the last acknowledged line.
pub fn run(args: AppendArgs) -> Result<(), AppendFailure> {
    let url = args.target.url()?;
    let writer = NativeClient::new()?.writer(&url);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A new producer for each run: an earlier run can't be continued.
        let mut producer = ProducerSession::new(
            &format!("tailwater-append-{:032x}", rand::random::<u128>()),
            0,
        );
        let content_type = match find_or_create(&writer, &args, &mut producer).await {
            Ok(content_type) => content_type,
            Err(reason) => return Err(AppendFailure::NoStream { url, reason }),
        };
        let rule = match ContentKind::of(&content_type) {
            ContentKind::Json if args.strings => Rule::Strings,
            ContentKind::Json => Rule::Json,
            ContentKind::Text => Rule::Text,
            ContentKind::Binary => Rule::Bytes,
        };
        let line_reader = LineReader::start(io::stdin(), rule)?;
        let mut session = Session::new(url, writer, producer, content_type, args);
        session.send_all(&line_reader).await?;
        session.finish().await
    })
}

/// Finds or creates the stream; returns its content type.
async fn find_or_create(
    writer: &StreamWriter,
    args: &AppendArgs,
    producer: &mut ProducerSession,
) -> Result<String, String> {
    let wanted = if args.json {
        Some("application/json")
    } else {
        args.content_type.as_deref()
    };
    let existing = match writer.describe().await {
        Ok(existing) => existing,
        Err(StreamWriteError::Refused { status: 404, .. }) => {
            let content_type = wanted.unwrap_or("text/plain; charset=utf-8");
            let created = writer
                .create(content_type)
                .await
                .map_err(|fault| fault.to_string())?;
            if created.supports_producers {
                producer.mark_supported();
            }
            return Ok(content_type.to_owned());
        }
        Err(fault @ StreamWriteError::Unreachable(_)) => {
            return Err(format!(
                "{fault}. Is the server running? `tailwater serve` starts it"
            ));
        }
        Err(fault) => return Err(fault.to_string()),
    };
    if existing.supports_producers {
        producer.mark_supported();
    }
    if existing.closed {
        return Err("the stream is closed".to_owned());
    }
    let existing_type = existing
        .content_type
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    match wanted {
        Some(wanted) if essence(wanted) != essence(&existing_type) => Err(format!(
            "the stream's content type is {existing_type}, expected {wanted}"
        )),
        _ => Ok(existing_type),
    }
}

fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn counted(lines: u64) -> String {
    format!(
        "{} {}",
        HumanCount(lines),
        if lines == 1 { "line" } else { "lines" }
    )
}

/// The state of one run.
struct Session {
    url: String,
    writer: StreamWriter,
    producer: ProducerSession,
    content_type: String,
    args: AppendArgs,
    backoff: Backoff,
    acknowledged: Acknowledged,
    bytes: u64,
    last: Option<WriteReceipt>,
    begin: Instant,
    progress: ProgressBar,
}

impl Session {
    fn new(
        url: String,
        writer: StreamWriter,
        producer: ProducerSession,
        content_type: String,
        args: AppendArgs,
    ) -> Self {
        let progress = if args.quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        progress.set_style(ProgressStyle::default_spinner());
        Self {
            url,
            writer,
            producer,
            content_type,
            args,
            backoff: Backoff::new(rand::random()),
            acknowledged: Acknowledged { line: 0 },
            bytes: 0,
            last: None,
            begin: Instant::now(),
            progress,
        }
    }

    async fn send_all(&mut self, line_reader: &LineReader) -> Result<(), AppendFailure> {
        loop {
            let BufferedLines {
                body,
                last_line,
                end,
            } = line_reader.take().await;
            if !body.is_empty() {
                let length = body.len() as u64;
                self.send(body, last_line).await?;
                self.bytes += length;
            }
            // Skipped lines, such as blank ones, count as acknowledged with the lines before them.
            self.acknowledged.line = last_line;
            self.show();
            match end {
                None => {}
                Some(Ok(())) => return Ok(()),
                Some(Err(fault)) => {
                    return Err(AppendFailure::Line {
                        fault,
                        acknowledged: self.acknowledged,
                    });
                }
            }
        }
    }

    async fn send(&mut self, body: Bytes, last_line: u64) -> Result<(), AppendFailure> {
        let give_up = Instant::now() + self.args.retry_for;
        for attempt in 1.. {
            let sent = self
                .writer
                .append_as(&mut self.producer, &self.content_type, body.clone())
                .await;
            let fault = match sent {
                Ok(appended) => {
                    self.last = Some(appended);
                    return Ok(());
                }
                Err(fault) => fault,
            };
            let pause = self.backoff.delay_after(attempt, fault.retry_after());
            let is_safe = fault.may_retry()
                || matches!(fault, StreamWriteError::Unknown(_)) && self.producer.may_retry();
            if !is_safe || Instant::now() + pause >= give_up {
                let unknown_lines = self.unknown_lines(&fault, last_line);
                let (url, acknowledged) = (self.url.clone(), self.acknowledged);
                return Err(AppendFailure::Server {
                    url,
                    fault,
                    acknowledged,
                    unknown_lines,
                });
            }
            self.log_note(&format!(
                "{fault}; sending again in {:.1} s",
                pause.as_secs_f64()
            ));
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn unknown_lines(&self, fault: &StreamWriteError, last_line: u64) -> String {
        match fault {
            StreamWriteError::Unknown(_) | StreamWriteError::Unconfirmed(_) => {
                match self.acknowledged.line + 1 {
                    first if first == last_line => {
                        format!("; it is unknown whether line {first} is appended")
                    }
                    first => {
                        format!("; it is unknown whether lines {first} to {last_line} are appended")
                    }
                }
            }
            StreamWriteError::Refused { .. } | StreamWriteError::Unreachable(_) => String::new(),
        }
    }

    async fn finish(mut self) -> Result<(), AppendFailure> {
        let url = self.url.clone();
        if self.args.close {
            let closed = self.writer.close().await;
            self.last = Some(closed.map_err(|fault| AppendFailure::Close {
                url: url.clone(),
                fault,
            })?);
        }
        self.progress.finish_and_clear();
        let next = self
            .last
            .map_or(String::new(), |last| format!(", next offset {}", last.next));
        let (lines, closed) = (
            counted(self.acknowledged.line),
            if self.args.close { ", closed" } else { "" },
        );
        if !self.args.quiet {
            let _closed = writeln!(
                io::stderr(),
                "tailwater: {lines} ({}) appended to {url}{next}{closed}",
                HumanBytes(self.bytes)
            );
        }
        Ok(())
    }

    fn show(&self) {
        let elapsed = self.begin.elapsed();
        if elapsed >= PROGRESS_AFTER {
            let (lines, bytes) = (counted(self.acknowledged.line), HumanBytes(self.bytes));
            self.progress.set_message(format!(
                "{lines} ({bytes}) appended in {} s",
                elapsed.as_secs()
            ));
            self.progress.tick();
        }
    }

    fn log_note(&self, text: &str) {
        if !self.args.quiet {
            self.progress.suspend(|| {
                let _closed = writeln!(io::stderr(), "tailwater: {text}");
            });
        }
    }
}
