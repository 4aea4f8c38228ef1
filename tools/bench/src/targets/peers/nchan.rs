//! nchan, a publish-subscribe server in nginx: each technique is a location, a position consists of two headers, and a POST is
//! always one message.

use crate::BenchFault;
use crate::target::{BenchTarget, BenchTechnique, From, JSON, Launch, UPGRADE, body, request};
use std::path::{Path, PathBuf};
use tailwater_harness::http::DecodedHead;

/// nginx and the module.
#[derive(Debug)]
pub(super) struct Nchan {
    pub(super) nginx: PathBuf,
    pub(super) module: PathBuf,
}

/// The configuration: messages are kept in memory, with limits above those of any run; no access log.
fn configuration(module: &Path, folder: &Path, port: u16) -> String {
    let locations: String = LOCATIONS
        .iter()
        .map(|(_, place, subscriber)| {
            format!(
                "    location ~ ^/{place}/(.+)$ {{ nchan_subscriber {subscriber}; nchan_channel_id $1; \
                 nchan_subscriber_first_message oldest; }}\n"
            )
        })
        .collect();
    format!(
        "load_module {module};
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/pid;
error_log {folder}/error.txt error;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_max_body_size 4m;
  client_body_buffer_size 2m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 3G;
  nchan_message_buffer_length 10000000;
  nchan_message_timeout 1h;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location ~ ^/append/(.+)$ {{ nchan_publisher http; nchan_channel_id $1; }}
{locations}  }}
}}
",
        module = module.display(),
        folder = folder.display(),
    )
}

/// Its names for the techniques. The counterpart of NDJSON is the raw stream: messages, each with a line break.
const LOCATIONS: [(BenchTechnique, &str, &str); 5] = [
    (BenchTechnique::Poll, "poll", "interval-poll"),
    (BenchTechnique::LongPoll, "long-poll", "longpoll"),
    (BenchTechnique::Ndjson, "raw", "http-raw-stream"),
    (BenchTechnique::Sse, "sse", "eventsource"),
    (BenchTechnique::Websocket, "websocket", "websocket"),
];

impl BenchTarget for Nchan {
    fn name(&self) -> String {
        "nchan".into()
    }

    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault> {
        let path = folder.join("nginx.conf");
        std::fs::write(&path, configuration(&self.module, folder, port))?;
        let arguments = vec!["-p".into(), folder.into(), "-c".into(), path.into()];
        Ok(Launch {
            program: self.nginx.clone(),
            arguments,
            environment: Vec::new(),
        })
    }

    fn offers(&self, _technique: BenchTechnique) -> bool {
        true
    }

    /// Channels need not be created.
    fn create(&self, _stream: &str, _technique: BenchTechnique) -> Option<Vec<u8>> {
        None
    }

    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
        request("POST", &format!("/append/{stream}"), JSON, &body(messages))
    }

    fn batches(&self) -> bool {
        false
    }

    fn has_pages(&self) -> bool {
        false
    }

    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8> {
        let place = LOCATIONS
            .iter()
            .find(|(one, ..)| *one == technique)
            .map_or("poll", |(_, place, _)| place);
        let mut headers = match from {
            From::Beginning => String::new(),
            From::At(position) => position.into(),
        };
        headers.push_str(match technique {
            BenchTechnique::Sse => "Accept: text/event-stream\r\n",
            BenchTechnique::Websocket => UPGRADE,
            _ => "",
        });
        request("GET", &format!("/{place}/{stream}"), &headers, b"")
    }

    /// The headers of the next request: a position is the second of a message, and its number within that second.
    fn position(&self, head: &DecodedHead<'_>) -> Option<String> {
        let (second, number) = (head.header("last-modified")?, head.header("etag")?);
        Some(format!(
            "If-Modified-Since: {second}\r\nIf-None-Match: {number}\r\n"
        ))
    }

    fn unchanged(&self, stream: &str, head: &DecodedHead<'_>) -> Option<Vec<u8>> {
        Some(self.read(
            stream,
            BenchTechnique::Poll,
            From::At(&self.position(head)?),
        ))
    }

    fn returns_empty_pages(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{ContentDecoder, ContentPart};

    #[test]
    fn a_position_becomes_the_fields_of_the_next_request() {
        let nchan = Nchan {
            nginx: "nginx".into(),
            module: "module.so".into(),
        };
        let response = b"HTTP/1.1 304 Not Modified\r\nLast-Modified: Sun, 22 Nov 2026 23:22:27 GMT\r\nEtag: 7\r\n\r\n";
        let mut position = None;
        let mut note = |part: ContentPart<'_>| {
            if let ContentPart::Head(head) = part {
                position = nchan.position(&head);
            }
            Ok(())
        };
        ContentDecoder::new()
            .feed(response, &mut note)
            .expect("a response");
        let next = nchan.read(
            "a",
            BenchTechnique::LongPoll,
            From::At(&position.expect("a position")),
        );
        assert_eq!(
            String::from_utf8_lossy(&next),
            "GET /long-poll/a HTTP/1.1\r\nHost: localhost\r\nIf-Modified-Since: Sun, 22 Nov 2026 23:22:27 GMT\r\n\
             If-None-Match: 7\r\n\r\n"
        );
    }

    #[test]
    fn every_technique_has_a_location_in_the_configuration() {
        let text = configuration(Path::new("/m.so"), Path::new("/f"), 4000);
        for (technique, place, subscriber) in LOCATIONS {
            assert!(
                text.contains(&format!(
                    "^/{place}/(.+)$ {{ nchan_subscriber {subscriber};"
                )),
                "{technique}: {text}"
            );
        }
        assert!(
            text.contains("127.0.0.1:4000") && text.contains("load_module /m.so;"),
            "{text}"
        );
    }
}
