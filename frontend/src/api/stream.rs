//! Requests about one stream whose responses the Race page needs.

use tailwater_protocol::{StreamName, Token};

use crate::api::outcome::ApiError;
use crate::api::request::ApiRequest;
use crate::api::send::send;

/// The metadata of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// Its tail.
    pub tail: Token,
    /// Its media type.
    pub content_type: String,
}

/// Reads the metadata of a stream at `origin`.
///
/// # Errors
/// [`ApiError`]; 404 when there is no such stream.
pub async fn head(origin: &str, stream: &StreamName) -> Result<StreamHead, ApiError> {
    let response = send(ApiRequest::head(origin, stream)).await?;
    // `send` refuses a success without a position.
    Ok(StreamHead {
        tail: response.next.unwrap_or_else(Token::now),
        content_type: response.content_type,
    })
}

/// Creates an empty JSON stream.
///
/// # Errors
/// [`ApiError`].
pub async fn create(stream: &StreamName) -> Result<(), ApiError> {
    send(ApiRequest::create_json(stream)).await.map(drop)
}

/// Appends a body of the stream's own media type.
///
/// # Errors
/// [`ApiError`]; 404 when there is no such stream, 409 when it is closed or of another type.
pub async fn append(stream: &StreamName, content_type: &str, body: &str) -> Result<(), ApiError> {
    send(ApiRequest::append(stream, content_type, body))
        .await
        .map(drop)
}
