//! DELETE: remove a stream with all its data, or hide it while forks need that.

use super::{App, Refusal};
use actix_web::{HttpRequest, HttpResponse, web};

/// Source: Durable Streams protocol, section 5.4.
pub(super) async fn delete(request: HttpRequest, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    // Says whether it was deleted before and lives on for its forks.
    let name = app.log(&request)?.name().clone();
    if app.streams.delete(&name).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Refusal::NoStream(name.to_string()))
    }
}
