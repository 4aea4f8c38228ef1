//! `tailwater export` and `tailwater import`: a stream as a file, whole or not at all.

use super::target::{StreamTarget, StreamTargetError};
use bytes::Bytes;
use clap::Args;
use std::io::{self, Write};
use tailwater_client::drivers::native::{
    NativeClient, SetupError, StreamWriteError, TransferError,
};
use tailwater_protocol::export::{ExportDecoder, ExportError, ExportLine};
use tokio::io::AsyncReadExt;

/// Bytes read from standard input at once.
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

/// Why a stream was not transferred whole.
#[derive(Debug, thiserror::Error)]
pub enum TransferFailure {
    /// The stream can't be named like that.
    #[error(transparent)]
    Target(#[from] StreamTargetError),
    /// No TLS, or no runtime.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refused, or can't be reached.
    #[error("{url}: {fault}")]
    Server {
        /// What was asked for.
        url: String,
        /// What happened.
        fault: TransferError,
    },
    /// What came is not a whole export.
    #[error("{url}: {fault}; what was written is not a whole export")]
    Cut {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        fault: ExportError,
    },
}

/// Writes a stream to standard output as a file.
///
/// # Errors
/// [`TransferFailure`], in words for the terminal; then what was written is not a whole export.
pub fn export(args: &ExportArgs) -> Result<(), TransferFailure> {
    let url = args.target.url_below("export")?;
    let (mut out, mut check) = (io::stdout().lock(), Check::default());
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
    say(&format!(
        "{url} is exported, {pages} {}",
        if pages == 1 { "page" } else { "pages" }
    ));
    Ok(())
}

/// Makes a stream of the export on standard input.
///
/// # Errors
/// [`TransferFailure`], in words for the terminal; then there is no such stream.
pub fn import(args: &ImportArgs) -> Result<(), TransferFailure> {
    let url = args.target.url_below("import")?;
    let client = NativeClient::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        // The server would say so, too, but the rest of a long body could drown it.
        let stream_url = args.target.url()?;
        let why = match client.writer(&stream_url).describe().await {
            Ok(_) => Some("a stream of this name exists".to_owned()),
            Err(StreamWriteError::Refused {
                status: 404 | 410, ..
            }) => None,
            Err(fault) => Some(fault.to_string()),
        };
        if let Some(why) = why {
            return Err(TransferFailure::Server {
                url: stream_url,
                fault: TransferError::Refused(why),
            });
        }
        let imported = client.upload(&url, standard_input()).await;
        imported.map_err(|fault| TransferFailure::Server {
            url: url.clone(),
            fault,
        })
    });
    // Reading standard input can't be called off; the process is over anyway.
    runtime.shutdown_background();
    let imported = outcome?;
    let closed = if imported.closed { ", closed" } else { "" };
    let shift = match imported.shift_bytes {
        0 => String::new(),
        shift => format!(", each offset smaller by {shift} than it was"),
    };
    say(&format!(
        "`{}` is imported, next offset {}{closed}{shift}",
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

fn say(text: &str) {
    // With standard error closed there is nobody to tell.
    let _closed = writeln!(io::stderr(), "tailwater: {text}");
}

/// Looks at an export as it passes.
#[derive(Default)]
struct Check {
    decoder: ExportDecoder,
    lines: Vec<ExportLine>,
    pages: u64,
    fault: Option<ExportError>,
}

impl Check {
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
