//! Header names of the protocol that every append and read looks at, parsed once.

use actix_web::http::header::HeaderName;
use tailwater_protocol::headers;

pub(super) static STREAM_NEXT_OFFSET: HeaderName = HeaderName::from_static(headers::STREAM_NEXT_OFFSET);
pub(super) static STREAM_UP_TO_DATE: HeaderName = HeaderName::from_static(headers::STREAM_UP_TO_DATE);
pub(super) static STREAM_CURSOR: HeaderName = HeaderName::from_static(headers::STREAM_CURSOR);
pub(super) static STREAM_CLOSED: HeaderName = HeaderName::from_static(headers::STREAM_CLOSED);
pub(super) static STREAM_SEQ: HeaderName = HeaderName::from_static(headers::STREAM_SEQ);
pub(super) static PRODUCER_ID: HeaderName = HeaderName::from_static(headers::PRODUCER_ID);
pub(super) static PRODUCER_EPOCH: HeaderName = HeaderName::from_static(headers::PRODUCER_EPOCH);
pub(super) static PRODUCER_SEQ: HeaderName = HeaderName::from_static(headers::PRODUCER_SEQ);
