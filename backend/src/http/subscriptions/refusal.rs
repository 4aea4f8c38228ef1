//! Refusals about subscriptions: a problem document that includes the protocol's error, or the
//! error alone where the protocol fixes it.

use crate::api::{Refusal, store_class};
use crate::http::answer::no_store;
use crate::subscriptions::Refused;
use crate::subscriptions::definition::DefinitionError;
use crate::subscriptions::state::SubscriptionFault;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use std::fmt;
use tailwater_core::store::StoreError;
use tailwater_protocol::{OffsetError, Problem};

/// Why a request about subscriptions was refused.
#[derive(Debug)]
pub(super) enum SubscriptionRefusal {
    /// By the subscriptions.
    Refused(Refused),
    /// The body can't be parsed.
    Body(String),
    /// An ack's offset is malformed.
    Offset(OffsetError),
    /// A reason shared with requests to streams.
    Other(Refusal),
}

/// The member `error` of a body.
#[derive(Serialize)]
struct ErrorMember<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_holder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

/// An error in the form fixed by the protocol.
#[derive(Serialize)]
struct FixedBody<'a> {
    error: ErrorMember<'a>,
}

/// A problem document with the protocol's error in it.
#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    error: ErrorMember<'a>,
}

/// The status and texts of a refusal.
struct SubscriptionProblem {
    status: StatusCode,
    /// The protocol's error code, or our own in the same style.
    code: &'static str,
    kind: &'static str,
    title: &'static str,
}

impl SubscriptionProblem {
    fn new(
        status: StatusCode,
        code: &'static str,
        kind: &'static str,
        title: &'static str,
    ) -> Self {
        Self {
            status,
            code,
            kind,
            title,
        }
    }
}

fn class(refused: &Refused) -> SubscriptionProblem {
    use StatusCode as S;
    match refused {
        Refused::NotFound(_) => SubscriptionProblem::new(
            S::NOT_FOUND,
            "SUBSCRIPTION_NOT_FOUND",
            "#no-subscription",
            "The subscription does not exist",
        ),
        Refused::Differs(_) => SubscriptionProblem::new(
            S::CONFLICT,
            "SUBSCRIPTION_ALREADY_EXISTS",
            "#subscription-differs",
            "The subscription exists with another configuration",
        ),
        Refused::TooMany { .. } => SubscriptionProblem::new(
            S::INSUFFICIENT_STORAGE,
            "TOO_MANY_SUBSCRIPTIONS",
            "#too-many-subscriptions",
            "No more subscriptions are allowed",
        ),
        Refused::Definition(DefinitionError::Target(_)) => SubscriptionProblem::new(
            S::BAD_REQUEST,
            "WEBHOOK_URL_REJECTED",
            "#webhook-url",
            "The webhook URL is not allowed",
        ),
        Refused::Definition(_) | Refused::NoWebhooks | Refused::OtherWay { .. } => {
            SubscriptionProblem::new(
                S::BAD_REQUEST,
                "INVALID_REQUEST",
                "#subscription",
                "The request is invalid",
            )
        }
        Refused::Token => SubscriptionProblem::new(
            S::UNAUTHORIZED,
            "TOKEN_INVALID",
            "#token",
            "The token is not valid for this subscription",
        ),
        Refused::Fault(fault) => fault_class(fault),
        Refused::Store(error) => {
            let (status, kind, title) = store_class(error);
            SubscriptionProblem::new(status, "STORE", kind, title)
        }
        Refused::Keys(_) => SubscriptionProblem::new(
            S::INTERNAL_SERVER_ERROR,
            "KEYS",
            "#keys",
            "The server has no webhook keys",
        ),
        Refused::Busy => SubscriptionProblem::new(
            S::SERVICE_UNAVAILABLE,
            "BUSY",
            "#busy",
            "The subscription is busy",
        ),
        Refused::Stopping => SubscriptionProblem::new(
            S::SERVICE_UNAVAILABLE,
            "STOPPING",
            "#stopping",
            "The server is stopping",
        ),
    }
}

fn fault_class(fault: &SubscriptionFault) -> SubscriptionProblem {
    use StatusCode as S;
    match fault {
        SubscriptionFault::Fenced => {
            SubscriptionProblem::new(S::CONFLICT, "FENCED", "#fenced", "The wake has ended")
        }
        SubscriptionFault::Claimed { .. } => SubscriptionProblem::new(
            S::CONFLICT,
            "ALREADY_CLAIMED",
            "#claimed",
            "The lease is held by another worker",
        ),
        SubscriptionFault::Paused => SubscriptionProblem::new(
            S::CONFLICT,
            "SUBSCRIPTION_PAUSED",
            "#subscription-paused",
            "The subscription is paused",
        ),
        SubscriptionFault::NothingPending => SubscriptionProblem::new(
            S::CONFLICT,
            "NO_PENDING_WORK",
            "#nothing-pending",
            "No work is pending",
        ),
        SubscriptionFault::NotLinked(_)
        | SubscriptionFault::AckOfEarlierStream { .. }
        | SubscriptionFault::AckGoesBack { .. }
        | SubscriptionFault::AckBeyondTail { .. } => SubscriptionProblem::new(
            S::CONFLICT,
            "INVALID_OFFSET",
            "#ack",
            "The acked offset is invalid",
        ),
        SubscriptionFault::TooManyStreams { .. } => SubscriptionProblem::new(
            S::INSUFFICIENT_STORAGE,
            "TOO_MANY_STREAMS",
            "#too-many-links",
            "The subscription would follow too many streams",
        ),
    }
}

impl fmt::Display for SubscriptionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Body(text) => f.write_str(text),
            Self::Offset(error) => error.fmt(f),
            Self::Other(refusal) => refusal.fmt(f),
        }
    }
}

impl ResponseError for SubscriptionRefusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused(refused) => class(refused).status,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Offset(_) => StatusCode::CONFLICT,
            Self::Other(refusal) => refusal.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(Refused::Fault(SubscriptionFault::Fenced)) => {
                fixed(ErrorMember::code("FENCED"))
            }
            Self::Refused(Refused::Fault(SubscriptionFault::Claimed { holder, generation })) => {
                fixed(ErrorMember {
                    current_holder: Some(holder),
                    generation: Some(*generation),
                    ..ErrorMember::code("ALREADY_CLAIMED")
                })
            }
            Self::Refused(refused) => {
                problem(
                    &class(refused),
                    &refused.to_string(),
                    |response| match refused {
                        Refused::Token => {
                            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
                        }
                        Refused::Busy
                        | Refused::Stopping
                        | Refused::Store(StoreError::Unwritable(_)) => {
                            response.insert_header((RETRY_AFTER, "1"));
                        }
                        _ => {}
                    },
                )
            }
            Self::Body(text) => problem(
                &SubscriptionProblem::new(
                    self.status_code(),
                    "INVALID_REQUEST",
                    "#subscription-body",
                    "The body is invalid",
                ),
                text,
                |_| {},
            ),
            Self::Offset(error) => problem(
                &SubscriptionProblem::new(
                    self.status_code(),
                    "INVALID_OFFSET",
                    "#ack",
                    "The acked offset is invalid",
                ),
                &error.to_string(),
                |_| {},
            ),
            Self::Other(refusal) => refusal.error_response(),
        }
    }
}

impl<'a> ErrorMember<'a> {
    fn code(code: &'a str) -> Self {
        Self {
            code,
            message: None,
            current_holder: None,
            generation: None,
        }
    }
}

/// 409 in the form fixed by the protocol.
fn fixed(error: ErrorMember<'_>) -> HttpResponse {
    no_store(HttpResponse::Conflict()).json(FixedBody { error })
}

fn problem(
    class: &SubscriptionProblem,
    detail: &str,
    add_headers: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let SubscriptionProblem {
        status,
        code,
        kind,
        title,
    } = *class;
    let problem = Problem {
        kind: kind.to_owned(),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
    };
    let error = ErrorMember {
        message: Some(detail),
        ..ErrorMember::code(code)
    };
    let mut response = no_store(HttpResponse::build(status));
    add_headers(&mut response);
    let body = ProblemBody {
        problem: &problem,
        error,
    };
    response
        .content_type(Problem::CONTENT_TYPE)
        .body(serde_json::to_string(&body).unwrap_or_default())
}

impl From<Refused> for SubscriptionRefusal {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Refusal> for SubscriptionRefusal {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}
