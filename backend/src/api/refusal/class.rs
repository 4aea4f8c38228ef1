//! The status, stable name and title of every refusal.

use super::{ProblemClass, Refusal};
use http::StatusCode;
use tailwater_core::store::StoreError;
use tailwater_core::{AppendError, CreateError, ForkError, NameError, ReadError};

const NO_STREAM: ProblemClass = (
    StatusCode::NOT_FOUND,
    "#no-stream",
    "The stream does not exist",
);
const OFFSET: ProblemClass = (
    StatusCode::BAD_REQUEST,
    "#offset",
    "The offset is not valid for this stream",
);
const GONE: ProblemClass = (
    StatusCode::GONE,
    "#gone",
    "The position is no longer retained",
);
const BODY_TOO_LARGE: ProblemClass = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "#body-too-large",
    "The body is too large",
);
const BODY_SILENT: ProblemClass = (
    StatusCode::REQUEST_TIMEOUT,
    "#body-silent",
    "The body did not arrive in time",
);
const BODY_BROKEN: ProblemClass = (
    StatusCode::BAD_REQUEST,
    "#body-broken",
    "The body is incomplete or invalid",
);
const BODY: ProblemClass = (
    StatusCode::BAD_REQUEST,
    "#body",
    "The body can't be appended",
);
const TYPE_DIFFERS: ProblemClass = (
    StatusCode::CONFLICT,
    "#content-type",
    "The content type differs from the stream's",
);
const TOO_MANY_READERS: ProblemClass = (
    StatusCode::SERVICE_UNAVAILABLE,
    "#too-many-readers",
    "Too many live readers",
);
const TOO_MANY_CONNECTIONS: ProblemClass = (
    StatusCode::SERVICE_UNAVAILABLE,
    "#too-many-connections",
    "Too many connections",
);
const BUSY: ProblemClass = (
    StatusCode::SERVICE_UNAVAILABLE,
    "#busy",
    "The memory budget is exhausted",
);
const CONTENT_ENCODING: ProblemClass = (
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "#content-encoding",
    "The content coding is not supported",
);
const NO_HANDSHAKE: ProblemClass = (
    StatusCode::UPGRADE_REQUIRED,
    "#no-handshake",
    "A WebSocket requires a handshake",
);
const STOPPING: ProblemClass = (
    StatusCode::SERVICE_UNAVAILABLE,
    "#stopping",
    "The server is stopping",
);
const HEAD_TOO_LARGE: ProblemClass = (
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "#head-too-large",
    "The request head is too large",
);
const TOO_MANY_FIELDS: ProblemClass = (
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "#too-many-fields",
    "The request head has too many fields",
);
const HOST: ProblemClass = (
    StatusCode::MISDIRECTED_REQUEST,
    "#host",
    "The host name is not allowed",
);
const ORIGIN: ProblemClass = (
    StatusCode::FORBIDDEN,
    "#origin",
    "The web origin is not allowed",
);
const EMBEDDING: ProblemClass = (
    StatusCode::FORBIDDEN,
    "#embedding",
    "Embedding by other sites is not allowed",
);
const METHOD: ProblemClass = (
    StatusCode::METHOD_NOT_ALLOWED,
    "#method",
    "The method is not supported at this path",
);

impl Refusal {
    /// Status, stable name and title; the detail is the refusal's own text.
    pub(in crate::api) fn class(&self) -> ProblemClass {
        use StatusCode as S;
        match self {
            Self::Name(error) => name_class(error),
            Self::NoStream(_) => NO_STREAM,
            Self::Hidden(_) => (S::GONE, "#deleted", "The stream was deleted"),
            Self::Query(_) => (S::BAD_REQUEST, "#query", "The query is invalid"),
            Self::Header(_) => (S::BAD_REQUEST, "#header", "A header is invalid"),
            Self::Offset(_) => OFFSET,
            Self::BodyTooLarge { .. } => BODY_TOO_LARGE,
            Self::BodySilent { .. } => BODY_SILENT,
            Self::BodyBroken(_) => BODY_BROKEN,
            Self::Payload(_) => BODY,
            Self::TypeDiffers { .. } => TYPE_DIFFERS,
            Self::Append(error) => append_class(error),
            Self::Create(error) => create_class(error),
            Self::Store(error) => store_class(error),
            Self::Read(error) => read_class(error),
            Self::TooManyReaders { .. } => TOO_MANY_READERS,
            Self::TooManyConnections { .. } => TOO_MANY_CONNECTIONS,
            Self::Busy(_) => BUSY,
            Self::ContentEncoding { .. } => CONTENT_ENCODING,
            Self::NoHandshake => NO_HANDSHAKE,
            Self::Other(refusal) => refusal.class(),
            Self::Stopping => STOPPING,
            Self::HeadTooLarge { .. } => HEAD_TOO_LARGE,
            Self::TooManyFields { .. } => TOO_MANY_FIELDS,
            Self::Host(_) => HOST,
            Self::Origin(_) => ORIGIN,
            Self::Embedding => EMBEDDING,
            Self::NoRoute(_) => (S::NOT_FOUND, "#no-route", "The path has no route"),
            Self::Malformed(_) => (S::BAD_REQUEST, "#malformed", "The request is malformed"),
            Self::Failed => (S::INTERNAL_SERVER_ERROR, "#failed", "Internal error"),
            Self::Method { .. } => METHOD,
        }
    }
}

fn name_class(error: &NameError) -> ProblemClass {
    use StatusCode as S;
    match error {
        NameError::TooLong { .. } | NameError::TooManySegments { .. } => (
            S::URI_TOO_LONG,
            "#path-too-long",
            "The stream path is too long",
        ),
        _ => (S::BAD_REQUEST, "#path", "The path can't name a stream"),
    }
}

fn append_class(error: &AppendError) -> ProblemClass {
    use StatusCode as S;
    match error {
        AppendError::Deleted => NO_STREAM,
        AppendError::Closed { .. } => (S::CONFLICT, "#closed", "The stream is closed"),
        AppendError::SeqNotRising { .. } => {
            (S::CONFLICT, "#stream-seq", "Stream-Seq does not increase")
        }
        AppendError::StaleEpoch { .. } => (
            S::FORBIDDEN,
            "#stale-epoch",
            "The producer's epoch is stale",
        ),
        AppendError::Gap { .. } => (
            S::CONFLICT,
            "#producer-gap",
            "The producer's sequence has a gap",
        ),
        AppendError::EpochStart { .. } => (
            S::BAD_REQUEST,
            "#epoch-start",
            "A producer's epoch must begin with sequence 0",
        ),
        AppendError::TooManyProducers { .. } => (
            S::TOO_MANY_REQUESTS,
            "#too-many-producers",
            "The stream has too many producers",
        ),
        AppendError::NotAtTail { .. } => (
            S::PRECONDITION_FAILED,
            "#not-at-tail",
            "The stream does not end at that offset",
        ),
        AppendError::TooLong => (
            S::INSUFFICIENT_STORAGE,
            "#stream-too-long",
            "The stream is too long",
        ),
        AppendError::Store(error) => store_class(error),
    }
}

fn create_class(error: &CreateError) -> ProblemClass {
    use StatusCode as S;
    match error {
        CreateError::Differs { .. } => (
            S::CONFLICT,
            "#differs",
            "The stream exists with another configuration",
        ),
        CreateError::Taken | CreateError::NameReused => {
            (S::CONFLICT, "#exists", "The stream exists")
        }
        CreateError::Hidden { .. } => (
            S::CONFLICT,
            "#name-in-use",
            "The name belongs to a deleted stream",
        ),
        CreateError::Fork(error) => fork_class(error),
        CreateError::TooMany { .. } => (
            S::INSUFFICIENT_STORAGE,
            "#too-many-streams",
            "No more streams are allowed",
        ),
        CreateError::Store(error) => store_class(error),
    }
}

fn read_class(error: &ReadError) -> ProblemClass {
    match error {
        ReadError::Gone { .. } => GONE,
        ReadError::OtherGeneration { .. } => (
            StatusCode::GONE,
            "#earlier-stream",
            "The offset belongs to a deleted stream",
        ),
        ReadError::InsideMessage { .. } => OFFSET,
        ReadError::Deleted => NO_STREAM,
        ReadError::Store(error) => store_class(error),
    }
}

fn fork_class(error: &ForkError) -> ProblemClass {
    match error {
        ForkError::NoSource(_) => (
            StatusCode::NOT_FOUND,
            "#no-source",
            "The stream to fork does not exist",
        ),
        ForkError::SourceHidden(_) => (
            StatusCode::CONFLICT,
            "#source-deleted",
            "The stream to fork was deleted",
        ),
        ForkError::TypeDiffers { .. } => (
            StatusCode::CONFLICT,
            "#fork-content-type",
            "The content type differs from the source's",
        ),
        ForkError::TooDeep { .. } => (
            StatusCode::CONFLICT,
            "#too-deep",
            "The chain of forks is too long",
        ),
        ForkError::BeyondTail { .. } => (
            StatusCode::BAD_REQUEST,
            "#fork-offset",
            "The source ends before that offset",
        ),
        ForkError::SubBeyond { .. } => (
            StatusCode::BAD_REQUEST,
            "#fork-sub-offset",
            "The sub-offset is too large",
        ),
        ForkError::Position(error) => read_class(error),
        ForkError::Payload(_) => BODY,
    }
}

pub(crate) fn store_class(error: &StoreError) -> ProblemClass {
    match error {
        StoreError::Full { .. } => (
            StatusCode::INSUFFICIENT_STORAGE,
            "#full",
            "The store is full",
        ),
        StoreError::TooLong { .. } => (
            StatusCode::BAD_REQUEST,
            "#name-too-long",
            "The name is too long to be stored",
        ),
        StoreError::OutOfStep => (
            StatusCode::SERVICE_UNAVAILABLE,
            "#out-of-step",
            "An earlier append failed",
        ),
        StoreError::NoStream => NO_STREAM,
        StoreError::Trimmed { .. } => GONE,
        StoreError::Unwritable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "#unwritable",
            "The store can't be written now",
        ),
        StoreError::Unreadable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "#unreadable",
            "Stored data can't be read now",
        ),
        StoreError::Damaged(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "#damaged",
            "Stored data is damaged",
        ),
        StoreError::InsideMessage(_) => OFFSET,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn each_problem_type_has_one_meaning() {
        let mut types = BTreeSet::new();
        let (product, _tests) = include_str!("class.rs").split_once("#[cfg(test)]").unwrap();
        for quoted in product.split('"').skip(1).step_by(2) {
            let is_type = quoted.len() > 1 && quoted.starts_with('#');
            assert!(!is_type || types.insert(quoted), "{quoted} is used twice");
        }
        assert!(types.len() > 30, "{types:?}");
    }
}
