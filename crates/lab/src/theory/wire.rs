//! Bytes on the wire: heads, framing and envelopes, and the bytes per delivered event.

use tailwater_protocol::lab::LaneCounts;

/// `bytes` multiplied by `times`; zero bytes are zero even if `times` is infinite.
pub(super) fn times(bytes: f64, times: f64) -> f64 {
    if bytes == 0.0 { 0.0 } else { bytes * times }
}

/// The framing that the transport adds to each write of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// A body with a Content-Length.
    None,
    /// HTTP/1.1 chunks: the size in hexadecimal and two line ends.
    Chunked,
    /// WebSocket frames of the server, which are not masked.
    WebSocket,
}

impl BodyFraming {
    /// Framing bytes around one write of `body_bytes`.
    ///
    /// Source: RFC 9112, section 7.1; RFC 6455, section 5.2.
    pub fn bytes_around(self, body_bytes: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Chunked if body_bytes < 1.0 => 0.0,
            Self::Chunked => body_bytes.log(16.0).floor() + 1.0 + 4.0,
            Self::WebSocket if body_bytes < 126.0 => 2.0,
            Self::WebSocket if body_bytes < 65_536.0 => 4.0,
            Self::WebSocket => 10.0,
        }
    }
}

/// Sizes of everything except the text of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireSizes {
    /// Request line and headers.
    pub request_head_bytes: f64,
    /// Status line and headers of a response with data (or of a streaming response).
    pub response_head_bytes: f64,
    /// Status line and headers of a response without data.
    pub empty_head_bytes: f64,
    /// Body of a response without data.
    pub empty_body_bytes: f64,
    /// Body bytes around the messages of one response or one write, independent of their number. A test compares them with
    /// what the server's encoders write.
    pub envelope_bytes: f64,
    /// Body bytes added by each message (a comma).
    pub separator_bytes: f64,
    /// The framing of each write.
    pub framing: BodyFraming,
    /// One heartbeat with its framing.
    pub heartbeat_bytes: f64,
    /// The end of a streaming response: the last chunk, or the close frames.
    pub ending_bytes: f64,
}

/// Bytes of `body` as one chunk.
pub(super) fn in_a_chunk(body: &[u8]) -> f64 {
    let bytes = body.len() as f64;
    bytes + BodyFraming::Chunked.bytes_around(bytes)
}

impl WireSizes {
    /// No heads, no framing.
    pub fn bare() -> Self {
        Self {
            request_head_bytes: 0.0,
            response_head_bytes: 0.0,
            empty_head_bytes: 0.0,
            empty_body_bytes: 0.0,
            envelope_bytes: 0.0,
            separator_bytes: 0.0,
            framing: BodyFraming::None,
            heartbeat_bytes: 0.0,
            ending_bytes: 0.0,
        }
    }

    /// Typical sizes of a plain read of a JSON stream.
    pub(super) fn of_page() -> Self {
        Self {
            request_head_bytes: 536.0,
            response_head_bytes: 388.0,
            empty_head_bytes: 350.0,
            envelope_bytes: 1.0,
            separator_bytes: 1.0,
            ..Self::bare()
        }
    }

    /// The framing of a response that stays open.
    pub(super) fn of_chunks() -> Self {
        Self {
            framing: BodyFraming::Chunked,
            ending_bytes: 5.0,
            ..Self::bare()
        }
    }

    /// Replaces the head sizes by the means that a lane counted; those without counts remain typical.
    ///
    /// The counts do not distinguish responses with data from empty ones: both get the mean.
    #[must_use]
    pub fn with_counted_heads(mut self, counts: &LaneCounts) -> Self {
        if counts.requests > 0 {
            self.request_head_bytes = counts.request_head_bytes as f64 / counts.requests as f64;
        }
        if counts.responses > 0 {
            self.response_head_bytes = counts.response_head_bytes as f64 / counts.responses as f64;
            self.empty_head_bytes = self.response_head_bytes;
        }
        self
    }

    /// Bytes per event of a technique that sends a request for each response.
    pub(super) fn per_event_of_responses(
        &self,
        payload_bytes: f64,
        events_per_response: f64,
        empty_share: f64,
    ) -> BytesPerEvent {
        let responses = 1.0 / events_per_response;
        let with_data = (1.0 - empty_share) * responses;
        let empty = empty_share * responses;
        BytesPerEvent {
            request_head: times(self.request_head_bytes, responses),
            response_head: times(self.response_head_bytes, with_data.max(0.0))
                + times(self.empty_head_bytes, empty),
            framing: times(self.framing.bytes_around(payload_bytes), with_data),
            envelope: times(self.envelope_bytes, with_data)
                + times(self.empty_body_bytes, empty)
                + self.separator_bytes,
            heartbeat: 0.0,
            payload: payload_bytes,
        }
    }
}

/// Application bytes per delivered event at the server's socket, by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BytesPerEvent {
    /// Request lines and headers.
    pub request_head: f64,
    /// Status lines and headers.
    pub response_head: f64,
    /// Chunk framing or WebSocket frame heads.
    pub framing: f64,
    /// Body bytes around the events: brackets, commas, offsets.
    pub envelope: f64,
    /// Heartbeats, with their framing.
    pub heartbeat: f64,
    /// The text of the events.
    pub payload: f64,
}

impl BytesPerEvent {
    /// The sum.
    pub fn total(&self) -> f64 {
        self.request_head
            + self.response_head
            + self.framing
            + self.envelope
            + self.heartbeat
            + self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_protocol::headers::ContentKind;
    use tailwater_protocol::{Control, Offset, Technique, ndjson, sse};

    /// Bytes that `encode` adds to a message at the tail, after the first message of a response.
    ///
    /// - `cursor`, `up_to_date`: whether the format repeats these fields with each message.
    fn envelope_bytes(
        encode: fn(&mut Vec<u8>, ContentKind, Option<&[u8]>, &Control),
        cursor: Option<u64>,
        up_to_date: Option<bool>,
    ) -> f64 {
        let control = Control {
            next: Offset::ZERO.into(),
            cursor,
            up_to_date,
            closed: false,
        };
        let mut out = Vec::new();
        // A message of one byte, and the comma after it in the log.
        encode(&mut out, ContentKind::Json, Some(b"0,"), &control);
        out.len() as f64 - 1.0
    }

    #[test]
    fn framing_follows_the_rfcs() {
        for (body, framing) in [
            (1.0, 5.0),
            (15.0, 5.0),
            (16.0, 6.0),
            (36.0, 6.0),
            (255.0, 6.0),
            (256.0, 7.0),
            (4_095.0, 7.0),
            (4_096.0, 8.0),
        ] {
            assert_eq!(BodyFraming::Chunked.bytes_around(body), framing, "{body}");
        }
        for (body, framing) in [
            (0.0, 2.0),
            (125.0, 2.0),
            (126.0, 4.0),
            (65_535.0, 4.0),
            (65_536.0, 10.0),
        ] {
            assert_eq!(BodyFraming::WebSocket.bytes_around(body), framing, "{body}");
        }
    }

    #[test]
    fn an_envelope_is_everything_except_the_message() {
        let line = r#"{"data":[],"streamNextOffset":"0000000000000000"}"#.len() as f64;
        let events = "id:0000000000000000\nevent: data\ndata:[]\n\nid:0000000000000000\nevent: control\n\
             data:{\"streamNextOffset\":\"0000000000000000\",\"streamCursor\":\"1234567\",\"upToDate\":true}\n\n";
        let of_line = envelope_bytes(ndjson::encode, None, None);
        let of_events = envelope_bytes(sse::encode, Some(1_234_567), Some(true));
        assert_eq!([of_line, of_events], [line + 1.0, events.len() as f64]);
        for (technique, bytes) in [
            (Technique::Ndjson, of_line),
            // A text frame is the line without its end.
            (Technique::Websocket, line),
            (Technique::Sse, of_events),
        ] {
            let sizes = WireSizes::of(technique);
            assert_eq!(sizes.envelope_bytes, bytes, "{technique}");
        }
        assert_eq!(WireSizes::of(Technique::Ndjson).heartbeat_bytes, 6.0);
    }

    #[test]
    fn counted_heads_replace_typical_ones() {
        let counts = LaneCounts {
            requests: 4,
            responses: 3,
            request_head_bytes: 2_000,
            response_head_bytes: 600,
            ..LaneCounts::default()
        };
        let wire = WireSizes::of(Technique::Poll).with_counted_heads(&counts);
        assert_eq!(
            (
                wire.request_head_bytes,
                wire.response_head_bytes,
                wire.empty_head_bytes
            ),
            (500.0, 200.0, 200.0)
        );
        assert_eq!(
            WireSizes::of(Technique::Poll).with_counted_heads(&LaneCounts::default()),
            WireSizes::of(Technique::Poll)
        );
    }
}
