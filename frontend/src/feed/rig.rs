//! The lanes' own ports with their counting relay, or the reason why there are none.

use std::cell::RefCell;

use tailwater_protocol::lab::{RaceChange, RaceRequest, RaceStatus};
use tailwater_protocol::{StreamName, Technique};
use wasm_bindgen_futures::spawn_local;

use super::ask;
use crate::browser;
use crate::model::outcome::Refusal;
use crate::model::settings::lane_index;
use crate::model::summary::Path;

/// A source's lease is renewed this often; leases last several times as long.
pub(super) const RENEW_MS: f64 = 5_000.0;

/// The race that the server keeps for this page.
#[derive(Debug, Default)]
pub(super) struct Rig {
    race: Option<RaceStatus>,
}

impl Rig {
    /// The race's name, if there is one.
    pub(super) fn id(&self) -> Option<String> {
        self.race.as_ref().map(|race| race.id.clone())
    }

    /// Where a lane asks: its own port, or the page's own origin.
    pub(super) fn origin(&self, index: usize) -> String {
        let lane = self.race.as_ref().and_then(|race| {
            race.lanes
                .iter()
                .find(|lane| lane_index(lane.technique) == index)
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
/// - `stream`: any stream that exists, to try a port with.
/// - `delays`: ms added up and down.
///
/// # Errors
/// Only when the server does not answer at all; a lab that is off or ports that are shut are a path too.
pub(super) async fn open(
    rig: &RefCell<Rig>,
    stream: &StreamName,
    (up_ms, down_ms): (f64, f64),
) -> Result<Path, Refusal> {
    let former = rig.borrow().id();
    if let Some(id) = former {
        let change = RaceChange {
            delay_up_ms: up_ms,
            delay_down_ms: down_ms,
        };
        if ask::change_race(&id, &change).await.is_ok() {
            return Ok(Path::Relay);
        }
        rig.borrow_mut().race = None;
    }
    let wish = RaceRequest {
        techniques: Technique::ALL.to_vec(),
        delay_up_ms: up_ms,
        delay_down_ms: down_ms,
    };
    let race = match ask::open_race(&wish).await {
        Ok(race) => race,
        Err(Refusal::Unreachable(why)) => return Err(Refusal::Unreachable(why)),
        Err(Refusal::Status(404, _)) => return Ok(Path::LabOff),
        Err(Refusal::Status(..)) => return Ok(Path::NoneFree),
    };
    let Some(first) = race.lanes.first() else {
        return Ok(Path::LabOff);
    };
    if ask::head(&lane_origin(first.port), stream).await.is_err() {
        ask::close_race(&race.id).await;
        return Ok(Path::PortsShut);
    }
    rig.borrow_mut().race = Some(race);
    Ok(Path::Relay)
}

/// The page is being left: its ports are free for others at once.
pub(super) fn leave(rig: &RefCell<Rig>) {
    if let Some(race) = rig.borrow_mut().race.take() {
        ask::leave_race(&race.id);
    }
}

/// Asks for other delays; the next look at the race shows what came of it.
pub(super) fn delay(rig: &RefCell<Rig>, (up_ms, down_ms): (f64, f64)) {
    let Some(id) = rig.borrow().id() else { return };
    spawn_local(async move {
        let change = RaceChange {
            delay_up_ms: up_ms,
            delay_down_ms: down_ms,
        };
        ask::change_race(&id, &change).await.ok();
    });
}
