//! PUT of an export: creates the stream from it, atomically.

use super::answer::respond;
use super::body::IncomingBody;
use super::head::{ActixHeaders, gate_head};
use crate::api::{Answer, App, OtherRefusal, ProblemClass, Refusal, RequestBody, STREAM_PREFIX};
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use tailwater_core::offload::{LONG_BYTES, offload};
use tailwater_core::{Append, Log, Payload, PendingImport, StreamConfig, StreamName, ValueError};
use tailwater_protocol::export::{
    ContentLimits, ExportDecoder, ExportEnd, ExportError, ExportHead, ExportLine, Imported,
};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Data, Frame, Offset, Token};

/// Path prefix of imports.
pub(super) const IMPORT_PREFIX: &str = "/v1/import/";
/// Bytes of messages that are committed together.
const COMMIT_BYTES: usize = 256 << 10;
/// Minimum bytes of a JSON message in a page, comma included.
const MESSAGE_BYTES_MIN: usize = 2;

/// Why an import is rejected.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The body is not a complete export.
    #[error("{0}; no stream was created")]
    Export(#[from] ExportError),
    /// The configuration is not valid for a stream.
    #[error("the export's configuration: {0}; no stream was created")]
    Configuration(#[from] ValueError),
    /// A value does not match the stream.
    #[error("the export's {field} is `{received}`, expected {expected}; no stream was created")]
    Value {
        /// The value's name.
        field: &'static str,
        /// The expected value.
        expected: String,
        /// The value received.
        received: String,
    },
}

impl OtherRefusal for ImportError {
    fn class(&self) -> ProblemClass {
        (
            StatusCode::BAD_REQUEST,
            "#import",
            "The body is not a complete export",
        )
    }

    fn retry_after(&self) -> Option<u64> {
        None
    }

    fn closes(&self) -> bool {
        true
    }
}

impl From<ImportError> for Refusal {
    fn from(error: ImportError) -> Self {
        Self::Other(Box::new(error))
    }
}

/// Imports a stream; the response is [`Imported`]. The body may be of any length, each line may
/// hold as much as a page or an append. Buffered
/// data is charged to the budget. Long lines are parsed on a separate thread.
pub(super) async fn import(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    name: &StreamName,
) -> Result<HttpResponse, Refusal> {
    let limits = line_limits(app);
    let mut decoder = ExportDecoder::limited(limits);
    let mut in_progress = None;
    let mut body = IncomingBody::new(payload, app);
    let mut charge = app.budget.charge();
    while let Some(piece) = body.next().await? {
        let held = decoder.pending_bytes() + buffered(&in_progress);
        charge.settle(held + piece.len()).map_err(Refusal::Busy)?;
        let ends_long_line = decoder.pending_bytes() > LONG_BYTES && piece.contains(&b'\n');
        let bytes = if ends_long_line {
            decoder.pending_bytes()
        } else {
            0
        };
        let push = move || {
            let mut lines = Vec::new();
            decoder.push(&piece, &mut lines).map(|()| (decoder, lines))
        };
        let (pushed, lines) = offload(bytes, push).await.map_err(ImportError::from)?;
        decoder = pushed;
        for line in lines {
            take(app, name, &mut in_progress, line).await?;
        }
        // Never more than was charged above.
        charge
            .settle(decoder.pending_bytes() + buffered(&in_progress))
            .map_err(Refusal::Busy)?;
    }
    if let Some(line) = decoder.finish().map_err(ImportError::from)? {
        take(app, name, &mut in_progress, line).await?;
    }
    let Some(in_progress) = in_progress else {
        return Err(ImportError::from(ExportError::CutOff { lines: 0 }).into());
    };
    let shift_bytes = in_progress.shift_bytes;
    let log = in_progress.importing.publish().await?;
    Ok(answer(app, request, &log, shift_bytes))
}

/// Bytes of messages that are buffered until they are committed.
fn buffered(in_progress: &Option<ImportInProgress<'_>>) -> usize {
    in_progress.as_ref().map_or(0, |in_progress| {
        usize::try_from(in_progress.buffered_bytes).unwrap_or(usize::MAX)
    })
}

/// Limits of a line: those of an append or a page, since exports contain pages.
fn line_limits(app: &App) -> ContentLimits {
    ContentLimits {
        bytes: app.message_max().max(app.page_max()).saturating_add(1),
        messages: app
            .config
            .append_messages_max
            .max(app.page_max() / MESSAGE_BYTES_MIN),
    }
}

async fn take<'a>(
    app: &'a App,
    name: &StreamName,
    in_progress: &mut Option<ImportInProgress<'a>>,
    line: ExportLine,
) -> Result<(), Refusal> {
    match (line, in_progress) {
        (ExportLine::Head(head), in_progress) => {
            *in_progress = Some(ImportInProgress::begin(app, name, &head).await?);
        }
        (ExportLine::Page(frame), Some(in_progress)) => in_progress.page(frame).await?,
        (ExportLine::End(end), Some(in_progress)) => in_progress.end(end).await?,
        // The decoder requires the head first.
        (ExportLine::Page(_) | ExportLine::End(_), None) => {}
    }
    Ok(())
}

fn answer(app: &App, request: &HttpRequest, log: &Log, shift_bytes: u64) -> HttpResponse {
    let tail = log.tail_now();
    let path = app
        .local_path(request.path())
        .replacen(IMPORT_PREFIX, STREAM_PREFIX, 1);
    let map = ActixHeaders(request.headers());
    let host = gate_head(request, &map)
        .host()
        .unwrap_or_default()
        .to_owned();
    let mut answer = Answer::new(StatusCode::CREATED);
    answer.put(&LOCATION, &*app.url(&host, &path));
    answer.put_end(tail.offset(), tail.closed());
    answer.forbid_storing();
    let imported = Imported {
        name: log.name().to_string(),
        next_offset: tail.offset().into(),
        closed: tail.closed(),
        shift_bytes,
    };
    answer.put_json("application/json", &imported);
    respond(answer)
}

/// A stream that is being imported.
struct ImportInProgress<'a> {
    importing: PendingImport<'a>,
    kind: ContentKind,
    buffered: Vec<Vec<u8>>,
    buffered_bytes: u64,
    /// The stream's length once all buffered messages are appended.
    next_bytes: u64,
    shift_bytes: u64,
    /// Maximum bytes of a message.
    message_max: usize,
}

impl<'a> ImportInProgress<'a> {
    async fn begin(app: &'a App, name: &StreamName, head: &ExportHead) -> Result<Self, Refusal> {
        let shift_bytes = offset("earliestOffset", &head.earliest_offset)?.bytes();
        let config = StreamConfig::of_export(&head.configuration).map_err(ImportError::from)?;
        let importing = app.streams.import(name, config).await?;
        let kind = importing.log().kind();
        let message_max = line_limits(app).bytes;
        Ok(Self {
            importing,
            kind,
            buffered: Vec::new(),
            buffered_bytes: 0,
            next_bytes: 0,
            shift_bytes,
            message_max,
        })
    }

    async fn page(&mut self, frame: Frame) -> Result<(), Refusal> {
        let messages = match (self.kind, frame.data) {
            (ContentKind::Json, Some(Data::Json(messages))) => {
                messages.into_iter().map(String::into_bytes).collect()
            }
            (ContentKind::Text | ContentKind::Binary, Some(Data::Text(text))) => {
                vec![text.into_bytes()]
            }
            (ContentKind::Text | ContentKind::Binary, Some(Data::Binary(bytes))) => vec![bytes],
            _ => {
                return Err(wrong(
                    "page",
                    "messages of the stream's content type",
                    "other content",
                )
                .into());
            }
        };
        if let Some(long) = messages
            .iter()
            .map(Vec::len)
            .find(|bytes| *bytes > self.message_max)
        {
            let expected = format!("messages of at most {} bytes", self.message_max);
            return Err(wrong("page", &expected, &format!("one of {long}")).into());
        }
        let separator = u64::from(self.kind == ContentKind::Json);
        self.buffered_bytes += messages
            .iter()
            .map(|message| message.len() as u64 + separator)
            .sum::<u64>();
        self.buffered.extend(messages);
        self.check_offset("streamNextOffset", &frame.next)?;
        if self.buffered_bytes >= COMMIT_BYTES as u64 {
            self.commit().await
        } else {
            Ok(())
        }
    }

    async fn end(&mut self, end: ExportEnd) -> Result<(), Refusal> {
        self.check_offset("end", &end.next_offset)?;
        self.commit().await?;
        if end.closed {
            self.importing
                .log()
                .append(Append {
                    close: true,
                    ..Append::default()
                })
                .await?;
        }
        Ok(())
    }

    /// Checks that the imported stream reaches the same offset as the exported one, so that every
    /// offset stays valid.
    fn check_offset(&self, field: &'static str, claimed: &Token) -> Result<(), Refusal> {
        let actual_bytes = self.next_bytes + self.buffered_bytes + self.shift_bytes;
        if offset(field, claimed)?.bytes() == actual_bytes {
            return Ok(());
        }
        let expected =
            Offset::new(actual_bytes).map_or_else(|| "no more".to_owned(), |at| at.to_string());
        Err(wrong(field, &expected, claimed.as_str()).into())
    }

    async fn commit(&mut self) -> Result<(), Refusal> {
        let buffered = std::mem::take(&mut self.buffered);
        if buffered.is_empty() {
            return Ok(());
        }
        let (kind, bytes) = (self.kind, std::mem::take(&mut self.buffered_bytes));
        let build = move || Payload::of_client_messages(kind, buffered.iter().map(Vec::as_slice));
        let payload = offload(usize::try_from(bytes).unwrap_or(usize::MAX), build).await?;
        self.next_bytes += bytes;
        let append = Append {
            payload: Some(payload),
            ..Append::default()
        };
        self.importing.log().append(append).await?;
        Ok(())
    }
}

fn offset(field: &'static str, token: &Token) -> Result<Offset, ImportError> {
    token
        .as_str()
        .parse()
        .map_err(|_| wrong(field, "an offset of 16 digits", token.as_str()))
}

fn wrong(field: &'static str, expected: &str, received: &str) -> ImportError {
    ImportError::Value {
        field,
        expected: expected.to_owned(),
        received: received.to_owned(),
    }
}
