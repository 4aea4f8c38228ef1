//! The lanes' own ports with their counting relay, or the reason why there are none.

use std::cell::RefCell;

use tailwater_protocol::lab::{RaceChange, RaceRequest, RaceStatus};
use tailwater_protocol::{StreamName, Technique};
use wasm_bindgen_futures::spawn_local;

use crate::api::lab;
use crate::api::outcome::ApiError;
use crate::api::stream;
use crate::browser;
use crate::pages::race::model::summary::LanePath;

/// A source's lease is renewed this often; leases last several times as long.
pub(super) const RENEW_MS: f64 = 5_000.0;

/// The race that the server keeps for this page.
#[derive(Debug, Default)]
pub(super) struct RelayPorts {
    race: Option<RaceStatus>,
}

impl RelayPorts {
    /// The race's name, if there is one.
    pub(super) fn id(&self) -> Option<String> {
        self.race.as_ref().map(|race| race.id.clone())
    }

    /// Where probes and null readers ask; `None` without a relay.
    pub(super) fn control_origin(&self) -> Option<String> {
        self.race
            .as_ref()
            .map(|race| lane_origin(race.control_port))
    }

    /// Where a lane asks: its own port, or the page's own origin.
    pub(super) fn origin(&self, index: usize) -> String {
        let lane = self.race.as_ref().and_then(|race| {
            race.lanes
                .iter()
                .find(|lane| lane.technique.index() == index)
        });
        lane.map_or_else(browser::origin, |lane| lane_origin(lane.port))
    }
}

/// The relay listens on loopback only, so that is where the lanes are, by the name the page has for it.
fn lane_origin(port: u16) -> String {
    let name = match browser::hostname().as_str() {
        "localhost" => "localhost",
        _ => "127.0.0.1",
    };
    format!("http://{name}:{port}")
}

/// Sees to it that there is a race with these delays whose ports can be reached, and says what became of it.
///
/// - `name`: any stream that exists, to try a port with.
/// - `delays`: ms added up and down.
///
/// # Errors
/// Only when the server does not answer at all; a lab that is off or ports that are shut are a path too.
pub(super) async fn open(
    relay: &RefCell<RelayPorts>,
    name: &StreamName,
    (up_ms, down_ms): (f64, f64),
) -> Result<LanePath, ApiError> {
    let former = relay.borrow().id();
    if let Some(id) = former {
        let change = RaceChange {
            delay_up_ms: up_ms,
            delay_down_ms: down_ms,
        };
        if lab::change_race(&id, &change).await.is_ok() {
            return Ok(LanePath::Relay);
        }
        relay.borrow_mut().race = None;
    }
    let request = RaceRequest {
        techniques: Technique::ALL.to_vec(),
        delay_up_ms: up_ms,
        delay_down_ms: down_ms,
    };
    let race = match lab::open_race(&request).await {
        Ok(race) => race,
        Err(ApiError::Unreachable(why)) => return Err(ApiError::Unreachable(why)),
        Err(ApiError::Status(404, _)) => return Ok(LanePath::LabOff),
        Err(ApiError::Status(..)) => return Ok(LanePath::NoneFree),
    };
    let Some(first) = race.lanes.first() else {
        return Ok(LanePath::LabOff);
    };
    if stream::head(&lane_origin(first.port), name).await.is_err() {
        lab::close_race(&race.id).await;
        return Ok(LanePath::PortsShut);
    }
    relay.borrow_mut().race = Some(race);
    Ok(LanePath::Relay)
}

/// The page is being left: its ports are free for others at once.
pub(super) fn leave(relay: &RefCell<RelayPorts>) {
    if let Some(race) = relay.borrow_mut().race.take() {
        lab::leave_race(&race.id);
    }
}

/// Asks for other delays; the next look at the race shows what came of it.
pub(super) fn delay(relay: &RefCell<RelayPorts>, (up_ms, down_ms): (f64, f64)) {
    let Some(id) = relay.borrow().id() else {
        return;
    };
    spawn_local(async move {
        let change = RaceChange {
            delay_up_ms: up_ms,
            delay_down_ms: down_ms,
        };
        lab::change_race(&id, &change).await.ok();
    });
}
