//! `tailwater export` and `tailwater import`: a stream as a file, complete or not at all.

use super::target::{StreamTarget, StreamTargetError};
use bytes::Bytes;
use clap::Args;
use std::io::{self, Write};
use tailwater_client::drivers::native::{
    NativeClient, SetupError, StreamWriteError, TransferError,
};
use tailwater_protocol::export::{ExportDecoder, ExportError, ExportLine};
use tokio::io::AsyncReadExt;

/// Maximum bytes of one read from standard input.
const PIECE_BYTES: usize = 64 << 10;

const EXPORT_HELP: &str = "\
The file consists of lines of JSON: a head with the stream's configuration, its messages, and an end. Without the end it is \
incomplete, and `tailwater import` refuses it. Positions of producers and Stream-Seq are not part of it.

Example:
  tailwater export logs/demo > demo.ndjson";

const IMPORT_HELP: &str = "\
The stream must not exist; it appears once everything has arrived. Its offsets are those of the stream that was exported, \
unless that one had removed its oldest messages: then the new one begins at 0.

Example:
  tailwater import logs/copy < demo.ndjson";

/// Settings of `tailwater export`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXPORT_HELP)]
pub struct ExportArgs {
    #[command(flatten)]
    target: StreamTarget,
}

/// Settings of `tailwater import`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = IMPORT_HELP)]
pub struct ImportArgs {
    #[command(flatten)]
    target: StreamTarget,
}

/// Why a stream was not transferred completely.
#[derive(Debug, thiserror::Error)]
pub enum TransferFailure {
    /// The stream's name is invalid.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// TLS or the runtime could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A system call failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refused, or can't be reached.
    #[error("{url}: {fault}")]
    Server {
        /// The requested URL.
        url: String,
        /// The error.
        fault: TransferError,
    },
    /// The data received is not a complete export.
    #[error("{url}: {fault}; the output is not a complete export")]
    Cut {
        /// The requested URL.
        url: String,
        /// The reason.
        fault: ExportError,
    },
}

/// Exports a stream to standard output.
///
/// # Errors
/// [`TransferFailure`], as text for the terminal; then the output is not a complete export.
pub fn export(args: &ExportArgs) -> Result<(), TransferFailure> {
    let url = args.target.url_below("export")?;
    let (mut out, mut check) = (io::stdout().lock(), ExportCheck::default());
    let client = NativeClient::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(client.download(&url, |piece| {
        check.take(&piece);
        out.write_all(&piece)
    }));
    outcome.map_err(|fault| TransferFailure::Server {
        url: url.clone(),
        fault,
    })?;
    out.flush()?;
    let pages = check.finish().map_err(|fault| TransferFailure::Cut {
        url: url.clone(),
        fault,
    })?;
    print_note(&format!(
        "exported {url}, {pages} {}",
        if pages == 1 { "page" } else { "pages" }
    ));
    Ok(())
}

/// Creates a stream from the export on standard input.
///
/// # Errors
/// [`TransferFailure`], as text for the terminal; then the stream does not exist.
pub fn import(args: &ImportArgs) -> Result<(), TransferFailure> {
    let url = args.target.url_below("import")?;
    let client = NativeClient::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        // The server would refuse it, too, but its response could be lost behind a long body.
        let stream_url = args.target.url()?;
        let reason = match client.writer(&stream_url).describe().await {
            Ok(_) => Some("a stream with this name exists".to_owned()),
            Err(StreamWriteError::Refused {
                status: 404 | 410, ..
            }) => None,
            Err(fault) => Some(fault.to_string()),
        };
        if let Some(reason) = reason {
            return Err(TransferFailure::Server {
                url: stream_url,
                fault: TransferError::Refused(reason),
            });
        }
        let imported = client.upload(&url, standard_input()).await;
        imported.map_err(|fault| TransferFailure::Server {
            url: url.clone(),
            fault,
        })
    });
    // Reading standard input can't be cancelled; the process ends anyway.
    runtime.shutdown_background();
    let imported = outcome?;
    let closed = if imported.closed { ", closed" } else { "" };
    let shift = match imported.shift_bytes {
        0 => String::new(),
        shift => format!(", each offset reduced by {shift}"),
    };
    print_note(&format!(
        "imported `{}`, next offset {}{closed}{shift}",
        imported.name, imported.next_offset
    ));
    Ok(())
}

fn standard_input() -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures_util::stream::unfold(tokio::io::stdin(), |mut stdin| async {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        match stdin.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.into()), stdin)),
            Err(fault) => Some((Err(fault), stdin)),
        }
    })
}

fn print_note(text: &str) {
    // Standard error may be closed.
    let _closed = writeln!(io::stderr(), "tailwater: {text}");
}

/// Checks an export while it is received.
#[derive(Default)]
struct ExportCheck {
    decoder: ExportDecoder,
    lines: Vec<ExportLine>,
    pages: u64,
    fault: Option<ExportError>,
}

impl ExportCheck {
    fn take(&mut self, piece: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.decoder.push(piece, &mut self.lines).err();
            self.pages += self
                .lines
                .drain(..)
                .filter(|line| matches!(line, ExportLine::Page(_)))
                .count() as u64;
        }
    }

    fn finish(self) -> Result<u64, ExportError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.decoder.finish().map(|_| self.pages),
        }
    }
}
