//! Streams in an application of your own: `cargo run --package tailwater --example embed`, and then
//!
//! ```text
//! curl -X PUT  http://127.0.0.1:4440/events/v1/stream/demo -H 'Content-Type: text/plain' -d hello
//! curl -N 'http://127.0.0.1:4440/events/v1/stream/demo?offset=-1&live=sse'
//! ```

use actix_web::{App, HttpServer, get, middleware::Logger};
use std::{env, io, time::Duration};
use tailwater::config::{Config, StoreKind};
use tailwater::mount::{Mount, open};

#[get("/")]
async fn index() -> &'static str {
    "This application has streams at /events/v1/stream/NAME.\n"
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).map_or(Ok(4440), |port| port.parse());
    let config = Config {
        listen: ([127, 0, 0, 1], port.map_err(io::Error::other)?).into(),
        store: StoreKind::Memory,
        long_poll_hold: Duration::from_millis(500),
        ..Config::default()
    };
    let address = config.listen;
    // Any store will do: `Opened { store, recovery }` of your own instead of `open`.
    let opened = open(&config).map_err(io::Error::other)?;
    let streams = Mount::new("/events", config, opened)?;
    let mounted = streams.clone();
    let server = HttpServer::new(move || {
        let application = App::new().wrap(Logger::default()).service(index);
        application.configure(|service| mounted.configure(service))
    });
    let ending = streams.clone();
    let interrupted = async move {
        let _failed = actix_web::rt::signal::ctrl_c().await;
        ending.end();
    };
    let server = server.bind(address)?.shutdown_signal(interrupted);
    let ended = server.run().await;
    streams.close().await.and(ended)
}
