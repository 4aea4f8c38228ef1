//! Downloads and uploads exports, piece by piece.

use super::{NativeClient, error_text, head, refusal};
use crate::acknowledgement::{self, position};
use bytes::Bytes;
use futures_util::Stream;
use std::io;
use std::time::Duration;
use tailwater_protocol::export::{CONTENT_TYPE, Imported};

/// How long a server may send nothing of an export; reading it from a slow disk needs its time.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why a transfer did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The server refused; in its words.
    #[error("{0}")]
    Refused(String),
    /// A success came that does not say what was made: something else answered.
    #[error("{0}")]
    Unconfirmed(String),
    /// The connection could not be made, or broke off.
    #[error("{0}")]
    Broken(String),
    /// Nothing came for too long.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The pieces could not be put away.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
}

impl NativeClient {
    /// Gets what is at `url`, piece by piece as it comes.
    ///
    /// # Errors
    /// [`TransferError`]; the pieces that came before were handed on.
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

    /// Sends an export to `url`, which makes a stream of it.
    ///
    /// # Errors
    /// [`TransferError`]; then there is no such stream, unless the connection broke after the last piece.
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
        let said = response.bytes().await.map_err(broken)?;
        let imported: Imported = tailwater_protocol::document::read(&said)
            .map_err(|fault| unconfirmed(&format!("not with what an import says: {fault}")))?;
        if imported.next_offset != next {
            return Err(unconfirmed(&format!(
                "with two ends, {next} and {}",
                imported.next_offset
            )));
        }
        Ok(imported)
    }
}
