//! The edge to actix: requests become calls, replies become responses; and what is served beside the streams.

mod answer;
pub mod assets;
mod body;
mod expect;
mod export;
mod gate;
mod head;
mod import;
#[cfg(feature = "lab")]
pub mod lab;
mod stream;
mod streams;
mod subscriptions;

pub use expect::decide_by_head;
pub use gate::guard;
pub use import::ImportError;

use crate::api::{Answer, Refusal};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

/// Registers the protocol's routes, for a scope whose path ends with [`crate::api::VERSION_PREFIX`]; the state is a
/// `web::Data<App>` and, for each worker, an `Rc<live::Groups>`.
pub fn configure(service: &mut web::ServiceConfig) {
    // Before the streams: what lies under `__ds` is none.
    service.configure(subscriptions::configure);
    service.service(web::resource("/stream/{name:.*}").to(stream::handle));
    streams::configure(service);
}

/// The answer where nothing is served.
pub async fn no_route(request: HttpRequest) -> Refusal {
    Refusal::NoRoute(request.path().to_owned())
}

/// The methods that a path serves, which `OPTIONS` asks for.
#[derive(Debug, Clone, Copy)]
struct Methods(&'static str);

impl Methods {
    /// What a request gets whose method is none of those that the path serves.
    ///
    /// - `allowed`: these, as `Allow` lists them, `OPTIONS` among them.
    ///
    /// # Errors
    /// [`Refusal::Method`] (405) for all but `OPTIONS`.
    fn of(method: &Method, allowed: &'static str) -> Result<Self, Refusal> {
        if method == Method::OPTIONS {
            return Ok(Self(allowed));
        }
        Err(Refusal::Method {
            came: method.to_string(),
            allowed,
        })
    }

    fn answer(self) -> HttpResponse {
        answer::respond(Answer::options(self.0))
    }
}
