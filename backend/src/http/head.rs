//! HEAD: what a stream is and where it ends, without its data.

use super::{App, EXTENSIONS, Refusal, keeping};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use tailwater_protocol::headers;

/// Source: Durable Streams protocol, section 5.5.
pub(super) async fn head(request: HttpRequest, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let log = app.log(&request)?;
    let tail = log.tail_now();
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, &*log.config().content_type));
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header((headers::STREAM_NEXT_OFFSET, tail.next.to_string()));
    response.insert_header((headers::STREAM_EXTENSIONS, EXTENSIONS));
    keeping::show(log.config(), &mut response);
    if tail.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    }
    Ok(response.finish())
}
