//! DELETE: remove a stream with all its data.

use super::{App, Refusal};
use actix_web::{HttpRequest, HttpResponse, web};

/// Source: Durable Streams protocol, section 5.4.
pub(super) async fn delete(request: HttpRequest, app: web::Data<App>) -> Result<HttpResponse, Refusal> {
    let name = App::name(&request)?;
    if app.streams.delete(&name).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Refusal::NoStream(name.to_string()))
    }
}
