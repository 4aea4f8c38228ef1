//! The lanes' ports at the counting relay, or the reason why there are none.

use std::cell::RefCell;

use tailwater_protocol::lab::{RaceChange, RaceRequest, RaceStatus};
use tailwater_protocol::{StreamName, Technique};
use wasm_bindgen_futures::spawn_local;

use crate::api::lab;
use crate::api::outcome::ApiError;
use crate::api::stream;
use crate::browser;
use crate::pages::race::model::summary::LanePath;

/// Interval in which the lease of a source is renewed; a lease lasts several times as long.
pub(super) const RENEW_MS: f64 = 5_000.0;

/// The race at the server's lab.
#[derive(Debug, Default)]
pub(super) struct RelayPorts {
    race: Option<RaceStatus>,
}

impl RelayPorts {
    /// The id of the race, if there is one.
    pub(super) fn id(&self) -> Option<String> {
        self.race.as_ref().map(|race| race.id.clone())
    }

    /// The origin for probes and null readers; `None` without a relay.
    pub(super) fn control_origin(&self) -> Option<String> {
        self.race
            .as_ref()
            .map(|race| lane_origin(race.control_port))
    }

    /// The origin of a lane's requests: its own port, or the page's origin.
    pub(super) fn origin(&self, index: usize) -> String {
        let lane = self.race.as_ref().and_then(|race| {
            race.lanes
                .iter()
                .find(|lane| lane.technique.index() == index)
        });
        lane.map_or_else(browser::origin, |lane| lane_origin(lane.port))
    }
}

/// The origin of a port of the relay, which listens on loopback only; with the page's host name, if that is `localhost`.
fn lane_origin(port: u16) -> String {
    let name = match browser::hostname().as_str() {
        "localhost" => "localhost",
        _ => "127.0.0.1",
    };
    format!("http://{name}:{port}")
}

/// Opens a race with these delays unless there is one, and checks that its ports can be reached.
///
/// - `name`: of any existing stream, to test a port.
/// - `delays`: ms added up and down.
///
/// # Errors
/// The server does not respond, or refuses for another reason than its number of races; a lab that is off, no free ports, and
/// ports that can't be reached are a [`LanePath`].
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
        Err(ApiError::Status(404, _)) => return Ok(LanePath::LabOff),
        Err(ApiError::Status(503, _)) => return Ok(LanePath::NoneFree),
        Err(refusal) => return Err(refusal),
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

/// Frees the ports while the page is unloaded.
pub(super) fn leave(relay: &RefCell<RelayPorts>) {
    if let Some(race) = relay.borrow_mut().race.take() {
        lab::leave_race(&race.id);
    }
}

/// Requests other delays; the next check of the race shows the result.
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
