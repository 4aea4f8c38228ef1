//! Downloads and uploads exports in pieces.

use super::{NativeClient, error_text, head, refusal};
use crate::acknowledgement::{self, position};
use bytes::Bytes;
use futures_util::Stream;
use std::io;
use std::time::Duration;
use tailwater_protocol::export::{CONTENT_TYPE, Imported};

/// How long a server may send nothing during an export; allows for a slow disk.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The server refused; with its error text.
    #[error("{0}")]
    Refused(String),
    /// A successful response that does not describe the imported stream: another server responded.
    #[error("{0}")]
    Unconfirmed(String),
    /// The connection could not be established, or was lost.
    #[error("{0}")]
    Broken(String),
    /// Nothing was received for this time.
    #[error("nothing was received for {0:?}")]
    Silent(Duration),
    /// A piece could not be written.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
}

impl NativeClient {
    /// Downloads the export at `url`.
    ///
    /// - `put`: called with every piece as it is received.
    ///
    /// # Errors
    /// [`TransferError`]; `put` was called with the pieces received before.
    pub async fn download(
        &self,
        url: &str,
        mut put: impl FnMut(Bytes) -> io::Result<()>,
    ) -> Result<(), TransferError> {
        let broken = |fault: reqwest::Error| TransferError::Broken(error_text(&fault));
        let silent = |_| TransferError::Silent(SILENCE_MAX);
        let mut response = tokio::time::timeout(SILENCE_MAX, self.http.get(url).send())
            .await
            .map_err(silent)?
            .map_err(broken)?;
        if !response.status().is_success() {
            return Err(TransferError::Refused(
                refusal::refusal_text(response).await,
            ));
        }
        let head = head(&response);
        let content_type = head.content_type.unwrap_or_default();
        if content_type.split(';').next().map(str::trim) != Some(CONTENT_TYPE) {
            let text = format!(
                "the server answered with status {} and `{content_type}`: expected an export",
                head.status
            );
            return Err(TransferError::Refused(text));
        }
        while let Some(piece) = tokio::time::timeout(SILENCE_MAX, response.chunk())
            .await
            .map_err(silent)?
            .map_err(broken)?
        {
            put(piece)?;
        }
        Ok(())
    }

    /// Uploads an export to `url`, where the server creates a stream from it.
    ///
    /// # Errors
    /// [`TransferError`]; the stream was not created, unless the connection was lost after the last piece.
    pub async fn upload(
        &self,
        url: &str,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<Imported, TransferError> {
        let body = reqwest::Body::wrap_stream(pieces);
        let broken = |fault: reqwest::Error| TransferError::Broken(error_text(&fault));
        let response = self
            .writes
            .put(url)
            .header("content-type", CONTENT_TYPE)
            .body(body)
            .send()
            .await
            .map_err(broken)?;
        if !response.status().is_success() {
            return Err(TransferError::Refused(
                refusal::refusal_text(response).await,
            ));
        }
        let head = head(&response);
        let unconfirmed = |lacks: &str| {
            TransferError::Unconfirmed(acknowledgement::unconfirmed(head.status, lacks))
        };
        let next = position(head.next.as_deref()).map_err(|lacks| unconfirmed(&lacks))?;
        let body = response.bytes().await.map_err(broken)?;
        let imported: Imported = tailwater_protocol::document::read(&body)
            .map_err(|fault| unconfirmed(&format!("without an import document: {fault}")))?;
        if imported.next_offset != next {
            return Err(unconfirmed(&format!(
                "with two different offsets, {next} and {}",
                imported.next_offset
            )));
        }
        Ok(imported)
    }
}
