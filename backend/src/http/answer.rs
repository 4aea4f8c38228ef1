//! Converts responses to actix's.

use crate::api::{Answer, Charge, Content, NO_STORE, Refusal};
use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder, ResponseError};
use bytes::Bytes;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of a body's piece. actix copies each into its connection's buffer before it writes it: it
/// should still be in the processor's cache when the kernel copies it again. Above 128 KiB actix
/// frees the buffer afterwards, below it keeps it as long as the connection is open, which would be
/// too much for thousands of waiting readers.
const PIECE_BYTES: usize = 256 << 10;

/// Converts a response.
pub(crate) fn respond(answer: Answer) -> HttpResponse {
    let Answer {
        status,
        fields,
        content,
        closes,
    } = answer;
    let mut response = HttpResponse::build(status);
    for field in fields.iter() {
        response.insert_header(field);
    }
    if closes {
        response.force_close();
    }
    match content {
        Some(Content { parts, charge }) => response.body(Parts {
            left: parts,
            _charge: charge,
        }),
        None => response.finish(),
    }
}

/// A response that no cache may keep.
pub(super) fn no_store(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, NO_STORE));
    response
}

/// Converts the response to a HEAD, which has no content length. Source: RFC 9110, section 8.6.
pub(crate) fn respond_to_head(answer: Answer) -> HttpResponse {
    let without = respond(Answer {
        content: None,
        ..answer
    });
    without.map_body(|_, _| BoxBody::new(body::None::new()))
}

/// A body of known length.
#[derive(Debug)]
struct Parts {
    left: [Bytes; 3],
    _charge: Option<Charge>,
}

impl MessageBody for Parts {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.left.iter().map(|part| part.len() as u64).sum())
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let part = self.left.iter_mut().find(|part| !part.is_empty());
        Poll::Ready(part.map(|part| Ok(part.split_to(part.len().min(PIECE_BYTES)))))
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        respond(self.answer())
    }
}

impl Responder for Refusal {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[actix_web::test]
    async fn pieces_are_short_and_add_up_to_the_content() {
        let long = Bytes::from("7".repeat(3 * PIECE_BYTES));
        let parts = || Parts {
            left: ["[".into(), long.clone(), "]".into()],
            _charge: None,
        };
        let mut body = parts();
        assert_eq!(body.size(), BodySize::Sized(long.len() as u64 + 2));
        let mut context = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(Ok(piece))) = Pin::new(&mut body).poll_next(&mut context) {
            assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
        }
        assert!(to_bytes(parts()).await.unwrap() == [&b"["[..], &long, b"]"].concat());
    }
}
