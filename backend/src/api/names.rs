//! Names of header fields that requests and responses of streams use, parsed once.

use http::header::HeaderName;
use tailwater_protocol::headers;

pub(super) static CONTENT_ENCODING: HeaderName = http::header::CONTENT_ENCODING;
pub(super) static IF_MATCH: HeaderName = http::header::IF_MATCH;
pub(super) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(super) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(super) static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
pub(super) static STREAM_NEXT_OFFSET: HeaderName =
    HeaderName::from_static(headers::STREAM_NEXT_OFFSET);
pub(super) static STREAM_UP_TO_DATE: HeaderName =
    HeaderName::from_static(headers::STREAM_UP_TO_DATE);
pub(super) static STREAM_CURSOR: HeaderName = HeaderName::from_static(headers::STREAM_CURSOR);
pub(super) static STREAM_CLOSED: HeaderName = HeaderName::from_static(headers::STREAM_CLOSED);
pub(super) static STREAM_SEQ: HeaderName = HeaderName::from_static(headers::STREAM_SEQ);
pub(super) static STREAM_TTL: HeaderName = HeaderName::from_static(headers::STREAM_TTL);
pub(super) static STREAM_EXPIRES_AT: HeaderName =
    HeaderName::from_static(headers::STREAM_EXPIRES_AT);
pub(super) static STREAM_FORKED_FROM: HeaderName =
    HeaderName::from_static(headers::STREAM_FORKED_FROM);
pub(super) static STREAM_FORK_OFFSET: HeaderName =
    HeaderName::from_static(headers::STREAM_FORK_OFFSET);
pub(super) static STREAM_FORK_SUB_OFFSET: HeaderName =
    HeaderName::from_static(headers::STREAM_FORK_SUB_OFFSET);
pub(super) static STREAM_SSE_DATA_ENCODING: HeaderName =
    HeaderName::from_static(headers::STREAM_SSE_DATA_ENCODING);
pub(super) static STREAM_EXTENSIONS: HeaderName =
    HeaderName::from_static(headers::STREAM_EXTENSIONS);
pub(super) static STREAM_RETENTION_BYTES: HeaderName =
    HeaderName::from_static(headers::STREAM_RETENTION_BYTES);
pub(super) static STREAM_RETENTION_AGE: HeaderName =
    HeaderName::from_static(headers::STREAM_RETENTION_AGE);
pub(super) static STREAM_EARLIEST_OFFSET: HeaderName =
    HeaderName::from_static(headers::STREAM_EARLIEST_OFFSET);
pub(super) static PRODUCER_ID: HeaderName = HeaderName::from_static(headers::PRODUCER_ID);
pub(super) static PRODUCER_EPOCH: HeaderName = HeaderName::from_static(headers::PRODUCER_EPOCH);
pub(super) static PRODUCER_SEQ: HeaderName = HeaderName::from_static(headers::PRODUCER_SEQ);
pub(super) static PRODUCER_EXPECTED_SEQ: HeaderName =
    HeaderName::from_static(headers::PRODUCER_EXPECTED_SEQ);
pub(super) static PRODUCER_RECEIVED_SEQ: HeaderName =
    HeaderName::from_static(headers::PRODUCER_RECEIVED_SEQ);
