//! The controller of the Race page: starts lanes, processes their reports, and renews leases, counts and clock probes.

mod lanes;
mod picture;
mod probe;
mod publish;
mod relay;
mod setup_error;
mod source;
mod version;

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::rc::{Rc, Weak};

use leptos::prelude::*;
use tailwater_protocol::{StreamOffset, Technique, Token};
use wasm_bindgen_futures::spawn_local;

use crate::api::name;
use crate::api::{clock, lab, stream};
use crate::browser;
use crate::lanes::readers::LaneReaders;
use crate::pages::race::model::export::Provenance;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::race::{RaceState, StreamState};
use crate::pages::race::model::saved_result::SavedResult;
use crate::pages::race::model::settings::{RaceSettings, RaceSource};
use crate::pages::race::model::summary::{LanePath, Summary};
use crate::widgets::connection::ServerConnection;
use probe::ClockProber;
use relay::RelayPorts;
use setup_error::RaceSetupError;

/// Interval in which the server is checked.
const CHECK_MS: f64 = 1_000.0;
/// Interval of attempts while the server or the stream is missing.
const RETRY_MS: f64 = 2_000.0;
/// Interval between two rounds of clock probes.
const PROBE_EVERY_MS: f64 = 30_000.0;
/// Probes of one round, and of the first one, which precedes the start of the lanes.
const PROBES: u32 = 40;
const PROBES_FIRST: u32 = 3;
/// Time for stopped readers to abort their requests.
const ENDING_MS: f64 = 100.0;
/// A named stream of no more than this is read from its beginning.
const SHORT_BYTES: u64 = 256 * 1_024;

/// A copy of the race for a paused picture; the race itself continues.
#[derive(Debug)]
struct PausedPicture {
    race: Box<RaceState>,
    summary: Summary,
    /// The right end of the drawings.
    at_ms: f64,
    /// Time and URL of the pause.
    provenance: Provenance,
}

/// The controller of the Race page.
pub struct RaceController {
    race: RefCell<RaceState>,
    readers: Rc<LaneReaders>,
    frozen: RefCell<Option<PausedPicture>>,
    relay_ports: RefCell<RelayPorts>,
    prober: RefCell<ClockProber>,
    start: RefCell<Token>,
    /// The stream of the source that this page uses.
    source_stream: RefCell<Option<String>>,
    /// Incremented with every change of stream; tasks of an earlier epoch end.
    epoch: Cell<u32>,
    seed: u64,
    /// Identifies this page to the sources that it uses. Unlike the seed, it is not published.
    holder: u64,
    /// The server's version; empty while it is not known.
    server_version: RefCell<String>,
    /// The figures that the page shows.
    pub summary: ArcRwSignal<Summary>,
    /// Whether the picture is paused.
    pub paused: ArcRwSignal<bool>,
    /// How far the paused picture has been stepped, ms; negative is back.
    pub stepped_ms: ArcRwSignal<f64>,
    /// The result of the link that was opened.
    pub saved: Option<SavedResult>,
    /// Whether that result is shown.
    pub shows_saved: ArcRwSignal<bool>,
    /// Whether only that result is shown: nothing is requested, and nothing changes.
    pub only_saved: ArcRwSignal<bool>,
}

impl std::fmt::Debug for RaceController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaceController")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl RaceController {
    /// Starts following the stream of the settings, or shows the saved result, if there is one.
    pub fn start(settings: RaceSettings, saved: Option<SavedResult>) -> Rc<Self> {
        let now_ms = browser::now_ms();
        let mut race = RaceState::new(settings, now_ms);
        race.set_hidden(browser::is_hidden(), now_ms);
        race.resolution_ms = probe::resolution_ms();
        let prober = ClockProber::new(race.resolution_ms);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "any number will do"
        )]
        let random = || (js_sys::Math::random() * f64::from(u32::MAX)) as u64;
        let controller = Rc::new_cyclic(|controller: &Weak<Self>| Self {
            race: RefCell::new(race),
            readers: lanes::lane_readers(controller),
            frozen: RefCell::default(),
            relay_ports: RefCell::default(),
            prober: RefCell::new(prober),
            start: RefCell::new(Token::now()),
            source_stream: RefCell::default(),
            epoch: Cell::new(0),
            // The same events as in the saved result, if they are generated.
            seed: saved.as_ref().map_or_else(random, |saved| saved.seed),
            holder: random(),
            server_version: RefCell::default(),
            summary: ArcRwSignal::default(),
            paused: ArcRwSignal::default(),
            stepped_ms: ArcRwSignal::default(),
            shows_saved: ArcRwSignal::new(saved.is_some()),
            only_saved: ArcRwSignal::new(saved.is_some()),
            saved,
        });
        match &controller.saved {
            Some(saved) => controller.summary.set(saved.summary.clone()),
            None => controller.restart(),
        }
        controller
    }

    fn race(&self) -> Ref<'_, RaceState> {
        self.race.borrow()
    }

    fn race_mut(&self) -> RefMut<'_, RaceState> {
        self.race.borrow_mut()
    }

    /// Sets everything up again, with the stream of the settings.
    fn restart(self: &Rc<Self>) {
        self.readers.start_workers();
        self.epoch.set(self.epoch.get() + 1);
        self.stop_readers();
        let (controller, epoch) = (self.clone(), self.epoch.get());
        spawn_local(async move { controller.run(epoch).await });
    }

    async fn run(self: &Rc<Self>, epoch: u32) {
        while self.epoch.get() == epoch {
            match self.set_up(epoch).await {
                Ok(()) => self.run_lanes(epoch).await,
                Err(RaceSetupError::Outdated) => return,
                Err(RaceSetupError::Missing) => {
                    self.race_mut().connection = ServerConnection::Connecting;
                    self.race_mut().stream_state = StreamState::Missing;
                    browser::sleep(RETRY_MS).await;
                }
                Err(RaceSetupError::Refused(why)) => {
                    self.race_mut().connection = ServerConnection::Connecting;
                    self.race_mut().stream_state = StreamState::Refused(why);
                    browser::sleep(RETRY_MS).await;
                }
                Err(RaceSetupError::Unreachable) => {
                    self.race_mut().connection = ServerConnection::Lost;
                    browser::sleep(RETRY_MS).await;
                }
            }
        }
    }

    fn current(&self, epoch: u32) -> Result<(), RaceSetupError> {
        if self.epoch.get() == epoch {
            Ok(())
        } else {
            Err(RaceSetupError::Outdated)
        }
    }

    async fn set_up(self: &Rc<Self>, epoch: u32) -> Result<(), RaceSetupError> {
        self.prober.borrow_mut().forget();
        // The ports of an earlier race may have been closed with its server.
        self.probe("", PROBES_FIRST).await?;
        self.current(epoch)?;
        let settings = self.race().settings.clone();
        let stream = match self.request_source(&settings).await {
            Ok(stream) => stream,
            Err(refusal) if refusal.is_missing() => {
                self.race_mut().path = LanePath::LabOff;
                RaceSource::HOST_STREAM.to_owned()
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.current(epoch)?;
        let stream = name::named(&stream);
        // For an invalid name there is no stream: nothing is requested, and nothing is appended to the previous stream.
        self.race_mut()
            .open(stream.as_ref().ok(), browser::now_ms());
        let stream = stream.map_err(|fault| RaceSetupError::Refused(fault.to_string()))?;
        let head = stream::head("", &stream).await?;
        self.current(epoch)?;
        let delays = (settings.up_ms, settings.down_ms);
        let path = relay::open(&self.relay_ports, &stream, delays)
            .await
            .map_err(RaceSetupError::from)?;
        self.current(epoch)?;
        if path == LanePath::Relay {
            // Probes and null readers use the relay like the lanes, but without its delays.
            self.prober.borrow_mut().forget();
            self.probe(&self.control_origin(), PROBES_FIRST).await?;
            self.lease_host().await;
            self.current(epoch)?;
        }
        {
            let mut race = self.race_mut();
            race.path = path;
            race.readers = self.readers.place();
            race.stream_state = StreamState::Found;
            race.begin_run(browser::now_ms());
            let (start, skipped) = beginning(&settings.source, &head.tail);
            race.skipped_bytes = skipped;
            *self.start.borrow_mut() = start;
            race.content_type = head.content_type;
        }
        for technique in settings.lanes_on() {
            self.start_lane(technique, None);
        }
        Ok(())
    }

    /// Runs the lanes until they have to be set up again.
    async fn run_lanes(self: &Rc<Self>, epoch: u32) {
        self.ask_version();
        let mut renewed_ms = browser::now_ms();
        // The first whole round of probes is delayed, so that it does not delay the first events.
        let mut probed_ms = renewed_ms - PROBE_EVERY_MS + CHECK_MS / 2.0;
        while self.epoch.get() == epoch {
            let now_ms = browser::now_ms();
            let seen = self.check_server().await;
            if self.epoch.get() != epoch {
                return;
            }
            match seen {
                // A refusal is a response, too; the counts follow with a later check.
                Ok(()) | Err(RaceSetupError::Refused(_)) => {
                    self.restart_left_behind();
                    self.race_mut().connection = self.reached();
                }
                Err(RaceSetupError::Unreachable) => {
                    self.race_mut().connection = ServerConnection::Lost;
                }
                Err(RaceSetupError::Missing | RaceSetupError::Outdated) => {
                    self.race_mut().connection = ServerConnection::Reconnecting;
                    self.stop_readers();
                    return;
                }
            }
            let responds = self.race().connection != ServerConnection::Lost;
            if responds && now_ms - probed_ms > PROBE_EVERY_MS {
                probed_ms = now_ms;
                self.probe(&self.control_origin(), PROBES).await.ok();
            }
            if responds && now_ms - renewed_ms > relay::RENEW_MS {
                renewed_ms = now_ms;
                let settings = self.race().settings.clone();
                self.request_source(&settings).await.ok();
            }
            browser::sleep(CHECK_MS).await;
        }
    }

    /// Checks that the server responds, was not restarted, and still has the race.
    async fn check_server(&self) -> Result<(), RaceSetupError> {
        let id = self.relay_ports.borrow().id();
        if let Some(id) = id {
            let race = lab::race(&id).await?;
            let mut page = self.race_mut();
            for lane in &race.lanes {
                page.lanes[lane.technique.index()].counted(lane.counts);
            }
        } else if self.race().path == LanePath::Relay {
            // The page was left, which freed its ports, and was returned to.
            return Err(RaceSetupError::Missing);
        } else {
            self.probe("", 1).await?;
        }
        let race = self.race();
        let mut on = race
            .lanes
            .iter()
            .filter(|lane| lane.phase != LanePhase::Off)
            .peekable();
        // If all lanes have failed, the stream was removed.
        let given_up = on.peek().is_some() && on.all(|lane| lane.phase == LanePhase::Failed);
        if given_up {
            Err(RaceSetupError::Missing)
        } else {
            Ok(())
        }
    }

    /// The state of the connection to a server that responds.
    fn reached(&self) -> ServerConnection {
        let race = self.race();
        let settled = |phase: LanePhase| {
            matches!(
                phase,
                LanePhase::Off | LanePhase::Live | LanePhase::Ended | LanePhase::Failed
            )
        };
        let all_settled = race.lanes.iter().all(|lane| settled(lane.phase));
        let mut on = race
            .lanes
            .iter()
            .filter(|lane| lane.phase != LanePhase::Off)
            .peekable();
        if on.peek().is_some() && on.all(|lane| lane.phase == LanePhase::Ended) {
            return ServerConnection::Closed;
        }
        match race.connection {
            ServerConnection::Lost | ServerConnection::Reconnecting if !all_settled => {
                ServerConnection::Reconnecting
            }
            ServerConnection::Connecting
                if !race.lanes.iter().any(|lane| lane.phase == LanePhase::Live) && !all_settled =>
            {
                ServerConnection::Connecting
            }
            _ => ServerConnection::Live,
        }
    }

    /// The origin for clock probes: the relay's, or empty for the page's own.
    fn control_origin(&self) -> String {
        let origin = self.relay_ports.borrow().control_origin();
        origin.unwrap_or_default()
    }

    async fn probe(&self, origin: &str, count: u32) -> Result<(), RaceSetupError> {
        for _ in 0..count {
            let number = self.prober.borrow_mut().next();
            let probe = clock::probe(origin, number).await?;
            if self.prober.borrow_mut().take(probe) {
                return Err(RaceSetupError::Missing);
            }
        }
        let now_ms = browser::now_ms();
        let mapping = self.prober.borrow().mapping(now_ms);
        self.race_mut().clock = mapping;
        Ok(())
    }

    /// Starts following the stream, beside the saved result, which was shown alone.
    pub fn measure(self: &Rc<Self>) {
        self.only_saved.set(false);
        self.summarise();
        self.restart();
    }

    /// Applies changed settings without affecting the rest.
    pub fn apply(self: &Rc<Self>, settings: &RaceSettings) {
        let before = std::mem::replace(&mut self.race_mut().settings, settings.clone());
        if self.only_saved.get_untracked() {
            return;
        }
        // How a paused picture is drawn follows the settings.
        if let Some(paused) = self.frozen.borrow_mut().as_mut() {
            let drawn = &mut paused.race.settings;
            (drawn.window_s, drawn.log) = (settings.window_s, settings.log);
        }
        if settings.changes_the_stream(&before) {
            self.resume();
            self.restart();
            return;
        }
        if settings.changes_the_run(&before) {
            self.race_mut().begin_run(browser::now_ms());
        }
        if settings.interval_ms != before.interval_ms {
            let interval_ms = settings.interval_ms;
            self.readers.set_poll_interval(Technique::Poll, interval_ms);
        }
        if (settings.up_ms, settings.down_ms) != (before.up_ms, before.down_ms) {
            relay::delay(&self.relay_ports, (settings.up_ms, settings.down_ms));
        }
        if self.race().stream_state != StreamState::Found {
            return;
        }
        for technique in Technique::ALL {
            let index = technique.index();
            let runs = self.readers.is_running(technique);
            let rearms = technique == Technique::LongPoll && settings.hold_s != before.hold_s;
            let place = runs.then(|| self.race().lanes[index].place()).flatten();
            if runs && (!settings.lanes[index] || rearms) {
                self.stop_lane(technique);
            }
            if settings.lanes[index] && (!runs || rearms) {
                self.start_lane(technique, place);
            }
        }
    }

    /// Notes that the tab was hidden or shown.
    pub fn set_hidden(&self, hidden: bool) {
        self.race_mut().set_hidden(hidden, browser::now_ms());
    }

    /// Frees the ports while the page is unloaded; if the browser restores the page, the lanes are set up again.
    pub fn leave(&self) {
        relay::leave(&self.relay_ports);
    }

    /// Ends every request and then frees the lanes' ports, as another page is shown.
    pub fn end(self: &Rc<Self>) {
        self.epoch.set(self.epoch.get() + 1);
        self.stop_readers();
        let controller = self.clone();
        spawn_local(async move {
            // The requests are aborted first: closing a port during a request would count as a fault.
            browser::sleep(ENDING_MS).await;
            controller.leave();
        });
    }

    /// Notes that the page did not run for a time.
    pub fn stalled(&self) {
        self.race_mut().stalled(browser::now_ms());
    }
}

/// Where the lanes begin, and the number of bytes before it, which are not read.
///
/// A lab stream is followed from its tail, a named one from its beginning if it is short.
fn beginning(source: &RaceSource, tail: &Token) -> (Token, u64) {
    let before = tail
        .as_str()
        .parse::<StreamOffset>()
        .map_or(u64::MAX, |tail| tail.position.bytes());
    match source {
        RaceSource::Host | RaceSource::Generator => (tail.clone(), 0),
        RaceSource::Named(_) if before <= SHORT_BYTES => (Token::beginning(), 0),
        RaceSource::Named(_) => (tail.clone(), if before == u64::MAX { 0 } else { before }),
    }
}
