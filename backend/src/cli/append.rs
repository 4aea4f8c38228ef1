//! `tailwater append`: lines from standard input become a stream's messages, none lost, none sent twice.
//!
//! While one request is under way the lines that come meanwhile gather for the next one: a slow producer's line leaves at
//! once, a fast producer's lines travel together, and a producer that is too fast waits. Neither timer nor queue is needed.

use super::lines::{Gathered, Intake, LineError, Rule};
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
use tailwater_client::reader::Pauses;
use tailwater_protocol::headers::ContentKind;

/// Input that takes longer than this gets a progress line, if standard error is a terminal.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

const HELP: &str = "\
The stream is created when missing. Its content type decides what a line becomes: on a JSON stream each line is one JSON \
message and must be valid JSON (blank lines are skipped), unless --strings sends every line as a JSON string; on any \
other stream lines are appended as they are, including line ends.

A line counts once the server has acknowledged it. While the server can't be reached or has no room, the same lines are \
sent again, as an idempotent producer: the server recognises what it has appended before. To a server that does not know \
producers nothing is sent twice: the command stops and prints the number of the last acknowledged line.

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

    /// Content type of the stream; a stream that is there must have it
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

    /// How long to go on trying while the server can't be reached or has no room
    #[arg(long, default_value = "1m", value_parser = duration_value, value_name = "TIME")]
    retry_for: Duration,

    /// Print only errors on standard error
    #[arg(long, short)]
    quiet: bool,
}

/// Why not every line was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendFailure {
    /// The stream can't be named like that.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// No TLS, or no runtime.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The stream can't be written to; no line was read.
    #[error("{url} can't be appended to: {why}")]
    NoStream {
        /// The stream.
        url: String,
        /// What is in the way.
        why: String,
    },
    /// A line can't be sent.
    #[error("{fault}; {acknowledged}")]
    Line {
        /// What is wrong with which line.
        fault: LineError,
        /// What is appended.
        acknowledged: Acknowledged,
    },
    /// The server took no more.
    #[error("{url}: {fault}; {acknowledged}{doubt}")]
    Server {
        /// The stream.
        url: String,
        /// What the server said.
        fault: StreamWriteError,
        /// What is appended.
        acknowledged: Acknowledged,
        /// Which lines may or may not be, if any.
        doubt: String,
    },
    /// All lines are appended, but the stream is still open.
    #[error("every line is appended, but {url} could not be closed: {fault}")]
    Close {
        /// The stream.
        url: String,
        /// What the server said.
        fault: StreamWriteError,
    },
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The last line acknowledged, counted from 1; 0 before the first.
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
/// [`AppendFailure`], in words for the terminal; it says which line was the last one acknowledged.
pub fn run(args: AppendArgs) -> Result<(), AppendFailure> {
    let url = args.target.url()?;
    let writer = NativeClient::new()?.writer(&url);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // A new producer for each run: there is nothing to take up from an earlier one.
        let mut producer = ProducerSession::new(
            &format!("tailwater-append-{:032x}", rand::random::<u128>()),
            0,
        );
        let content_type = match prepare(&writer, &args, &mut producer).await {
            Ok(content_type) => content_type,
            Err(why) => return Err(AppendFailure::NoStream { url, why }),
        };
        let rule = match ContentKind::of(&content_type) {
            ContentKind::Json if args.strings => Rule::Strings,
            ContentKind::Json => Rule::Json,
            ContentKind::Text => Rule::Text,
            ContentKind::Binary => Rule::Bytes,
        };
        let intake = Intake::start(io::stdin(), rule)?;
        let mut session = Session::new(url, writer, producer, content_type, args);
        session.pump(&intake).await?;
        session.finish().await
    })
}

/// Finds the stream or creates it; returns its content type.
async fn prepare(
    writer: &StreamWriter,
    args: &AppendArgs,
    producer: &mut ProducerSession,
) -> Result<String, String> {
    let wanted = if args.json {
        Some("application/json")
    } else {
        args.content_type.as_deref()
    };
    let there = match writer.describe().await {
        Ok(there) => there,
        Err(StreamWriteError::Refused { status: 404, .. }) => {
            let content_type = wanted.unwrap_or("text/plain; charset=utf-8");
            let created = writer
                .create(content_type)
                .await
                .map_err(|fault| fault.to_string())?;
            if created.knows_producers {
                producer.understood();
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
    if there.knows_producers {
        producer.understood();
    }
    if there.closed {
        return Err("the stream is closed".to_owned());
    }
    let has = there
        .content_type
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    match wanted {
        Some(wanted) if essence(wanted) != essence(&has) => {
            Err(format!("the stream's content type is {has}, not {wanted}"))
        }
        _ => Ok(has),
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

/// One run's way from lines to acknowledgements.
struct Session {
    url: String,
    writer: StreamWriter,
    producer: ProducerSession,
    content_type: String,
    args: AppendArgs,
    pauses: Pauses,
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
            pauses: Pauses::new(rand::random()),
            acknowledged: Acknowledged { line: 0 },
            bytes: 0,
            last: None,
            begin: Instant::now(),
            progress,
        }
    }

    async fn pump(&mut self, intake: &Intake) -> Result<(), AppendFailure> {
        loop {
            let Gathered {
                body,
                last_line,
                end,
            } = intake.take().await;
            if !body.is_empty() {
                let length = body.len() as u64;
                self.send(body, last_line).await?;
                self.bytes += length;
            }
            // Lines that become nothing, such as blank ones, are done with the lines before them.
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
            let pause = self.pauses.after(attempt, fault.retry_after());
            let is_safe = fault.may_retry()
                || matches!(fault, StreamWriteError::Unknown(_)) && self.producer.may_repeat();
            if !is_safe || Instant::now() + pause >= give_up {
                let doubt = self.doubt(&fault, last_line);
                let (url, acknowledged) = (self.url.clone(), self.acknowledged);
                return Err(AppendFailure::Server {
                    url,
                    fault,
                    acknowledged,
                    doubt,
                });
            }
            self.note(&format!(
                "{fault}; sending again in {:.1} s",
                pause.as_secs_f64()
            ));
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn doubt(&self, fault: &StreamWriteError, last_line: u64) -> String {
        match fault {
            StreamWriteError::Unknown(_) | StreamWriteError::Unconfirmed(_) => {
                match self.acknowledged.line + 1 {
                    first if first == last_line => {
                        format!("; whether line {first} is appended is not known")
                    }
                    first => {
                        format!("; whether lines {first} to {last_line} are appended is not known")
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

    fn note(&self, text: &str) {
        if !self.args.quiet {
            self.progress.suspend(|| {
                let _closed = writeln!(io::stderr(), "tailwater: {text}");
            });
        }
    }
}
