//! The adapter to actix: converts requests to calls and replies to responses; serves all other
//! paths.

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
mod server_details;
mod stream;
mod streams;
mod subscriptions;

pub use expect::check_expectation;
pub use gate::guard;
pub use import::ImportError;

use crate::api::{Answer, Refusal};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

/// Registers the protocol's routes, for a scope whose path ends with
/// [`crate::api::VERSION_PREFIX`]; the state is a
/// `web::Data<App>` and, for each worker, an `Rc<live::Groups>`.
pub fn configure(service: &mut web::ServiceConfig) {
    // Before the streams: paths under `__ds` are not streams.
    service.configure(subscriptions::configure);
    service.service(web::resource("/stream/{name:.*}").to(stream::handle));
    streams::configure(service);
}

/// The response for paths without a route.
pub async fn no_route(request: HttpRequest) -> Refusal {
    Refusal::NoRoute(request.path().to_owned())
}

/// The methods that a path supports, for `OPTIONS`.
#[derive(Debug, Clone, Copy)]
struct Methods(&'static str);

impl Methods {
    /// Answers a request with any other method.
    ///
    /// - `allowed`: the supported methods, as `Allow` lists them, including `OPTIONS`.
    ///
    /// # Errors
    /// [`Refusal::Method`] (405) for all but `OPTIONS`.
    fn of(method: &Method, allowed: &'static str) -> Result<Self, Refusal> {
        if method == Method::OPTIONS {
            return Ok(Self(allowed));
        }
        Err(Refusal::Method {
            received: method.to_string(),
            allowed,
        })
    }

    fn answer(self) -> HttpResponse {
        answer::respond(Answer::options(self.0))
    }
}
