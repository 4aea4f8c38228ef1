//! One data directory through several runs of the server: start, check everything, write, crash.

use super::lifecycle::{self, LifecycleOutcome};
use super::plan::{DEADLINE, RoundEnd};
use super::process::{ServerFolder, ServerOptions, http_client};
use super::reader::{CrashFollower, ReadFailure, StreamView, read_stream};
use super::stream::{CrashCounts, CrashStream, StreamPresence};
use super::writer::CrashWriter;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tailwater_client::drivers::native::NativeClient;
use tailwater_harness::ServerProcess;
use tailwater_protocol::Technique;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a round waits for a planned fault before it kills the server.
const FAULT_WITHIN: Duration = Duration::from_millis(500);

/// A data directory and all that is known about its content.
#[derive(Debug)]
pub(crate) struct CrashRun {
    folder: ServerFolder,
    store: &'static str,
    http: reqwest::Client,
    client: NativeClient,
    random: SmallRng,
    streams: Vec<CrashStream>,
    names: u64,
    /// Counts since they were last taken.
    pub(crate) counts: CrashCounts,
}

/// Stops a server cleanly.
fn stop_cleanly(server: ServerProcess) -> Result<(), String> {
    server.stop(DEADLINE).map_err(|fault| fault.to_string())
}

type Writing = JoinSet<(usize, CrashWriter, Result<(), String>)>;

impl CrashRun {
    /// - `store`: `disk`, or `memory` to check that the test detects lost data.
    pub(crate) fn new(
        folder: ServerFolder,
        store: &'static str,
        client: NativeClient,
        seed: u64,
    ) -> Self {
        let http = http_client();
        let random = SmallRng::seed_from_u64(seed);
        let (streams, counts) = (Vec::new(), CrashCounts::default());
        Self {
            folder,
            store,
            http,
            client,
            random,
            streams,
            names: 0,
            counts,
        }
    }

    /// One run of the server.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) async fn run_once(&mut self, round_end: &RoundEnd) -> Result<(), String> {
        let server = self.start(Some(round_end)).await?;
        self.catch_up(false).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = watch::channel(false);
        let writing = self.write(&stop, &ended);
        let answered = Arc::new(Notify::new());
        let changing = self.keep(&answered);
        match round_end {
            RoundEnd::KillAtResponse(after) => {
                let _which = timeout(*after, answered.notified()).await;
                server.kill().unwrap();
            }
            RoundEnd::Kill(after) => {
                sleep(*after).await;
                server.kill().unwrap();
            }
            RoundEnd::Stop(after) => {
                sleep(*after).await;
                stop_cleanly(server)?;
            }
            RoundEnd::Abort(point, _) => self.await_abort(server, point),
            RoundEnd::Error(..) => {
                sleep(FAULT_WITHIN / 2).await;
                stop.store(true, Ordering::Relaxed);
                self.collect(writing, changing).await?;
                // A failing store does not answer some requests, but what was acknowledged can
                // still be read.
                self.check_all(false).await.map_err(ReadFailure::text)?;
                server.kill().unwrap();
                self.leave();
                return Ok(());
            }
        }
        end.send_replace(true);
        stop.store(true, Ordering::Relaxed);
        self.collect(writing, changing).await?;
        self.leave();
        Ok(())
    }

    /// The last run: every follower gets everything, and a clean stop loses nothing.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) async fn end(&mut self) -> Result<(), String> {
        let server = self.start(None).await?;
        self.catch_up(true).await?;
        self.leave();
        stop_cleanly(server)?;
        stop_cleanly(self.start(None).await?)
    }

    /// Where the data was left for inspection.
    pub(crate) fn data_location(&self) -> String {
        format!("its data is in {}", self.folder.data.display())
    }

    /// The last lines of the servers' log.
    pub(crate) fn log_tail(&self) -> String {
        self.folder.log_tail()
    }

    /// Starts a server, at the second attempt if necessary, and checks everything.
    async fn start(&mut self, round_end: Option<&RoundEnd>) -> Result<ServerProcess, String> {
        let mut fault = round_end.and_then(RoundEnd::fault);
        loop {
            let options = self.options(fault.clone());
            if self.store == "disk" && self.random.random_ratio(1, 8) {
                let first = self.folder.spawn(&options);
                sleep(Duration::from_millis(self.random.random_range(0..60))).await;
                first.kill().unwrap();
            }
            let started = self.folder.start(&options);
            // With new connections: those to the killed server are unusable.
            self.http = http_client();
            let looked = match started {
                Ok(server) => self.check_all(true).await.map(|()| server),
                Err(_) if fault.is_some() => Err(ReadFailure::Died),
                Err(wrong) => Err(ReadFailure::Wrong(wrong)),
            };
            match looked {
                Ok(server) => {
                    self.go_on();
                    return Ok(server);
                }
                // The fault can interrupt work that the start finishes.
                Err(ReadFailure::Died) if fault.is_some() => {
                    self.counts
                        .struck
                        .extend(round_end.and_then(RoundEnd::point));
                    fault = None;
                }
                Err(other) => return Err(other.text()),
            }
        }
    }

    fn options(&mut self, fault: Option<String>) -> ServerOptions {
        let sync = ["always", "always", "always", "50ms", "never"][self.random.random_range(0..5)];
        let mut more: Vec<String> = ["--workers", "2", "--long-poll-hold", "5s"]
            .map(str::to_owned)
            .into();
        if self.store == "disk" && self.random.random_ratio(1, 2) {
            // So small that most reads are served from disk.
            more.extend(["--hot-max", "64KiB"].map(str::to_owned));
        }
        if self.random.random_ratio(1, 2) {
            // With takeover in some runs, and through the HTTP library in others.
            more.extend(["--takeover", "false"].map(str::to_owned));
        }
        ServerOptions {
            store: self.store,
            sync,
            fault,
            more,
            through: Vec::new(),
        }
    }

    fn await_abort(&mut self, mut server: ServerProcess, point: &'static str) {
        if server.ended(FAULT_WITHIN).unwrap().is_some() {
            self.counts.struck.push(point);
        } else {
            server.kill().unwrap();
        }
    }

    /// Compares every stream with what is known about it.
    ///
    /// - `settles`: the server was restarted, so no request can still be in progress.
    async fn check_all(&mut self, settles: bool) -> Result<(), ReadFailure> {
        for at in 0..self.streams.len() {
            let has_forks = self.has_forks(at);
            let stream = &mut self.streams[at];
            let url = self.folder.url(&stream.path());
            let seen = read_stream(&self.http, &url, stream.kind, 0)
                .await
                .map_err(|no| no.named(&stream.name))?;
            if let (StreamView::Missing(404), StreamPresence::Gone, true) =
                (&seen, stream.presence, has_forks)
            {
                return Err(ReadFailure::Wrong(format!(
                    "{}: 404, although it has forks",
                    stream.name
                )));
            }
            let was = stream.presence;
            let compared = stream.compare(seen, settles, &mut self.counts);
            compared.map_err(|wrong| ReadFailure::Wrong(format!("{}: {wrong}", stream.name)))?;
            if settles && was == StreamPresence::Unsure && stream.presence == StreamPresence::Alive
            {
                lifecycle::repeat(&self.http, &self.folder.url(""), stream)
                    .await
                    .map_err(ReadFailure::Wrong)?;
            }
            self.check_offset(at).await?;
        }
        if settles {
            self.assign_clients();
        }
        Ok(())
    }

    /// Checks that an offset that was once returned still means the same.
    async fn check_offset(&mut self, at: usize) -> Result<(), ReadFailure> {
        let stream = &self.streams[at];
        if stream.presence != StreamPresence::Alive || stream.boundaries.is_empty() {
            return Ok(());
        }
        let from = stream.boundaries[self.random.random_range(0..stream.boundaries.len())];
        let url = self.folder.url(&stream.path());
        match read_stream(&self.http, &url, stream.kind, from)
            .await
            .map_err(|no| no.named(&stream.name))?
        {
            StreamView::Page(page) if page.content.starts_with(&stream.content[from..]) => Ok(()),
            other => {
                let came = match other {
                    StreamView::Page(page) => {
                        format!("{} different bytes", page.content.len())
                    }
                    StreamView::Missing(status) => status.to_string(),
                };
                Err(ReadFailure::Wrong(format!(
                    "{}: reading from {from} gave {came}",
                    stream.name
                )))
            }
        }
    }

    fn has_forks(&self, at: usize) -> bool {
        let name = &self.streams[at].name;
        let is_fork = |it: &&CrashStream| {
            it.creation
                .fork
                .as_ref()
                .is_some_and(|(source, ..)| source == name)
        };
        self.streams
            .iter()
            .filter(is_fork)
            .any(|it| it.presence == StreamPresence::Alive)
    }

    /// Gives new streams writers and followers, and removes those of deleted streams.
    fn assign_clients(&mut self) {
        for stream in &mut self.streams {
            if stream.presence == StreamPresence::Alive && stream.followers.is_empty() {
                for technique in Technique::ALL {
                    let (seed, alone) = (self.random.random(), self.random.random_ratio(1, 6));
                    stream
                        .followers
                        .push(CrashFollower::new(technique, seed, alone));
                }
                if !stream.closed {
                    stream.add_writers(&mut self.random);
                }
            }
            if stream.presence == StreamPresence::Gone {
                (stream.followers, stream.writers, stream.content) = Default::default();
            }
        }
        // It never existed; all that is known is that it was not created.
        self.streams
            .retain(|it| it.presence != StreamPresence::Gone || it.deletion_asked);
    }

    fn go_on(&mut self) {
        for stream in &mut self.streams {
            let url = self.folder.url(&stream.path());
            for follower in &mut stream.followers {
                follower.go_on(&self.client, &url);
            }
        }
    }

    fn leave(&mut self) {
        let followers = self
            .streams
            .iter_mut()
            .flat_map(|stream| &mut stream.followers);
        followers
            .filter(|follower| !follower.recovers_alone)
            .for_each(CrashFollower::leave);
    }

    /// Waits until followers have everything; those that are never restarted only if `all`.
    async fn catch_up(&self, all: bool) -> Result<(), String> {
        for stream in self
            .streams
            .iter()
            .filter(|stream| stream.presence == StreamPresence::Alive)
        {
            for follower in &stream.followers {
                let checked = match all || !follower.recovers_alone {
                    true => follower.catch_up(&stream.content, stream.closed).await,
                    false => follower.check(&stream.content),
                };
                checked.map_err(|wrong| format!("{}: {wrong}", stream.name))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, stop: &Arc<AtomicBool>, ended: &watch::Receiver<bool>) -> Writing {
        let mut writing = JoinSet::new();
        for (at, stream) in self
            .streams
            .iter_mut()
            .enumerate()
            .filter(|(_, it)| it.presence == StreamPresence::Alive)
        {
            let url = self.folder.url(&stream.path());
            for mut writer in std::mem::take(&mut stream.writers) {
                let (http, url, stop) = (self.http.clone(), url.clone(), Arc::clone(stop));
                let ended = ended.clone();
                writing.spawn(async move {
                    let outcome = writer.write(&http, &url, &stop, ended).await;
                    (at, writer, outcome)
                });
            }
        }
        writing
    }

    fn keep(&mut self, answered: &Arc<Notify>) -> tokio::task::JoinHandle<Vec<LifecycleOutcome>> {
        let requests = lifecycle::plan(&self.streams, &mut self.names, &mut self.random);
        let paths = self.streams.iter().map(CrashStream::path).collect();
        let random = SmallRng::seed_from_u64(self.random.random());
        tokio::spawn(lifecycle::keep(
            self.http.clone(),
            self.folder.url(""),
            requests,
            paths,
            random,
            Arc::clone(answered),
        ))
    }

    async fn collect(
        &mut self,
        mut writing: Writing,
        changing: tokio::task::JoinHandle<Vec<LifecycleOutcome>>,
    ) -> Result<(), String> {
        let late = |_| format!("writers do not end within {DEADLINE:?}");
        while let Some(ended) = timeout(DEADLINE * 2, writing.join_next())
            .await
            .map_err(late)?
        {
            let (at, writer, outcome) = ended.unwrap();
            let stream = &mut self.streams[at];
            outcome.map_err(|wrong| format!("{}: {wrong}", stream.name))?;
            stream.writers.push(writer);
            stream.writers.sort_by_key(|writer| writer.id);
        }
        for done in timeout(DEADLINE * 2, changing)
            .await
            .map_err(late)?
            .unwrap()
        {
            done.note(&mut self.streams)?;
        }
        Ok(())
    }
}
