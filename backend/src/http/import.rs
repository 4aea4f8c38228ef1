//! PUT of an export: the stream exists again, whole or not at all.

use super::body::Arriving;
use super::head::{ActixHeaders, gate_head};
use crate::api::{App, OtherRefusal, ProblemClass, Refusal, RequestBody, STREAM_PREFIX};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use tailwater_core::offload::{LONG_BYTES, offload};
use tailwater_core::{Append, Importing, Log, Payload, StreamConfig, StreamName, ValueError};
use tailwater_protocol::export::{
    ContentLimits, ExportDecoder, ExportEnd, ExportError, ExportHead, ExportLine, Imported,
};
use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::{Data, Frame, Offset, Token};

/// Where imports are put.
pub(super) const IMPORT_PREFIX: &str = "/v1/import/";
/// Bytes of messages that are committed together.
const COMMIT_BYTES: usize = 256 << 10;
/// The fewest bytes of a JSON message in a page, its comma included.
const MESSAGE_BYTES_MIN: usize = 2;

/// What is wrong with what is imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not a whole export.
    #[error("{0}; no stream was made")]
    Export(#[from] ExportError),
    /// A configuration that no creation would take.
    #[error("the export's configuration: {0}; no stream was made")]
    Configuration(#[from] ValueError),
    /// A value that no stream of this server has.
    #[error("the export's {field}: expected {expected}, came `{came}`; no stream was made")]
    Value {
        /// Which value.
        field: &'static str,
        /// What fits.
        expected: String,
        /// What came.
        came: String,
    },
}

impl OtherRefusal for ImportError {
    fn class(&self) -> ProblemClass {
        (
            StatusCode::BAD_REQUEST,
            "#import",
            "The body is not a whole export",
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

/// The answer is [`Imported`]; the body may be of any length, a line of it holds what a page or an append may have. What is held
/// of it is charged to the budget. Long lines are read on a thread where that may take its time.
pub(super) async fn import(
    request: &HttpRequest,
    payload: web::Payload,
    app: &App,
    name: &StreamName,
) -> Result<HttpResponse, Refusal> {
    let limits = line_limits(app);
    let mut decoder = ExportDecoder::limited(limits);
    let mut filling = None;
    let mut body = Arriving::new(payload, app);
    let mut charge = app.budget.charge();
    while let Some(piece) = body.next().await? {
        let held = decoder.pending_bytes() + gathered(&filling);
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
            take(app, name, &mut filling, line).await?;
        }
        // Less than before, or it was charged for above.
        charge
            .settle(decoder.pending_bytes() + gathered(&filling))
            .map_err(Refusal::Busy)?;
    }
    if let Some(line) = decoder.finish().map_err(ImportError::from)? {
        take(app, name, &mut filling, line).await?;
    }
    let Some(filling) = filling else {
        return Err(ImportError::from(ExportError::CutOff { lines: 0 }).into());
    };
    let shift_bytes = filling.shift_bytes;
    let log = filling.importing.appear().await?;
    Ok(answer(app, request, &log, shift_bytes))
}

/// Bytes of messages that wait for more before they are committed.
fn gathered(filling: &Option<Filling<'_>>) -> usize {
    filling.as_ref().map_or(0, |filling| {
        usize::try_from(filling.gathered_bytes).unwrap_or(usize::MAX)
    })
}

/// What a line may hold: as much as an append or a page, since exports hold pages.
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
    filling: &mut Option<Filling<'a>>,
    line: ExportLine,
) -> Result<(), Refusal> {
    match (line, filling) {
        (ExportLine::Head(head), filling) => {
            *filling = Some(Filling::begin(app, name, &head).await?);
        }
        (ExportLine::Page(frame), Some(filling)) => filling.page(frame).await?,
        (ExportLine::End(end), Some(filling)) => filling.end(end).await?,
        // The decoder lets nothing through before the head.
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
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, app.url(&host, &path)));
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header((headers::STREAM_NEXT_OFFSET, tail.offset().to_string()));
    if tail.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    }
    let (name, next_offset) = (log.name().to_string(), tail.offset().into());
    response.json(Imported {
        name,
        next_offset,
        closed: tail.closed(),
        shift_bytes,
    })
}

/// A stream that is being filled.
struct Filling<'a> {
    importing: Importing<'a>,
    kind: ContentKind,
    gathered: Vec<Vec<u8>>,
    gathered_bytes: u64,
    /// Where the stream will end once all that is gathered is appended.
    next_bytes: u64,
    shift_bytes: u64,
    /// Bytes that a message may have.
    message_max: usize,
}

impl<'a> Filling<'a> {
    async fn begin(app: &'a App, name: &StreamName, head: &ExportHead) -> Result<Self, Refusal> {
        let shift_bytes = offset("earliestOffset", &head.earliest_offset)?.bytes();
        let config = StreamConfig::of_export(&head.configuration).map_err(ImportError::from)?;
        let importing = app.streams.import(name, config).await?;
        let kind = importing.log().kind();
        let message_max = line_limits(app).bytes;
        Ok(Self {
            importing,
            kind,
            gathered: Vec::new(),
            gathered_bytes: 0,
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
                    "others, or none",
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
        self.gathered_bytes += messages
            .iter()
            .map(|message| message.len() as u64 + separator)
            .sum::<u64>();
        self.gathered.extend(messages);
        self.is_at("streamNextOffset", &frame.next)?;
        if self.gathered_bytes >= COMMIT_BYTES as u64 {
            self.commit().await
        } else {
            Ok(())
        }
    }

    async fn end(&mut self, end: ExportEnd) -> Result<(), Refusal> {
        self.is_at("end", &end.next_offset)?;
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

    /// Checks that the stream will end where the exported one did, so that every offset keeps its meaning.
    fn is_at(&self, field: &'static str, told: &Token) -> Result<(), Refusal> {
        let is_bytes = self.next_bytes + self.gathered_bytes + self.shift_bytes;
        if offset(field, told)?.bytes() == is_bytes {
            return Ok(());
        }
        let expected =
            Offset::new(is_bytes).map_or_else(|| "no more".to_owned(), |at| at.to_string());
        Err(wrong(field, &expected, told.as_str()).into())
    }

    async fn commit(&mut self) -> Result<(), Refusal> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(());
        }
        let (kind, bytes) = (self.kind, std::mem::take(&mut self.gathered_bytes));
        let gather = move || Payload::of_new_messages(kind, gathered.iter().map(Vec::as_slice));
        let payload = offload(usize::try_from(bytes).unwrap_or(usize::MAX), gather).await?;
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

fn wrong(field: &'static str, expected: &str, came: &str) -> ImportError {
    ImportError::Value {
        field,
        expected: expected.to_owned(),
        came: came.to_owned(),
    }
}
