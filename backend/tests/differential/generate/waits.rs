//! Steps that wait: reads that end when another connection appends, and WebSockets.

use super::{SequenceGenerator, pick, stream_target};
use crate::script::{MutationClass, ScriptFrame, ScriptRequest, ScriptStep};
use rand::Rng;

impl SequenceGenerator<'_> {
    pub(super) fn follow(&mut self, connection: usize) -> ScriptStep {
        let live = *pick(&mut self.random, &["long-poll&hold=20", "ndjson", "sse"]);
        let name = *pick(&mut self.random, &["text", "text", "json", "bin", "p%20q"]);
        let offset = *pick(&mut self.random, &["now", "{next}", "0000000000000000"]);
        let (read, cursor) = (
            format!("?offset={offset}&live={live}"),
            "&cursor=18446744073709551615",
        );
        let mut readers = vec![(connection, self.on_stream("GET", name, &read))];
        if self.connections > 1 && self.random.random_bool(0.3) {
            let mut second = self.on_stream("GET", name, &read);
            if self.random.random_bool(0.3) && self.may(MutationClass::Cursor) {
                second = self.on_stream("GET", name, &format!("{read}{cursor}"));
                second.class = Some(MutationClass::Cursor);
            }
            readers.push(((connection + 1) % self.connections, second));
        }
        let own = self.settings.reads().map(|it| it.class).collect::<Vec<_>>();
        if !own.is_empty() && self.random.random_bool(0.3) {
            let mutation = *pick(&mut self.random, &self.settings.reads().collect::<Vec<_>>());
            (mutation.apply)(&mut self.random, &mut readers[0].1);
            readers[0].1.class = Some(mutation.class);
        }
        let changes = self.changes(name, live.starts_with("long"));
        let mut beyond = Vec::new();
        if self.random.random_bool(0.3) && self.may(MutationClass::FollowBeyond) {
            // Not to the followed stream: whether the second reader is answered before such a
            // request is not defined.
            let other = if name == "text" { "json" } else { "text" };
            beyond.push(if self.random.random_bool(0.5) {
                self.get()
            } else {
                self.post_to(other)
            });
        }
        ScriptStep::Follow {
            readers,
            changes,
            beyond,
        }
    }

    /// What another connection does to the stream that is read; the last request ends the live
    /// responses.
    fn changes(&mut self, name: &str, is_long_poll: bool) -> Vec<ScriptRequest> {
        let mut changes: Vec<ScriptRequest> = Vec::new();
        let (content_type, body) = if name == "json" {
            ("application/json", "[7]")
        } else {
            ("text/plain", "more")
        };
        let content_type = if name == "bin" {
            "application/octet-stream"
        } else {
            content_type
        };
        let append = || {
            ScriptRequest::new(
                "POST",
                &stream_target(name),
                &[format!("Content-Type: {content_type}")],
            )
            .with_body(body.as_bytes())
        };
        let appends = if is_long_poll {
            0
        } else {
            self.random.random_range(0..=2)
        };
        changes.extend((0..appends).map(|_| append()));
        changes.push(match self.random.random_range(0..4) {
            0 if self.may(MutationClass::FollowDeleted) => {
                ScriptRequest::new("DELETE", &stream_target(name), &[])
            }
            1 if is_long_poll => append(),
            _ => ScriptRequest::new(
                "POST",
                &stream_target(name),
                &["Stream-Closed: true".to_owned()],
            )
            .with_body(b""),
        });
        changes
    }

    pub(super) fn web_socket(&mut self, connection: usize) -> ScriptStep {
        let name = *pick(
            &mut self.random,
            &["text", "json", "json", "closed", "none"],
        );
        let mut request = self.on_stream("GET", name, "?offset=now&live=websocket");
        for field in [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
        ] {
            request.fields.push(format!("{field}\r\n").into_bytes());
        }
        request
            .fields
            .retain(|field| !field.starts_with(b"Connection: keep"));
        request
            .fields
            .push(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n".to_vec());
        let value = if name == "json" { "[1,2]" } else { "\"more\"" };
        let mut frames = Vec::new();
        for _ in 0..self.random.random_range(0..=3) {
            frames.push(match self.random.random_range(0..4) {
                0 => frame(0x81, b"{\"append\":", Some(1)),
                1 => frame(0x89, b"ping", Some(1)),
                _ => frame(
                    0x81,
                    format!("{{\"append\":{value},\"id\":1}}").as_bytes(),
                    Some(2),
                ),
            });
        }
        if self.random.random_bool(0.4) && self.may(MutationClass::WebSocketFrames) {
            let odd: [(u8, &[u8]); 8] = [
                (0x09, b"ping"),
                (0x08, b"\x03\xe8"),
                (0x82, b"binary"),
                (0x80, b"goes on"),
                (0x81, b"\xff"),
                (0x88, b"\x03\xe8\xff"),
                (0x88, b"\x03"),
                (0xc1, b"reserved"),
            ];
            let (first, payload) = *pick(&mut self.random, &odd);
            frames.push(frame(first, payload, None));
        } else if self.random.random_bool(0.3) {
            frames.push(frame(0x81, b"{\"close\":true}", None));
        }
        frames.push(frame(0x88, b"\x03\xe8bye", None));
        ScriptStep::WebSocket {
            connection,
            request,
            frames,
        }
    }
}

/// A masked frame of less than 126 bytes.
fn frame(first: u8, payload: &[u8], answers: Option<usize>) -> ScriptFrame {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let length = u8::try_from(payload.len())
        .ok()
        .filter(|length| *length < 126)
        .expect("a short frame");
    let masked = payload
        .iter()
        .zip(MASK.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    let bytes = [first, 0x80 | length]
        .into_iter()
        .chain(MASK)
        .chain(masked)
        .collect();
    ScriptFrame {
        bytes,
        text: format!("{first:#04x} {}", payload.escape_ascii()),
        answers,
    }
}
