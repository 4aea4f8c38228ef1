//! The real streams, in memory or on disk, with outcomes in the notation of the model.

use super::ops::{AppendBody, Op, Sent};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tailwater_core::store::{DiskOptions, DiskStore, MemoryStore, Store, SyncMode};
use tailwater_core::{
    Accepted, Append, AppendError, Appended, Batch, CreateError, Created, ForkError, ForkPoint,
    ForkRequest, Log, Payload, Producer, ProducerId, ReadError, StreamConfig, StreamName,
    StreamSeq, Streams, Tail,
};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;
use tokio::runtime::Runtime;

/// The longest wait.
const DEADLINE: Duration = Duration::from_secs(20);

/// Streams on a store.
#[derive(Debug)]
pub(crate) struct Real {
    pub(crate) label: &'static str,
    runtime: Runtime,
    /// `None` only while it is reopened.
    open: Option<(Arc<dyn Store>, Streams)>,
    folder: Option<PathBuf>,
    case: u64,
}

impl Real {
    pub(crate) fn in_memory() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(1 << 40));
        let streams = Streams::new(Arc::clone(&store), usize::MAX);
        Self {
            label: "memory",
            runtime: runtime(),
            open: Some((store, streams)),
            folder: None,
            case: 0,
        }
    }

    pub(crate) fn on_disk(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _absent = std::fs::remove_dir_all(&folder);
        let open = Some(open(&folder));
        Self {
            label: "disk",
            runtime: runtime(),
            open,
            folder: Some(folder),
            case: 0,
        }
    }

    /// Starts a case, which uses its own stream names.
    pub(crate) fn begin(&mut self, case: u64) {
        self.case = case;
    }

    pub(crate) fn remove(mut self) {
        self.open = None;
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    /// Applies an operation and returns its outcome. Waits for the collection of hidden streams,
    /// which may happen later.
    pub(crate) fn apply(&mut self, op: &Op, expected: &str) -> String {
        let begun = Instant::now();
        loop {
            let outcome = self.once(op);
            let is_late =
                outcome != expected && outcome.ends_with("hidden") && begun.elapsed() < DEADLINE;
            if !is_late {
                return outcome;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn once(&mut self, op: &Op) -> String {
        if let Op::Reopen = op {
            return self.reopen();
        }
        let streams = &self.open.as_ref().unwrap().1;
        self.runtime.block_on(async {
            let doing = async {
                match op {
                    Op::Create {
                        name,
                        kind,
                        first,
                        closed,
                    } => {
                        let config = StreamConfig::new(media_type(*kind));
                        let first = first.as_ref().map(|body| payload(body, *kind));
                        created(
                            streams
                                .create(&self.name(*name), config, first, *closed)
                                .await,
                        )
                    }
                    Op::Append { name, sent } => match self.find(*name) {
                        Ok(log) => append(&log, sent).await,
                        Err(absent) => absent,
                    },
                    Op::Read { name, from, max } => match self.find(*name) {
                        Ok(log) => read(log.read(Offset::new(*from as u64).unwrap(), *max).await),
                        Err(absent) => absent,
                    },
                    Op::Delete { name } => match self.find(*name) {
                        Ok(_) => streams.delete(&self.name(*name)).await.map_or_else(
                            |error| error.to_string(),
                            |was_there| {
                                if was_there {
                                    "deleted".to_owned()
                                } else {
                                    "none".to_owned()
                                }
                            },
                        ),
                        Err(absent) => absent,
                    },
                    Op::Fork {
                        name,
                        source,
                        at,
                        first,
                    } => self.fork(*name, *source, *at, first.as_ref()).await,
                    Op::Reopen => unreachable!("done above"),
                }
            };
            tokio::time::timeout(DEADLINE, doing)
                .await
                .expect("an outcome in time")
        })
    }

    async fn fork(&self, name: u8, source: u8, at: usize, first: Option<&AppendBody>) -> String {
        match self.find(name) {
            Ok(_) => return "taken".into(),
            Err(absent) if absent == "hidden" => return absent,
            Err(_) => {}
        }
        let kind = self
            .find(source)
            .map_or(ContentKind::Json, |log| log.config().kind());
        let request = ForkRequest {
            source: self.name(source),
            at: Offset::new(at as u64).map(ForkPoint::Position),
            sub: 0,
            content_type: None,
            expiry: None,
            keep_bytes: None,
            keep_age: None,
            body: first
                .map(|body| Bytes::from(body.sent(kind)))
                .unwrap_or_default(),
            closed: false,
        };
        created(
            self.open
                .as_ref()
                .unwrap()
                .1
                .fork(&self.name(name), request)
                .await,
        )
    }

    /// The position of each producer, by name.
    pub(crate) fn producers(&self, name: u8) -> Vec<(String, (u64, u64))> {
        let producers = self.find(name).unwrap().producers();
        producers
            .into_iter()
            .map(|(id, at)| (id.to_string(), (at.epoch, at.seq)))
            .collect()
    }

    fn reopen(&mut self) -> String {
        if let Some(folder) = &self.folder {
            let (store, streams) = self.open.take().unwrap();
            drop(streams);
            store.close();
            drop(store);
            self.open = Some(open(folder));
        }
        "reopened".into()
    }

    fn name(&self, name: u8) -> StreamName {
        StreamName::parse(&format!("{}/{name}", self.case)).unwrap()
    }

    fn find(&self, name: u8) -> Result<Arc<Log>, String> {
        use tailwater_core::Absent;
        self.open
            .as_ref()
            .unwrap()
            .1
            .lookup(&self.name(name))
            .map_err(|absent| match absent {
                Absent::Unknown => "none".into(),
                Absent::Hidden => "hidden".into(),
            })
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Opens a store with little data in memory, so that reads are also made from disk.
fn open(folder: &Path) -> (Arc<dyn Store>, Streams) {
    let options = DiskOptions {
        sync: SyncMode::Never,
        hot_max: 2_000,
        reserve: 1,
    };
    let begun = Instant::now();
    let (store, mut recovery) = loop {
        match DiskStore::open(folder, &options) {
            Ok(opened) => break opened,
            // A pending read from disk keeps the store open.
            Err(error) if begun.elapsed() > DEADLINE => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let store: Arc<dyn Store> = Arc::new(store);
    let streams = Streams::open(Arc::clone(&store), &mut recovery, usize::MAX);
    (store, streams)
}

fn media_type(kind: ContentKind) -> &'static str {
    if kind == ContentKind::Json {
        "application/json"
    } else {
        "text/plain"
    }
}

fn payload(body: &AppendBody, kind: ContentKind) -> Payload {
    Payload::parse(kind, body.sent(kind).into()).unwrap()
}

fn end(tail: Tail) -> String {
    format!(
        "at {}{}",
        tail.next.bytes(),
        if tail.closed() { " closed" } else { "" }
    )
}

fn created(outcome: Result<Created, CreateError>) -> String {
    match outcome {
        Ok(Created { log, is_new: true }) => format!("made {}", end(log.tail_now())),
        Ok(Created { is_new: false, .. }) => "there".into(),
        Err(CreateError::Differs { .. }) => "differs".into(),
        Err(CreateError::Hidden { .. }) => "hidden".into(),
        Err(CreateError::Fork(ForkError::NoSource(_))) => "no source".into(),
        Err(CreateError::Fork(ForkError::SourceHidden(_))) => "source hidden".into(),
        Err(CreateError::Fork(ForkError::BeyondTail { .. })) => "beyond".into(),
        Err(CreateError::Fork(ForkError::Position(ReadError::InsideMessage { .. }))) => {
            "inside".into()
        }
        Err(other) => format!("{other:?}"),
    }
}

async fn append(log: &Arc<Log>, sent: &Sent) -> String {
    let producer = sent.producer.map(|(id, (epoch, seq))| Producer {
        id: ProducerId::parse("producer-id", &id.to_string()).unwrap(),
        at: Accepted { epoch, seq },
    });
    let only_at = sent
        .only_at
        .map(|away| log.offset(log.tail_now().next.advance(away.into()).unwrap()));
    let payload = sent
        .body
        .as_ref()
        .map(|body| payload(body, log.config().kind()));
    let seq = sent
        .seq
        .as_ref()
        .map(|seq| StreamSeq::parse("stream-seq", seq).unwrap());
    match log
        .append(Append {
            payload,
            close: sent.closes,
            seq,
            producer,
            only_at,
        })
        .await
    {
        Ok(Appended {
            tail,
            producer,
            is_new,
        }) => {
            let word = if is_new { "new" } else { "again" };
            format!(
                "{word} {:?} {}",
                producer.map(|at| (at.epoch, at.seq)),
                end(tail)
            )
        }
        Err(AppendError::Closed { tail }) => format!("closed {}", tail.next.bytes()),
        Err(AppendError::SeqNotRising { .. }) => "seq".into(),
        Err(AppendError::StaleEpoch { current, .. }) => format!("stale {current}"),
        Err(AppendError::Gap { expected, received }) => format!("gap {expected} {received}"),
        Err(AppendError::EpochStart { .. }) => "epoch start".into(),
        Err(AppendError::NotAtTail { tail, .. }) => format!("not at {}", tail.next.bytes()),
        Err(other) => format!("{other:?}"),
    }
}

fn read(outcome: Result<Batch, ReadError>) -> String {
    match outcome {
        Ok(batch) => {
            let data = String::from_utf8_lossy(&batch.data).into_owned();
            format!("{data:?} then {} {}", batch.next.bytes(), end(batch.tail))
        }
        Err(ReadError::InsideMessage { .. }) => "inside".into(),
        Err(other) => format!("{other:?}"),
    }
}
