//! A server whose responses a test defines, and which records the requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedRequest {
    /// `POST /v1/stream/x`.
    pub(crate) line: String,
    pub(crate) body: String,
}

/// Answers each request as its script says, one request for each connection.
#[derive(Debug)]
pub(crate) struct FakeServer {
    address: String,
    asked: Arc<Mutex<Vec<AskedRequest>>>,
}

impl FakeServer {
    /// - `script`: from method and target to the status line without `HTTP/1.1`, the headers and
    ///   the body.
    pub(crate) fn start(script: impl Fn(&str, &str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // A client that disconnected does not affect the others.
                let _gone = serve(client.unwrap(), &script, &memory);
            }
        });
        Self { address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<AskedRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// The bodies of the requests with a method.
    pub(crate) fn bodies(&self, method: &str) -> Vec<String> {
        self.asked()
            .into_iter()
            .filter(|it| it.line.starts_with(method))
            .map(|it| it.body)
            .collect()
    }
}

fn serve(
    mut client: TcpStream,
    script: &impl Fn(&str, &str) -> String,
    memory: &Mutex<Vec<AskedRequest>>,
) -> std::io::Result<()> {
    let mut input = BufReader::new(client.try_clone()?);
    let (mut line, mut length, mut is_chunked) = (String::new(), 0, false);
    input.read_line(&mut line)?;
    loop {
        let mut field = String::new();
        input.read_line(&mut field)?;
        let field = field.trim().to_ascii_lowercase();
        match field.split_once(':') {
            None => break,
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(("transfer-encoding", _)) => is_chunked = true,
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    while is_chunked {
        let mut size = String::new();
        input.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        input.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        is_chunked = size > 0;
    }
    let mut words = line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let body = String::from_utf8_lossy(&body).into_owned();
    memory.lock().unwrap().push(AskedRequest {
        line: format!("{method} {target}"),
        body,
    });
    write!(client, "HTTP/1.1 {}", script(method, target))
}

/// A response with a body, or without one if it is empty.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> String {
    let fields: String = headers.iter().map(|field| format!("{field}\r\n")).collect();
    // A response with this status has no body, so a length would make the client wait for one.
    let length = if status.starts_with("204") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{status}\r\nConnection: close\r\n{fields}{length}\r\n{body}")
}
