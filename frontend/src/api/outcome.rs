//! The outcome of a request: a success counts only if the response confirms what was requested.

use tailwater_client::acknowledgement;
use tailwater_protocol::{Problem, Token};

use crate::api::request::{ApiRequest, Confirmation};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// There was no response: the server can't be reached.
    Unreachable(String),
    /// The server refused the request, or its response does not confirm it; with the reason.
    Status(u16, String),
}

impl ApiError {
    /// Whether the response was that the resource does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Status(404 | 410, _))
    }

    /// The reason.
    pub fn message(&self) -> &str {
        match self {
            Self::Unreachable(message) | Self::Status(_, message) => message,
        }
    }
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiResponseHead {
    /// The status code; 0 for a redirect that was not followed, as the browser does not report its status.
    pub status: u16,
    /// The value of `Stream-Next-Offset`.
    pub next: Option<String>,
    /// Whether `Stream-Closed` is `true`.
    pub closed: bool,
}

impl ApiRequest {
    /// The outcome of the request, given its response: the tail of the stream, if the request was about one.
    ///
    /// - `url`: of the response.
    /// - `body`: as far as it was received.
    ///
    /// # Errors
    /// [`ApiError`], with status and URL unless the response is a problem document.
    pub fn outcome(
        &self,
        url: &str,
        head: &ApiResponseHead,
        body: &[u8],
    ) -> Result<Option<Token>, ApiError> {
        let ApiResponseHead {
            status,
            next,
            closed,
        } = head;
        let refused = |message: String| {
            ApiError::Status(*status, format!("{} {url}: {message}", self.method))
        };
        match status {
            0 => Err(refused(
                "the server responded with a redirect (status 3xx), which is only followed for reads: nothing was done"
                    .to_owned(),
            )),
            200..300 => {
                let unconfirmed = |lacks: String| refused(acknowledgement::unconfirmed(*status, &lacks));
                match self.confirmation {
                    Confirmation::Success => Ok(None),
                    Confirmation::Position => acknowledgement::position(next.as_deref()).map(Some).map_err(unconfirmed),
                    Confirmation::Closed => {
                        acknowledgement::position_of_closed(next.as_deref(), *closed).map(Some).map_err(unconfirmed)
                    }
                    Confirmation::NoContent if *status == 204 => Ok(None),
                    Confirmation::NoContent => {
                        Err(unconfirmed("not with 204, which confirms it".to_owned()))
                    }
                }
            }
            _ => {
                let problem = Problem::parse(body).map(|problem| problem.detail);
                match (status, problem) {
                    (_, Some(detail)) => Err(ApiError::Status(*status, detail)),
                    // A proxy (trunk serve) responds when the server can't be reached.
                    (502..=504, None) => {
                        Err(ApiError::Unreachable(Problem::describe(*status, body)))
                    }
                    // The response to a HEAD has no body.
                    (_, None) if self.method == "HEAD" => Err(refused(meaning(*status))),
                    (_, None) => Err(refused(Problem::describe(*status, body))),
                }
            }
        }
    }
}

/// The meaning of a status code, for a response without a problem document.
fn meaning(status: u16) -> String {
    let means = match status {
        400 => "the server can't use the name of the stream",
        401 | 403 => "the server does not let this page do that",
        404 => "there is no such stream",
        410 => "the stream was deleted and is only kept for its forks",
        429 | 503 => "the server is busy or shutting down",
        _ => "the server gives no reason",
    };
    format!("{means} (status {status})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::name::typed;
    use crate::api::new_stream::NewStreamForm;
    use crate::api::request::ListFilter;

    const URL: &str = "http://127.0.0.1:4437/v1/stream/a";
    const AT: &str = "0000000000000042";

    fn head(status: u16, next: Option<&str>, closed: bool) -> ApiResponseHead {
        ApiResponseHead {
            status,
            next: next.map(str::to_owned),
            closed,
        }
    }

    fn writes() -> [ApiRequest; 6] {
        let name = typed("a").unwrap();
        let new = NewStreamForm {
            name: "a".to_owned(),
            content_type: "text/plain".to_owned(),
            ..NewStreamForm::default()
        };
        [
            ApiRequest::create(&new).unwrap(),
            ApiRequest::create_json(&name),
            ApiRequest::create(&NewStreamForm {
                source: Some(name.clone()),
                ..new
            })
            .unwrap(),
            ApiRequest::append(&name, "text/plain", "x"),
            ApiRequest::close(&name),
            ApiRequest::delete(&name),
        ]
    }

    #[test]
    fn a_write_counts_only_if_the_response_confirms_it() {
        // Create, fork and append; close; delete.
        for (response, done) in [
            (head(200, Some(AT), false), [true, false, false]),
            (head(201, Some(AT), true), [true, true, false]),
            (head(204, Some(AT), true), [true, true, true]),
            (head(204, None, false), [false, false, true]),
            (head(204, None, true), [false, false, true]),
            (head(200, None, true), [false, false, false]),
            (head(202, None, false), [false, false, false]),
            (head(200, Some("now"), true), [false, false, false]),
            (head(200, Some("-1"), true), [false, false, false]),
            (head(200, Some("<html>"), true), [false, false, false]),
            (head(0, None, false), [false, false, false]),
            (head(301, Some(AT), true), [false, false, false]),
            (head(404, Some(AT), true), [false, false, false]),
        ] {
            for request in writes() {
                let kind = match request.confirmation {
                    Confirmation::Success | Confirmation::Position => 0,
                    Confirmation::Closed => 1,
                    Confirmation::NoContent => 2,
                };
                let outcome = request.outcome(URL, &response, b"<html>ok</html>");
                assert_eq!(
                    outcome.is_ok(),
                    done[kind],
                    "{request:?}: {response:?}: {outcome:?}"
                );
                if let Err(refusal) = outcome {
                    let status = if response.status == 0 {
                        "3xx".to_owned()
                    } else {
                        response.status.to_string()
                    };
                    for part in [URL, request.method, &status] {
                        assert!(
                            refusal.message().contains(part),
                            "{part}: {}",
                            refusal.message()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn only_reads_follow_redirects() {
        assert_eq!(
            writes().map(|request| request.follows_redirects()),
            [false; 6]
        );
        let lab = ["POST", "PUT", "PATCH", "DELETE"]
            .map(|method| ApiRequest::new(method, "/v1/lab/sources".to_owned()));
        assert_eq!(lab.map(|request| request.follows_redirects()), [false; 4]);
        let name = typed("a").unwrap();
        let reads = [
            ApiRequest::inspect(&name),
            ApiRequest::list(&ListFilter::default(), 1),
            ApiRequest::head("", &name),
        ];
        assert_eq!(reads.map(|request| request.follows_redirects()), [true; 3]);
    }

    #[test]
    fn the_detail_of_a_problem_document_is_shown() {
        let problem = br##"{"type":"#x","title":"Not JSON","status":400,"detail":"it is not JSON at byte 3"}"##;
        let request = ApiRequest::append(&typed("a").unwrap(), "application/json", "{");
        let refused = |status, body: &[u8]| {
            request
                .outcome(URL, &head(status, None, false), body)
                .unwrap_err()
        };
        assert_eq!(
            refused(400, problem),
            ApiError::Status(400, "it is not JSON at byte 3".to_owned())
        );
        assert!(
            matches!(refused(502, b""), ApiError::Unreachable(message) if message.contains("502"))
        );
        assert_eq!(
            refused(503, problem),
            ApiError::Status(503, "it is not JSON at byte 3".to_owned())
        );
        assert!(refused(410, b"").is_missing());
        let head_request = ApiRequest::head("", &typed("a").unwrap());
        let refusal = head_request.outcome(URL, &head(400, None, false), b"");
        assert!(
            matches!(refusal, Err(ApiError::Status(400, message)) if message.contains("the name of the stream"))
        );
    }
}
