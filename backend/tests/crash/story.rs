//! One data directory through several runs of the server: start, check everything, write, crash.

use super::keeper::{self, ActDone};
use super::plan::DEADLINE;
use super::plan::Death;
use super::process::{ServerFolder, ServerOptions};
use super::reader::{CrashFollower, NoLook, StreamLook, look};
use super::stream::{Being, CrashStream, StoryCounts};
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
pub(crate) struct Story {
    folder: ServerFolder,
    store: &'static str,
    http: reqwest::Client,
    client: NativeClient,
    random: SmallRng,
    streams: Vec<CrashStream>,
    names: u64,
    /// Counts since they were last taken.
    pub(crate) counts: StoryCounts,
}

fn connections() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Stops a server cleanly.
fn stop_cleanly(server: ServerProcess) -> Result<(), String> {
    server.stop(DEADLINE).map_err(|fault| fault.to_string())
}

type Writing = JoinSet<(usize, CrashWriter, Result<(), String>)>;

impl Story {
    /// - `store`: `disk`, or `memory` to check that the test detects lost data.
    pub(crate) fn new(
        folder: ServerFolder,
        store: &'static str,
        client: NativeClient,
        seed: u64,
    ) -> Self {
        let http = connections();
        let random = SmallRng::seed_from_u64(seed);
        let (streams, counts) = (Vec::new(), StoryCounts::default());
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
    pub(crate) async fn live(&mut self, death: &Death) -> Result<(), String> {
        let server = self.start(Some(death)).await?;
        self.catch_up(false).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = watch::channel(false);
        let writing = self.write(&stop, &ended);
        let heard = Arc::new(Notify::new());
        let keeping = self.keep(&heard);
        match death {
            Death::KillAtAnswer(after) => {
                let _which = timeout(*after, heard.notified()).await;
                server.kill().unwrap();
            }
            Death::Kill(after) => {
                sleep(*after).await;
                server.kill().unwrap();
            }
            Death::Stop(after) => {
                sleep(*after).await;
                stop_cleanly(server)?;
            }
            Death::Abort(point, _) => self.await_abort(server, point),
            Death::Error(..) => {
                sleep(FAULT_WITHIN / 2).await;
                stop.store(true, Ordering::Relaxed);
                self.take_back(writing, keeping).await?;
                // A failing store does not answer some requests, but what was acknowledged can
                // still be read.
                self.look_at_all(false).await.map_err(NoLook::text)?;
                server.kill().unwrap();
                self.leave();
                return Ok(());
            }
        }
        end.send_replace(true);
        stop.store(true, Ordering::Relaxed);
        self.take_back(writing, keeping).await?;
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
    pub(crate) fn last_words(&self) -> String {
        self.folder.last_words()
    }

    /// Starts a server, at the second attempt if necessary, and checks everything.
    async fn start(&mut self, death: Option<&Death>) -> Result<ServerProcess, String> {
        let mut fault = death.and_then(Death::fault);
        loop {
            let options = self.options(fault.clone());
            if self.store == "disk" && self.random.random_ratio(1, 8) {
                let first = self.folder.spawn(&options);
                sleep(Duration::from_millis(self.random.random_range(0..60))).await;
                first.kill().unwrap();
            }
            let started = self.folder.start(&options);
            // With new connections: those to the killed server are unusable.
            self.http = connections();
            let looked = match started {
                Ok(server) => self.look_at_all(true).await.map(|()| server),
                Err(_) if fault.is_some() => Err(NoLook::Died),
                Err(wrong) => Err(NoLook::Wrong(wrong)),
            };
            match looked {
                Ok(server) => {
                    self.go_on();
                    return Ok(server);
                }
                // The fault can interrupt work that the start finishes.
                Err(NoLook::Died) if fault.is_some() => {
                    self.counts.struck.extend(death.and_then(Death::point));
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
            more.extend(["--hand-off", "false"].map(str::to_owned));
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
    async fn look_at_all(&mut self, settles: bool) -> Result<(), NoLook> {
        for at in 0..self.streams.len() {
            let has_forks = self.has_forks(at);
            let stream = &mut self.streams[at];
            let url = self.folder.url(&stream.path());
            let seen = look(&self.http, &url, stream.kind, 0)
                .await
                .map_err(|no| no.named(&stream.name))?;
            if let (StreamLook::Missing(404), Being::Gone, true) = (&seen, stream.being, has_forks)
            {
                return Err(NoLook::Wrong(format!(
                    "{}: 404, although it has forks",
                    stream.name
                )));
            }
            let was = stream.being;
            let absorbed = stream.absorb(seen, settles, &mut self.counts);
            absorbed.map_err(|wrong| NoLook::Wrong(format!("{}: {wrong}", stream.name)))?;
            if settles && was == Being::Unsure && stream.being == Being::Alive {
                keeper::repeat(&self.http, &self.folder.url(""), stream)
                    .await
                    .map_err(NoLook::Wrong)?;
            }
            self.look_from_within(at).await?;
        }
        if settles {
            self.settle_in();
        }
        Ok(())
    }

    /// Checks that an offset that was once returned still means the same.
    async fn look_from_within(&mut self, at: usize) -> Result<(), NoLook> {
        let stream = &self.streams[at];
        if stream.being != Being::Alive || stream.boundaries.is_empty() {
            return Ok(());
        }
        let from = stream.boundaries[self.random.random_range(0..stream.boundaries.len())];
        let url = self.folder.url(&stream.path());
        match look(&self.http, &url, stream.kind, from)
            .await
            .map_err(|no| no.named(&stream.name))?
        {
            StreamLook::Page(page) if page.content.starts_with(&stream.content[from..]) => Ok(()),
            other => {
                let came = match other {
                    StreamLook::Page(page) => {
                        format!("{} different bytes", page.content.len())
                    }
                    StreamLook::Missing(status) => status.to_string(),
                };
                Err(NoLook::Wrong(format!(
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
            .any(|it| it.being == Being::Alive)
    }

    /// Gives new streams writers and followers, and removes those of deleted streams.
    fn settle_in(&mut self) {
        for stream in &mut self.streams {
            if stream.being == Being::Alive && stream.followers.is_empty() {
                for technique in Technique::ALL {
                    let (seed, alone) = (self.random.random(), self.random.random_ratio(1, 6));
                    stream
                        .followers
                        .push(CrashFollower::new(technique, seed, alone));
                }
                if !stream.closed {
                    stream.hire(&mut self.random);
                }
            }
            if stream.being == Being::Gone {
                (stream.followers, stream.writers, stream.content) = Default::default();
            }
        }
        // It never existed; all that is known is that it was not created.
        self.streams
            .retain(|it| it.being != Being::Gone || it.deletion_asked);
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
            .filter(|follower| !follower.is_left_alone)
            .for_each(CrashFollower::leave);
    }

    /// Waits until followers have everything; those that are never restarted only if `all`.
    async fn catch_up(&self, all: bool) -> Result<(), String> {
        for stream in self
            .streams
            .iter()
            .filter(|stream| stream.being == Being::Alive)
        {
            for follower in &stream.followers {
                let checked = match all || !follower.is_left_alone {
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
            .filter(|(_, it)| it.being == Being::Alive)
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

    fn keep(&mut self, heard: &Arc<Notify>) -> tokio::task::JoinHandle<Vec<ActDone>> {
        let acts = keeper::plan(&self.streams, &mut self.names, &mut self.random);
        let paths = self.streams.iter().map(CrashStream::path).collect();
        let random = SmallRng::seed_from_u64(self.random.random());
        tokio::spawn(keeper::keep(
            self.http.clone(),
            self.folder.url(""),
            acts,
            paths,
            random,
            Arc::clone(heard),
        ))
    }

    async fn take_back(
        &mut self,
        mut writing: Writing,
        keeping: tokio::task::JoinHandle<Vec<ActDone>>,
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
        for done in timeout(DEADLINE * 2, keeping).await.map_err(late)?.unwrap() {
            done.note(&mut self.streams)?;
        }
        Ok(())
    }
}
