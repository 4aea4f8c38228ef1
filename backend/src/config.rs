//! All settings of the server: flag, environment name, default, unit and purpose.

use tailwater_core::StreamLimits;
use tailwater_core::store::SyncMode;
#[cfg(feature = "cli")]
pub mod values;

use crate::subscriptions::SubscriptionLimits;
#[cfg(feature = "cli")]
use clap::{ArgAction, builder::BoolishValueParser};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;
#[cfg(feature = "cli")]
use values::{
    bytes_value, duration_value, path_value, public_url_value, sync_value, workers_value,
};

/// Settings of `tailwater serve`. Each flag has an environment name, `TAILWATER_` and the flag in
/// capitals.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_LISTEN",
            default_value = "127.0.0.1:4437",
            value_name = "ADDRESS:PORT"
        )
    )]
    pub listen: SocketAddr,

    /// Where streams are stored. `disk`: in --data-dir, as durable as --sync says; `memory`:
    /// nothing survives the process
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_STORE", value_enum, default_value_t = StoreKind::Disk))]
    pub store: StoreKind,

    /// Directory of the disk store, created if it is missing; used by one server at a time
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_DATA_DIR", default_value = "tailwater-data", value_parser = path_value, value_name = "PATH"))]
    pub data_dir: PathBuf,

    /// Refuse a --data-dir that users other than its owner can read; by default that is a warning
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_STRICT", value_parser = BoolishValueParser::new()))]
    pub strict: bool,

    /// When an append is acknowledged: `always`: when it survives a loss of power; `never`: when
    /// the system has it, so that it survives a crash of this process only; a time such as `50ms`:
    /// the same, and it survives a loss of power after that time
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_SYNC", default_value = "always", value_parser = sync_value, value_name = "always|never|TIME"))]
    pub sync: SyncMode,

    /// Bytes of the latest appends that the disk store keeps in memory, of all streams together;
    /// older ones are read from disk
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_HOT_MAX", default_value = "256MiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub hot_max: u64,

    /// Bytes of the disk to leave free, which merging also needs; below it appends get 507, and
    /// deletions and reads continue
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_DISK_RESERVE", default_value = "256MiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub disk_reserve: u64,

    /// Bytes that the memory store may keep (payload and bookkeeping); beyond it appends get 507
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_MEMORY_MAX", default_value = "1GiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub memory_max: u64,

    /// Streams that may exist; beyond it creations get 507
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_STREAMS_MAX",
            default_value_t = 100_000,
            value_name = "N"
        )
    )]
    pub streams_max: usize,

    /// Names of deleted streams that are kept, at least 1, so that offsets of a deleted stream
    /// differ from those of the next stream of that name; when there are more, offsets of names
    /// that were removed begin with a higher number
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_DELETED_NAMES_MAX",
            default_value_t = 100_000,
            value_name = "N"
        )
    )]
    pub deleted_names_max: usize,

    /// Messages that one append may have, and the first content of a stream; beyond it 400
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_APPEND_MESSAGES_MAX",
            default_value_t = 100_000,
            value_name = "N"
        )
    )]
    pub append_messages_max: usize,

    /// How often expired streams and messages are looked for
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_SWEEP", default_value = "1s", value_parser = duration_value, value_name = "TIME"))]
    pub sweep: Duration,

    /// Largest request body, before and after decompression, and largest WebSocket message; beyond
    /// it 413, or close code 1009. A line of an import may hold as much, or --page-max if that is
    /// more
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_BODY_MAX", default_value = "16MiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub body_max: u64,

    /// Time in which the next 16 KiB of a request body, or its end, must arrive; otherwise 408. A
    /// WebSocket message must be complete within the same time (close code 1008)
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_BODY_SILENCE_MAX", default_value = "60s", value_parser = duration_value, value_name = "TIME"))]
    pub body_silence_max: Duration,

    /// Bytes that the server holds for all clients together, beyond 16 KiB in each direction of a
    /// connection: request bodies, unfinished messages, requests sent ahead, pages and messages
    /// that clients have not accepted yet; at least twice --body-max. Beyond it requests with a
    /// body get 503 at once, WebSockets are closed (1013), reads get 503 after 5 s, exports are cut
    /// off after 60 s, and live responses continue in pages of 16 KiB, and end after --heartbeat if
    /// there is no memory left within --buffers-max for a longer message
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_BUFFERS_MAX", default_value = "128MiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub buffers_max: u64,

    /// Largest page of one read; a single longer message is sent whole
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_PAGE_MAX", default_value = "1MiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub page_max: u64,

    /// Largest request head (request line and headers), 120KiB at most; beyond it 431
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_HEAD_MAX", default_value = "16KiB", value_parser = bytes_value, value_name = "BYTES"))]
    pub head_max: u64,

    /// Time from the first byte of a request to its whole head; a client that takes longer is
    /// disconnected
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_HEAD_SILENCE_MAX", default_value = "10s", value_parser = duration_value, value_name = "TIME"))]
    pub head_silence_max: Duration,

    /// How long a long-poll is held at the tail; below the usual limits of proxies
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_LONG_POLL_HOLD", default_value = "25s", value_parser = duration_value, value_name = "TIME"))]
    pub long_poll_hold: Duration,

    /// The longest hold that a request may ask for (`?hold=SECONDS`)
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_LONG_POLL_HOLD_MAX", default_value = "60s", value_parser = duration_value, value_name = "TIME"))]
    pub long_poll_hold_max: Duration,

    /// Time without data after which a live response sends a heartbeat, so that proxies do not
    /// close its connection
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_HEARTBEAT", default_value = "15s", value_parser = duration_value, value_name = "TIME"))]
    pub heartbeat: Duration,

    /// Lifetime of a streaming response, with a tenth of jitter; then it ends cleanly and the
    /// reader reconnects
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_RECYCLE", default_value = "60s", value_parser = duration_value, value_name = "TIME"))]
    pub recycle: Duration,

    /// Connections that may be open; fewer where the system allows fewer open files. Beyond it,
    /// requests on the next 64 connections get 503, and further connections are closed on
    /// arrival
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_CONNECTIONS_MAX",
            default_value_t = 16_000,
            value_name = "N"
        )
    )]
    pub connections_max: usize,

    /// Long-polls that wait and live readers; beyond it 503
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_LIVE_READERS_MAX",
            default_value_t = 15_000,
            value_name = "N"
        )
    )]
    pub live_readers_max: usize,

    /// Idle time after which a kept-alive connection is closed; if it is below the poll interval,
    /// each poll opens a new connection
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_KEEP_ALIVE", default_value = "90s", value_parser = duration_value, value_name = "TIME"))]
    pub keep_alive: Duration,

    /// Time for which a client may accept no bytes of its response before it is disconnected; live
    /// responses also end if for this time there is no memory left within --buffers-max
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_WRITE_SILENCE_MAX", default_value = "60s", value_parser = duration_value, value_name = "TIME"))]
    pub write_silence_max: Duration,

    /// Whether connections are served outside of the HTTP library once their client waits at the
    /// tail of a stream, by any technique, or sends further plain requests (reads, appends)
    /// behind its first. Answers are the same either way; it saves memory and time (BENCHMARKS.md)
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_TAKEOVER", default_value_t = true, action = ArgAction::Set, value_parser = BoolishValueParser::new(), value_name = "BOOL"))]
    pub takeover: bool,

    /// How long a stop waits for responses in progress before it closes their connections
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_DRAIN", default_value = "10s", value_parser = duration_value, value_name = "TIME"))]
    pub drain: Duration,

    /// Web origin that may use the server, in addition to loopback origins and the server's own;
    /// may be repeated; `*` for all
    #[cfg_attr(
        feature = "cli",
        arg(
            long = "cors-origin",
            env = "TAILWATER_CORS_ORIGIN",
            value_delimiter = ',',
            value_name = "ORIGIN"
        )
    )]
    pub cors_origins: Vec<String>,

    /// Offer the lab (sources, counting relays) although the server does not listen on loopback, or
    /// a proxy is in front of it
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_LAB", value_parser = BoolishValueParser::new()))]
    pub lab: bool,

    /// Subscriptions that may exist; beyond it creations get 507
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_SUBSCRIPTIONS_MAX",
            default_value_t = 1_000,
            value_name = "N"
        )
    )]
    pub subscriptions_max: usize,

    /// Streams that one subscription may follow; each adds about 100 bytes to every change that is
    /// written
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_SUBSCRIPTION_STREAMS_MAX",
            default_value_t = 10_000,
            value_name = "N"
        )
    )]
    pub subscription_streams_max: usize,

    /// Webhook requests that may be in progress at once; others wait
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            env = "TAILWATER_WEBHOOKS_MAX",
            default_value_t = 64,
            value_name = "N"
        )
    )]
    pub webhooks_max: usize,

    /// How long a webhook may take to answer, unless its lease ends before; then it is sent again
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_WEBHOOK_ANSWER_MAX", default_value = "30s", value_parser = duration_value, value_name = "TIME"))]
    pub webhook_answer_max: Duration,

    /// Allow webhooks to http://localhost and http://127.0.0.x although the server does not listen
    /// on loopback, or a proxy is in front of it
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_WEBHOOK_ALLOW_LOCAL", value_parser = BoolishValueParser::new()))]
    pub webhook_allow_local: bool,

    /// URL under which clients reach this server, for `Location`, callback and key URLs; by default
    /// the Host of the request
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_PUBLIC_URL", value_parser = public_url_value, value_name = "URL"))]
    pub public_url: Option<String>,

    /// Worker threads; by default one per core
    #[cfg_attr(feature = "cli", arg(long, env = "TAILWATER_WORKERS", value_parser = workers_value, value_name = "N"))]
    pub workers: Option<usize>,
}

/// Where streams are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum StoreKind {
    /// On disk; acknowledged appends survive.
    Disk,
    /// In memory; nothing survives the process.
    Memory,
}

impl Config {
    /// Maximum number of worker threads, see `actix_server::ServerBuilder::workers`.
    pub const WORKERS_MAX: usize = 512;

    /// Worker threads that serve requests.
    pub fn worker_threads(&self) -> usize {
        self.workers
            .or_else(|| available_parallelism().ok().map(NonZeroUsize::get))
            .map_or(1, |workers| workers.clamp(1, Self::WORKERS_MAX))
    }

    /// Whether the lab is enabled: by default only on loopback without a proxy.
    pub fn lab_on(&self) -> bool {
        self.lab || self.is_private(self.listen.ip())
    }

    /// Whether a server that listens on `address` is only reachable from this machine, as far as is
    /// known: `--public-url` implies a proxy. Requests that passed one are detected by
    /// `is_forwarded` in `http/head.rs`.
    fn is_private(&self, address: IpAddr) -> bool {
        address.is_loopback() && self.public_url.is_none()
    }

    /// The limits of streams.
    pub fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            streams_max: self.streams_max,
            append_messages_max: self.append_messages_max,
            deleted_names_max: self.deleted_names_max,
        }
    }

    /// The limits of subscriptions, for a server that listens on `address`.
    pub fn subscription_limits(&self, address: IpAddr) -> SubscriptionLimits {
        SubscriptionLimits {
            subscriptions_max: self.subscriptions_max,
            streams_max: self.subscription_streams_max,
            deliveries_max: self.webhooks_max,
            webhook_answer_max: self.webhook_answer_max,
            allow_local: self.webhook_allow_local || self.is_private(address),
            public_url: self.public_url.clone(),
        }
    }
}

impl Default for Config {
    /// The settings of `tailwater serve` without any flag.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4437)),
            store: StoreKind::Disk,
            data_dir: PathBuf::from("tailwater-data"),
            strict: false,
            sync: SyncMode::Always,
            hot_max: 256 << 20,
            disk_reserve: 256 << 20,
            memory_max: 1 << 30,
            streams_max: 100_000,
            deleted_names_max: 100_000,
            append_messages_max: 100_000,
            sweep: Duration::from_secs(1),
            body_max: 16 << 20,
            body_silence_max: Duration::from_secs(60),
            buffers_max: 128 << 20,
            page_max: 1 << 20,
            head_max: 16 << 10,
            head_silence_max: Duration::from_secs(10),
            long_poll_hold: Duration::from_secs(25),
            long_poll_hold_max: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
            recycle: Duration::from_secs(60),
            connections_max: 16_000,
            live_readers_max: 15_000,
            keep_alive: Duration::from_secs(90),
            write_silence_max: Duration::from_secs(60),
            takeover: true,
            drain: Duration::from_secs(10),
            cors_origins: Vec::new(),
            lab: false,
            subscriptions_max: 1_000,
            subscription_streams_max: 10_000,
            webhooks_max: 64,
            webhook_answer_max: Duration::from_secs(30),
            webhook_allow_local: false,
            public_url: None,
            workers: None,
        }
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests;
