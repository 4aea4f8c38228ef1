//! Bytes on the wire: heads, framing and envelopes of each technique, and what they come to per delivered event.

use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::lab::LaneCounts;
use tailwater_protocol::{Control, Offset, Technique, ndjson, sse};

/// `bytes` so many `times`, where nothing stays nothing even if it happens infinitely often.
pub(super) fn times(bytes: f64, times: f64) -> f64 {
    if bytes == 0.0 { 0.0 } else { bytes * times }
}

/// What the transport puts around each write of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// A body with a Content-Length.
    None,
    /// HTTP/1.1 chunks: size in hexadecimal and two line ends.
    Chunked,
    /// WebSocket frames from the server, which are not masked.
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

/// Sizes of everything that is not an event's own text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireSizes {
    /// Request line and headers.
    pub request_head_bytes: f64,
    /// Status line and headers of an answer with data (or of a stream).
    pub response_head_bytes: f64,
    /// Status line and headers of an answer without data.
    pub empty_head_bytes: f64,
    /// Body of an answer without data.
    pub empty_body_bytes: f64,
    /// Body bytes around the messages of one answer or one write, whatever their number.
    pub envelope_bytes: f64,
    /// Body bytes that every message adds (a comma).
    pub separator_bytes: f64,
    /// What the transport puts around each write.
    pub framing: BodyFraming,
    /// One heartbeat with its framing.
    pub heartbeat_bytes: f64,
    /// What ends a stream: the last chunk, or the close frames.
    pub ending_bytes: f64,
}

/// What an object says of a stream in which a message comes at the tail, after the first object of an answer.
fn control(technique: Technique) -> Control {
    let (cursor, up_to_date) = match technique {
        Technique::Sse => (Some(1_234_567), Some(true)),
        Technique::Poll | Technique::LongPoll | Technique::Ndjson | Technique::Websocket => {
            (None, None)
        }
    };
    Control {
        next: Offset::ZERO.into(),
        cursor,
        up_to_date,
        closed: false,
    }
}

/// Bytes that `encode` puts around a message at the tail.
fn envelope_bytes(
    technique: Technique,
    encode: fn(&mut Vec<u8>, ContentKind, Option<&[u8]>, &Control),
) -> f64 {
    let control = control(technique);
    let mut out = Vec::new();
    // A message of one byte and the comma that ends it in the log.
    encode(&mut out, ContentKind::Json, Some(b"0,"), &control);
    out.len() as f64 - 1.0
}

fn in_a_chunk(body: &[u8]) -> f64 {
    let bytes = body.len() as f64;
    bytes + BodyFraming::Chunked.bytes_around(bytes)
}

impl WireSizes {
    /// Nothing but the events: no heads, no framing.
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

    /// Typical sizes for `technique`: Chromium's request heads, this server's response heads and envelopes on a JSON stream that is
    /// read from the page's own origin. Across origins, as through the relay, response heads have some 110 bytes more for CORS.
    pub fn of(technique: Technique) -> Self {
        let answer = Self {
            request_head_bytes: 536.0,
            response_head_bytes: 388.0,
            empty_head_bytes: 350.0,
            envelope_bytes: 1.0,
            separator_bytes: 1.0,
            ..Self::bare()
        };
        let stream = Self {
            framing: BodyFraming::Chunked,
            ending_bytes: 5.0,
            ..Self::bare()
        };
        match technique {
            Technique::Poll => Self {
                empty_body_bytes: 2.0,
                ..answer
            },
            Technique::LongPoll => Self {
                response_head_bytes: 412.0,
                empty_head_bytes: 301.0,
                ..answer
            },
            Technique::Ndjson => Self {
                request_head_bytes: 532.0,
                response_head_bytes: 307.0,
                envelope_bytes: envelope_bytes(technique, ndjson::encode),
                heartbeat_bytes: in_a_chunk(ndjson::HEARTBEAT),
                ..stream
            },
            Technique::Sse => Self {
                request_head_bytes: 586.0,
                response_head_bytes: 304.0,
                envelope_bytes: envelope_bytes(technique, sse::encode),
                heartbeat_bytes: in_a_chunk(sse::HEARTBEAT),
                ..stream
            },
            Technique::Websocket => Self {
                request_head_bytes: 518.0,
                response_head_bytes: 257.0,
                // The same line without its end.
                envelope_bytes: envelope_bytes(technique, ndjson::encode) - 1.0,
                framing: BodyFraming::WebSocket,
                // A ping, its masked pong, and an empty text frame; at the end a close frame each way.
                heartbeat_bytes: 2.0 + 6.0 + 2.0,
                ending_bytes: 4.0 + 8.0,
                ..Self::bare()
            },
        }
    }

    /// The same with the mean head sizes that a lane counted; sizes it has not seen yet stay typical.
    ///
    /// The counts do not tell heads with data from heads without: both become the mean.
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

    /// Bytes per event of a technique that asks again and again.
    pub(super) fn per_event_of_answers(
        &self,
        payload_bytes: f64,
        events_per_response: f64,
        empty_share: f64,
    ) -> BytesPerEvent {
        let answers = 1.0 / events_per_response;
        let with_news = (1.0 - empty_share) * answers;
        let empty = empty_share * answers;
        BytesPerEvent {
            request_head: times(self.request_head_bytes, answers),
            response_head: times(self.response_head_bytes, with_news.max(0.0))
                + times(self.empty_head_bytes, empty),
            framing: times(self.framing.bytes_around(payload_bytes), with_news),
            envelope: times(self.envelope_bytes, with_news)
                + times(self.empty_body_bytes, empty)
                + self.separator_bytes,
            heartbeat: 0.0,
            payload: payload_bytes,
        }
    }
}

/// Application bytes per delivered event at the server's socket, by what they are.
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
    /// Heartbeats of a silent stream, with their framing.
    pub heartbeat: f64,
    /// The events themselves.
    pub payload: f64,
}

impl BytesPerEvent {
    /// All of it.
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
    fn an_envelope_is_everything_but_the_message() {
        let line = r#"{"data":[],"streamNextOffset":"0000000000000000"}"#;
        assert_eq!(
            WireSizes::of(Technique::Websocket).envelope_bytes,
            line.len() as f64
        );
        assert_eq!(
            WireSizes::of(Technique::Ndjson).envelope_bytes,
            line.len() as f64 + 1.0
        );
        let events = "id:0000000000000000\nevent: data\ndata:[]\n\nid:0000000000000000\nevent: control\n\
             data:{\"streamNextOffset\":\"0000000000000000\",\"streamCursor\":\"1234567\",\"upToDate\":true}\n\n";
        assert_eq!(
            WireSizes::of(Technique::Sse).envelope_bytes,
            events.len() as f64
        );
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
