//! GET of an export: a stream as a file, from its earliest message to its tail when the export
//! began.

use super::answer::no_store;
use crate::api::{App, Budget, Charge, Refusal, SANDBOX, read_charged};
use crate::live::encoding::encoded_bytes;
use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::{Batch, Log, ReadStart};
use tailwater_protocol::export::{self, ExportEnd, ExportHead};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::inspect::Origin;
use tailwater_protocol::{Control, Offset, ndjson};

/// Size of a piece in bytes, when messages are small.
const PIECE_BYTES: usize = 64 << 10;
/// How long a page waits for budget.
const BUDGET_WAIT_MAX: Duration = Duration::from_secs(60);

/// The body is pulled, so that backpressure from a slow client affects only its own export.
pub(super) async fn export(app: &App, log: Arc<Log>) -> Result<HttpResponse, Refusal> {
    let one_message = 1;
    // After this an error can't be reported by a status, only by truncation.
    let from = log.read_from(ReadStart::Beginning, one_message).await?.from;
    let mut response = no_store(HttpResponse::Ok());
    response.insert_header((CONTENT_TYPE, export::CONTENT_TYPE));
    response.insert_header((CONTENT_SECURITY_POLICY, SANDBOX));
    response.insert_header((
        CONTENT_DISPOSITION,
        "attachment; filename=\"stream.ndjson\"",
    ));
    Ok(response.streaming(body(Export::new(
        log,
        from,
        app.page_max(),
        Arc::clone(&app.budget),
    ))))
}

/// An export in progress.
#[derive(Debug)]
struct Export {
    log: Arc<Log>,
    kind: ContentKind,
    from: Offset,
    until: Offset,
    read_max: usize,
    pages: u64,
    stage: ExportStage,
    budget: Arc<Budget>,
    /// The budget's charge for the current piece.
    charge: Option<Charge>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExportStage {
    Head,
    Pages,
    Done,
}

impl Export {
    fn new(log: Arc<Log>, from: Offset, page_max: usize, budget: Arc<Budget>) -> Self {
        let kind = log.kind();
        // Other than JSON, messages in one line would lose their boundaries.
        let read_max = if kind == ContentKind::Json {
            page_max
        } else {
            1
        };
        let until = log.tail_now().next;
        Self {
            log,
            kind,
            from,
            until,
            read_max,
            pages: 0,
            stage: ExportStage::Head,
            budget,
            charge: None,
        }
    }

    /// The next piece, whole lines; `None` after the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut piece = Vec::new();
        self.charge = None;
        match self.stage {
            ExportStage::Done => return Ok(None),
            ExportStage::Head => {
                self.head(&mut piece);
                self.stage = ExportStage::Pages;
            }
            ExportStage::Pages => {
                let mut charge = self
                    .budget
                    .acquire(PIECE_BYTES, BUDGET_WAIT_MAX)
                    .await
                    .map_err(Refusal::Busy)?;
                while piece.len() < PIECE_BYTES {
                    let read = async || self.log.read(self.from, self.read_max).await;
                    let charged_bytes = |batch: &Batch| encoded_bytes(self.kind, &batch.data);
                    let (batch, read) =
                        read_charged(&self.budget, BUDGET_WAIT_MAX, charged_bytes, read).await?;
                    if self.from >= self.until || batch.data.is_empty() {
                        self.end(&mut piece, &batch);
                        self.stage = ExportStage::Done;
                        break;
                    }
                    self.page(&mut piece, &batch);
                    drop(batch);
                    charge = read.unwrap_or(charge);
                    charge
                        .settle(piece.len().clamp(PIECE_BYTES, self.budget.charge_max()))
                        .map_err(Refusal::Busy)?;
                }
                self.charge = Some(charge);
            }
        }
        Ok(Some(piece.into()))
    }

    fn head(&self, out: &mut Vec<u8>) {
        let config = self.log.config();
        let head = ExportHead {
            export: export::VERSION,
            name: self.log.name().to_string(),
            configuration: config.into(),
            forked_from: config.fork.as_ref().map(Origin::from),
            earliest_offset: self.from.into(),
            next_offset: self.until.into(),
        };
        export::encode_head(out, &head);
    }

    fn page(&mut self, out: &mut Vec<u8>, batch: &Batch) {
        let control = Control {
            next: batch.next.into(),
            cursor: None,
            up_to_date: None,
            closed: false,
        };
        ndjson::encode(out, self.kind, Some(&batch.data), &control);
        self.from = batch.next;
        self.pages += 1;
    }

    fn end(&self, out: &mut Vec<u8>, batch: &Batch) {
        let closed = batch.tail.closed() && self.from >= batch.tail.next;
        export::encode_end(
            out,
            ExportEnd {
                next_offset: self.from.into(),
                pages: self.pages,
                closed,
            },
        );
    }
}

/// The body; an error truncates it, so that its last line is missing.
fn body(export: Export) -> impl Stream<Item = Result<Bytes, Refusal>> {
    stream::unfold(Some((export, Bytes::new())), |state| async {
        let (mut export, mut piece) = state?;
        if piece.is_empty() {
            piece = match export.next().await {
                Ok(piece) => piece?,
                Err(error) => {
                    tracing::warn!(
                        "stream {}: the export is truncated at offset {}: {error}",
                        export.log.name(),
                        export.from
                    );
                    return Some((Err(error), None));
                }
            };
        }
        let next = piece.split_to(piece.len().min(2 * PIECE_BYTES));
        Some((Ok(next), Some((export, piece))))
    })
}
