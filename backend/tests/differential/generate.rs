//! Random sequences of requests: mostly plain ones that look like one client's, and mutations of
//! them.

mod waits;

use crate::mutate::{MUTATIONS, Mutation};
use crate::script::{
    Answers, ETAG, MutationClass, NEXT, NUMBER, RequestSequence, ScriptRequest, ScriptStep,
};
use crate::settings::DifferentialSettings;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A target that does not exist. Its response marks the end where the number of responses is not
/// known.
pub(crate) const SENTINEL: &str = "/v1/sentinel";

/// A stream that exists at the start of each sequence.
#[derive(Debug)]
pub(crate) struct ScriptStream {
    /// The name as spelled in its path, without the prefix.
    pub(crate) name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    is_closed: bool,
}

/// The streams at the start of each sequence. Only smuggled requests touch the last one.
pub(crate) const STREAMS: [ScriptStream; 6] = [
    ScriptStream {
        name: "text",
        content_type: "text/plain",
        content: b"abc",
        is_closed: false,
    },
    ScriptStream {
        name: "json",
        content_type: "application/json",
        content: b"[1,{\"a\":2}]",
        is_closed: false,
    },
    ScriptStream {
        name: "bin",
        content_type: "application/octet-stream",
        content: b"\x00\xff\r\n",
        is_closed: false,
    },
    ScriptStream {
        name: "p%20q",
        content_type: "text/plain",
        content: b"decoded",
        is_closed: false,
    },
    ScriptStream {
        name: "closed",
        content_type: "text/plain",
        content: b"end",
        is_closed: true,
    },
    ScriptStream {
        name: "victim",
        content_type: "text/plain",
        content: b"kept",
        is_closed: false,
    },
];

impl ScriptStream {
    /// The PUT that creates it.
    pub(crate) fn creation(&self) -> ScriptRequest {
        let mut fields = vec![format!("Content-Type: {}", self.content_type)];
        if self.is_closed {
            fields.push("Stream-Closed: true".to_owned());
        }
        ScriptRequest::new("PUT", &stream_target(self.name), &fields).with_body(self.content)
    }
}

/// The path of a stream.
pub(crate) fn stream_target(name: &str) -> String {
    format!("/v1/stream/{NUMBER}/{name}")
}

/// A random element of `choices`.
pub(crate) fn pick<'a, T>(random: &mut SmallRng, choices: &'a [T]) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

/// Generates one sequence.
struct SequenceGenerator<'a> {
    random: SmallRng,
    settings: &'a DifferentialSettings,
    /// Header fields that this client sends with every request.
    fields: Vec<String>,
    connections: usize,
}

/// The sequence number `number` of the run with this seed.
pub(crate) fn sequence(settings: &DifferentialSettings, number: u64) -> RequestSequence {
    let mut random =
        SmallRng::seed_from_u64(settings.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let usual: [&[&str]; 5] = [
        &[],
        &[],
        &["Accept: */*", "User-Agent: differential"],
        &["Origin: http://localhost:1"],
        &["Connection: keep-alive", "Accept: */*"],
    ];
    let fields = pick(&mut random, &usual)
        .iter()
        .map(|field| (*field).to_owned())
        .collect();
    let connections = random.random_range(1..=3);
    let mut generator = SequenceGenerator {
        random,
        settings,
        fields,
        connections,
    };
    let mut steps: Vec<ScriptStep> = Vec::new();
    for _ in 0..generator.random.random_range(1..=10) {
        let again = steps
            .last()
            .filter(|step| matches!(step, ScriptStep::Send { .. }))
            .cloned();
        match again.filter(|_| generator.random.random_bool(0.2)) {
            Some(again) => steps.push(again),
            None => steps.push(generator.step()),
        }
    }
    RequestSequence { steps }
}

impl SequenceGenerator<'_> {
    fn may(&self, class: MutationClass) -> bool {
        self.settings.may(class)
    }

    fn connection(&mut self) -> usize {
        self.random.random_range(0..self.connections)
    }

    fn step(&mut self) -> ScriptStep {
        let connection = self.connection();
        match self.random.random_range(0..100) {
            0..74 => self.send(connection, 1),
            74..84 => self.pipeline(connection),
            84..91 => self.follow(connection),
            91..95 if self.may(MutationClass::WebSocket) => self.web_socket(connection),
            95..97 => ScriptStep::Finish { connection },
            97..99 => ScriptStep::Drop { connection },
            _ => self.send(connection, 1),
        }
    }

    fn send(&mut self, connection: usize, count: usize) -> ScriptStep {
        let requests: Vec<ScriptRequest> = (0..count).map(|_| self.request()).collect();
        let length = requests
            .iter()
            .map(|request| request.bytes().len())
            .sum::<usize>()
            .max(2);
        let mut cuts = Vec::new();
        let may_cut = self.may(if count > 1 {
            MutationClass::CutPipelined
        } else {
            MutationClass::Cut
        });
        if self.random.random_bool(0.15) && may_cut {
            let count = self.random.random_range(1..=3);
            cuts = (0..count)
                .map(|_| self.random.random_range(1..length))
                .collect();
            cuts.sort_unstable();
        }
        // A client that half-closes while a long-poll waits counts as gone, whether it was answered
        // or not.
        let may_finish =
            self.may(MutationClass::HalfClose) && !requests.iter().any(ScriptRequest::may_wait);
        let finish = self.random.random_bool(0.03) && may_finish;
        ScriptStep::Send {
            connection,
            requests,
            cuts,
            finish,
        }
    }

    fn pipeline(&mut self, connection: usize) -> ScriptStep {
        let count = if self.may(MutationClass::Pipelined) {
            self.random.random_range(2..=4)
        } else {
            1
        };
        let mut step = self.send(connection, count);
        if let ScriptStep::Send { requests, .. } = &mut step {
            let (head, body) = (
                self.may(MutationClass::PipelinedHead),
                self.may(MutationClass::PipelinedBody),
            );
            let mut is_first = true;
            requests.retain(|request| {
                let has_body = !std::mem::take(&mut is_first) && !request.body.is_empty();
                (head || !request.is_head()) && (body || !has_body)
            });
            if requests.is_empty() {
                requests.push(self.get());
            }
        }
        step
    }

    /// A request, possibly mutated.
    fn request(&mut self) -> ScriptRequest {
        let mut request = self.plain();
        if self.random.random_bool(0.35) {
            let possible: Vec<&Mutation> = MUTATIONS
                .iter()
                .filter(|it| self.settings.may(it.class))
                .collect();
            if !possible.is_empty() {
                let mutation = *pick(&mut self.random, &possible);
                (mutation.apply)(&mut self.random, &mut request);
                request.class = Some(mutation.class);
            }
        }
        // Where the number of responses is not known, another request follows in the same write.
        if request.may_be_head()
            && request.answers == Answers::Unknown
            && !self.may(MutationClass::PipelinedHead)
        {
            return self.get();
        }
        request
    }

    fn plain(&mut self) -> ScriptRequest {
        match self.random.random_range(0..100) {
            0..45 => self.get(),
            45..70 => self.post(),
            70..78 => {
                let hold = *pick(&mut self.random, &["0", "0.05"]);
                let offset = *pick(
                    &mut self.random,
                    &["0000000000000000", "now", "{next}", "0000000000000003"],
                );
                let cursor = *pick(
                    &mut self.random,
                    &["", "", "&cursor=18446744073709551615", "&cursor=x"],
                );
                let name = self.name();
                self.on_stream(
                    "GET",
                    name,
                    &format!("?offset={offset}&live=long-poll&hold={hold}{cursor}"),
                )
            }
            78..83 if self.may(MutationClass::Head) => {
                let name = self.name();
                let mut request = self.on_stream("HEAD", name, "");
                request.class = Some(MutationClass::Head);
                request
            }
            83..88 => self.put(),
            88..90 => {
                let name = self.name();
                self.on_stream("DELETE", name, "")
            }
            90..93 => {
                let name = self.name();
                let mut request = self.on_stream("OPTIONS", name, "");
                if self.random.random_bool(0.5) {
                    request
                        .fields
                        .push(b"Access-Control-Request-Method: GET\r\n".to_vec());
                }
                request
            }
            93..96 => {
                let target = (*pick(
                    &mut self.random,
                    &[
                        "/v1/nothing",
                        "/v1/stream/",
                        "/v1/stream",
                        "/v1/streams?prefix=none",
                    ],
                ))
                .to_owned();
                ScriptRequest::new("GET", &target, &self.fields)
            }
            _ => self.ended_live(),
        }
    }

    fn name(&mut self) -> &'static str {
        crate::mutate::choose(
            &mut self.random,
            &[
                "text", "text", "text", "json", "bin", "p%20q", "closed", "none", "new",
            ],
        )
    }

    fn on_stream(&mut self, method: &str, name: &str, query: &str) -> ScriptRequest {
        ScriptRequest::new(
            method,
            &format!("{}{query}", stream_target(name)),
            &self.fields,
        )
    }

    fn get(&mut self) -> ScriptRequest {
        const QUERIES: [&str; 9] = [
            "",
            "?offset=-1",
            "?offset=-1",
            "?offset=now",
            "?offset=0000000000000003",
            "?offset={next}",
            "?offset=0000000000000001",
            "?offset=wrong",
            "?live=",
        ];
        let (name, query) = (self.name(), *pick(&mut self.random, &QUERIES));
        let mut request = self.on_stream("GET", name, &query.replace("{next}", NEXT));
        if self.random.random_bool(0.2) {
            request
                .fields
                .push(format!("If-None-Match: {ETAG}\r\n").into_bytes());
        }
        request
    }

    fn post(&mut self) -> ScriptRequest {
        let name = self.name();
        self.post_to(name)
    }

    fn post_to(&mut self, name: &str) -> ScriptRequest {
        let (content_type, bodies): (&str, &[&[u8]]) = match name {
            "json" => (
                "application/json",
                &[b"[1,2]", b"3", b"[4", b"[]", b"{\"b\":[]}"],
            ),
            "bin" => (
                "application/octet-stream",
                &[b"\x00", b"\r\n\r\n", b"\xff\xfe"],
            ),
            _ => ("text/plain", &[b"x", b"hello", b"", b"a longer line\n"]),
        };
        let mut request = self.on_stream("POST", name, "");
        request
            .fields
            .push(format!("Content-Type: {content_type}\r\n").into_bytes());
        let body = *pick(&mut self.random, bodies);
        request.with_body(body)
    }

    fn put(&mut self) -> ScriptRequest {
        // Closed streams stay closed, as live reads of them would not end otherwise.
        let name = *pick(&mut self.random, &["text", "json", "p%20q", "none", "new"]);
        let mut request = self.on_stream("PUT", name, "");
        let content_type = *pick(
            &mut self.random,
            &[
                "text/plain",
                "application/json",
                "Text/Plain; charset=utf-8",
            ],
        );
        request
            .fields
            .push(format!("Content-Type: {content_type}\r\n").into_bytes());
        if self.random.random_bool(0.1) {
            request.fields.push(b"Stream-Closed: true\r\n".to_vec());
        }
        let body = *pick(&mut self.random, &["", "", "[]", "1"]);
        if body.is_empty() {
            request
        } else {
            request.with_body(body.as_bytes())
        }
    }

    /// A live read that ends by itself, because its stream is closed or does not exist.
    fn ended_live(&mut self) -> ScriptRequest {
        let live = *pick(&mut self.random, &["ndjson", "sse", "websocket", "nothing"]);
        let (name, offset) = (
            *pick(&mut self.random, &["closed", "absent"]),
            *pick(&mut self.random, &["-1", "now"]),
        );
        self.on_stream("GET", name, &format!("?offset={offset}&live={live}"))
    }
}
