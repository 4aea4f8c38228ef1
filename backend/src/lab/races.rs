//! Races: one relay for each lane and one for control, until the race's lease expires.
//!
//! The control relay has no delay, and its bytes are not counted in any lane.

use super::relay::{ByteMeter, Delays, Relay, RelayLimits};
use crate::lab::WrongField;
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tailwater_core::clock::Clock;
use tailwater_protocol::Technique;
use tailwater_protocol::lab::{RaceChange, RaceLane, RaceRequest, RaceStatus};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Limits of races.
#[derive(Debug, Clone, Copy)]
pub struct RaceLimits {
    /// Concurrent races; beyond it 503.
    pub races: usize,
    /// Lanes of one race, which has one more port for control.
    pub lanes: usize,
    /// Time after its last request at which a race ends.
    pub lease: Duration,
    /// Maximum delay in one direction.
    pub delay: Duration,
    /// Limits of each lane.
    pub relay: RelayLimits,
}

impl Default for RaceLimits {
    fn default() -> Self {
        Self {
            races: 16,
            lanes: 8,
            lease: Duration::from_secs(30),
            delay: Duration::from_millis(500),
            relay: RelayLimits::default(),
        }
    }
}

/// Why a race was not started, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum RaceError {
    /// A value is out of range (400).
    #[error(transparent)]
    Field(#[from] WrongField),
    /// The limit of races is reached (503).
    #[error("{limit} races are running, which is the limit; an unused one ends within {lease_s} s")]
    TooMany {
        /// Races allowed.
        limit: usize,
        /// Seconds after its last request at which a race ends.
        lease_s: u64,
    },
    /// The race does not exist, or its lease has expired (404).
    #[error("the race `{0}` does not exist, or its lease has expired")]
    Unknown(String),
    /// The system has no port or no randomness (503).
    #[error("system error: {0}")]
    System(String),
}

/// All races of a server.
#[derive(Debug, Clone)]
pub struct Races(Arc<RaceTable>);

#[derive(Debug)]
struct RaceTable {
    upstream: SocketAddr,
    clock: Clock,
    runtime: Handle,
    limits: RaceLimits,
    /// An entry is reserved before the ports are bound, so that the limit holds for concurrent
    /// requests.
    running: Mutex<HashMap<String, Option<Running>>>,
}

#[derive(Debug)]
struct Running {
    lanes: Vec<(Technique, u16, ByteMeter)>,
    control_port: u16,
    delays: Arc<Delays>,
    expires: Arc<Mutex<Instant>>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Races {
    /// No races yet.
    ///
    /// - `upstream`: the server's address; an unspecified one is replaced by loopback.
    /// - `runtime`: where lanes run; it must outlive the handlers that start races.
    pub fn new(upstream: SocketAddr, clock: Clock, runtime: Handle, limits: RaceLimits) -> Self {
        let upstream = reachable(upstream);
        Self(Arc::new(RaceTable {
            upstream,
            clock,
            runtime,
            limits,
            running: Mutex::default(),
        }))
    }

    /// Starts a race with one lane for each requested technique.
    ///
    /// # Errors
    /// All of [`RaceError`] but `Unknown`.
    pub async fn start(&self, request: &RaceRequest) -> Result<RaceStatus, RaceError> {
        let limits = &self.0.limits;
        if request.techniques.is_empty() || request.techniques.len() > limits.lanes {
            return Err(RaceError::Field(WrongField {
                field: "techniques",
                allowed: format!("1 to {} techniques", limits.lanes),
                received: format!("{} techniques", request.techniques.len()),
            }));
        }
        let delays = Arc::new(Delays::default());
        delays.set(
            self.delay("delay_up_ms", request.delay_up_ms)?,
            self.delay("delay_down_ms", request.delay_down_ms)?,
        );
        let slot = RaceSlot::reserve(&self.0)?;
        let mut relays = Vec::with_capacity(request.techniques.len() + 1);
        let mut lanes = Vec::with_capacity(request.techniques.len());
        for technique in &request.techniques {
            let relay = self.bind(&delays).await?;
            lanes.push((*technique, relay.port(), relay.meter()));
            relays.push(relay);
        }
        let control = self.bind(&Arc::default()).await?;
        let control_port = control.port();
        relays.push(control);
        let expires = Arc::new(Mutex::new(Instant::now() + limits.lease));
        let running = Arc::downgrade(&self.0);
        let task = self.0.runtime.spawn(run_until_expired(
            relays,
            Arc::clone(&expires),
            running,
            slot.id.clone(),
        ));
        let id = slot.fill(Running {
            lanes,
            control_port,
            delays,
            expires,
            task: task.abort_handle(),
        });
        self.inspect(&id)
    }

    async fn bind(&self, delays: &Arc<Delays>) -> Result<Relay, RaceError> {
        Relay::bind(self.0.upstream, Arc::clone(delays), self.0.limits.relay)
            .await
            .map_err(|error| RaceError::System(error.to_string()))
    }

    /// The state of a race; renews its lease.
    ///
    /// # Errors
    /// [`RaceError::Unknown`].
    pub fn inspect(&self, id: &str) -> Result<RaceStatus, RaceError> {
        let all = self.0.running();
        let running = all
            .get(id)
            .and_then(Option::as_ref)
            .ok_or_else(|| RaceError::Unknown(id.to_owned()))?;
        *lock(&running.expires) = Instant::now() + self.0.limits.lease;
        let lane = |(technique, port, meter): &(Technique, u16, ByteMeter)| RaceLane {
            technique: *technique,
            port: *port,
            counts: meter.counts(),
        };
        Ok(RaceStatus {
            id: id.to_owned(),
            lease_s: self.0.limits.lease.as_secs(),
            at_us: self.0.clock.now_us(),
            delay_up_ms: running.delays.up().as_secs_f64() * 1e3,
            delay_down_ms: running.delays.down().as_secs_f64() * 1e3,
            control_port: running.control_port,
            lanes: running.lanes.iter().map(lane).collect(),
        })
    }

    /// Changes the delays of bytes read from now on; renews the lease.
    ///
    /// # Errors
    /// [`RaceError::Field`], [`RaceError::Unknown`].
    pub fn change(&self, id: &str, change: &RaceChange) -> Result<RaceStatus, RaceError> {
        let up = self.delay("delay_up_ms", change.delay_up_ms)?;
        let down = self.delay("delay_down_ms", change.delay_down_ms)?;
        if let Some(Some(running)) = self.0.running().get(id) {
            running.delays.set(up, down);
        }
        self.inspect(id)
    }

    /// Ends a race: its ports and connections are closed at once.
    ///
    /// # Errors
    /// [`RaceError::Unknown`].
    pub fn end(&self, id: &str) -> Result<(), RaceError> {
        let mut all = self.0.running();
        match all.get(id) {
            Some(Some(_)) => drop(all.remove(id)),
            _ => return Err(RaceError::Unknown(id.to_owned())),
        }
        Ok(())
    }

    /// Ends all races.
    pub fn end_all(&self) {
        self.0.running().clear();
    }

    /// Number of races.
    pub fn count(&self) -> usize {
        self.0.running().len()
    }

    fn delay(&self, field: &'static str, received_ms: f64) -> Result<Duration, WrongField> {
        let most_ms = self.0.limits.delay.as_secs_f64() * 1e3;
        if (0.0..=most_ms).contains(&received_ms) {
            return Ok(Duration::from_secs_f64(received_ms / 1e3));
        }
        Err(WrongField {
            field,
            allowed: format!("0 to {most_ms} ms"),
            received: received_ms.to_string(),
        })
    }
}

impl RaceTable {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Option<Running>>> {
        lock(&self.running)
    }
}

/// A reserved entry of the race table; removed on drop unless filled.
struct RaceSlot {
    races: Arc<RaceTable>,
    id: String,
    is_filled: bool,
}

impl RaceSlot {
    fn reserve(races: &Arc<RaceTable>) -> Result<Self, RaceError> {
        let id = random_id()?;
        let mut all = races.running();
        if all.len() >= races.limits.races {
            return Err(RaceError::TooMany {
                limit: races.limits.races,
                lease_s: races.limits.lease.as_secs(),
            });
        }
        all.insert(id.clone(), None);
        drop(all);
        Ok(Self {
            races: Arc::clone(races),
            id,
            is_filled: false,
        })
    }

    fn fill(mut self, running: Running) -> String {
        self.is_filled = true;
        self.races.running().insert(self.id.clone(), Some(running));
        self.id.clone()
    }
}

impl Drop for RaceSlot {
    fn drop(&mut self) {
        if !self.is_filled {
            self.races.running().remove(&self.id);
        }
    }
}

/// Runs the relays until the lease expires, then removes the race.
async fn run_until_expired(
    relays: Vec<Relay>,
    expires: Arc<Mutex<Instant>>,
    races: Weak<RaceTable>,
    id: String,
) {
    let mut lanes = JoinSet::new();
    for relay in relays {
        lanes.spawn(relay.run());
    }
    loop {
        let at = *lock(&expires);
        if at <= Instant::now() {
            break;
        }
        sleep_until(at).await;
    }
    tracing::debug!(race = id, "the lease has expired");
    if let Some(races) = races.upgrade() {
        drop(races.running().remove(&id));
    }
}

/// 128 random bits in hexadecimal.
fn random_id() -> Result<String, RaceError> {
    let mut bits = [0; 16];
    OsRng
        .try_fill_bytes(&mut bits)
        .map_err(|error| RaceError::System(error.to_string()))?;
    let mut id = String::with_capacity(32);
    for byte in bits {
        // Writing to a string can't fail.
        let _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

/// An address to connect to: an unspecified one is replaced by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    fn races(limits: RaceLimits) -> Races {
        Races::new(
            SocketAddr::from(([0, 0, 0, 0], 9)),
            Clock::new(),
            Handle::current(),
            limits,
        )
    }

    fn request(techniques: &[Technique]) -> RaceRequest {
        RaceRequest {
            techniques: techniques.to_vec(),
            delay_up_ms: 0.0,
            delay_down_ms: 0.0,
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_race_ends_when_its_lease_is_not_renewed() {
        let races = races(RaceLimits::default());
        let race = races.start(&request(&Technique::ALL)).await.unwrap();
        assert_eq!(
            race.lanes
                .iter()
                .map(|lane| lane.technique)
                .collect::<Vec<_>>(),
            Technique::ALL
        );
        for _ in 0..3 {
            sleep(29 * SECOND).await;
            races.inspect(&race.id).unwrap();
        }
        sleep(31 * SECOND).await;
        assert!(matches!(
            races.inspect(&race.id),
            Err(RaceError::Unknown(_))
        ));
        assert_eq!(races.count(), 0);
        let lanes = race.lanes.iter().map(|lane| lane.port);
        for port in lanes.chain([race.control_port]) {
            assert!(
                std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
                "port {port} is closed"
            );
        }
    }

    #[tokio::test]
    async fn ending_a_race_frees_its_entry_and_its_ports() {
        let races = races(RaceLimits {
            races: 1,
            ..RaceLimits::default()
        });
        let race = races.start(&request(&[Technique::Poll])).await.unwrap();
        let refused = races.start(&request(&[Technique::Poll])).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "1 races are running, which is the limit; an unused one ends within 30 s"
        );
        races.end(&race.id).unwrap();
        assert!(matches!(races.end(&race.id), Err(RaceError::Unknown(_))));
        let again = races.start(&request(&[Technique::Poll])).await.unwrap();
        assert_ne!(again.id, race.id);
        assert_eq!((again.id.len(), races.count()), (32, 1));
    }

    #[tokio::test]
    async fn a_refused_request_reserves_nothing_and_names_the_range() {
        let races = races(RaceLimits {
            races: 1,
            ..RaceLimits::default()
        });
        for (race_request, text) in [
            (
                request(&[]),
                "`techniques` is `0 techniques`, expected 1 to 8 techniques",
            ),
            (
                request(&[Technique::Poll; 9]),
                "`techniques` is `9 techniques`, expected 1 to 8 techniques",
            ),
            (
                RaceRequest {
                    delay_down_ms: 500.1,
                    ..request(&[Technique::Sse])
                },
                "`delay_down_ms` is `500.1`, expected 0 to 500 ms",
            ),
            (
                RaceRequest {
                    delay_up_ms: f64::NAN,
                    ..request(&[Technique::Sse])
                },
                "`delay_up_ms` is `NaN`, expected 0 to 500 ms",
            ),
        ] {
            assert_eq!(
                races.start(&race_request).await.unwrap_err().to_string(),
                text
            );
        }
        assert_eq!(races.count(), 0);
        assert!(races.start(&request(&[Technique::Sse])).await.is_ok());
    }

    #[tokio::test]
    async fn delays_change_for_all_lanes_or_not_at_all() {
        let races = races(RaceLimits::default());
        let race_request = RaceRequest {
            delay_up_ms: 20.0,
            delay_down_ms: 30.0,
            ..request(&[Technique::Poll])
        };
        let race = races.start(&race_request).await.unwrap();
        assert_eq!((race.delay_up_ms, race.delay_down_ms), (20.0, 30.0));
        let wrong = RaceChange {
            delay_up_ms: 50.0,
            delay_down_ms: -1.0,
        };
        assert!(matches!(
            races.change(&race.id, &wrong),
            Err(RaceError::Field(WrongField {
                field: "delay_down_ms",
                ..
            }))
        ));
        assert_eq!(races.inspect(&race.id).unwrap().delay_up_ms, 20.0);
        let right = RaceChange {
            delay_up_ms: 50.0,
            delay_down_ms: 0.5,
        };
        let race = races.change(&race.id, &right).unwrap();
        assert_eq!((race.delay_up_ms, race.delay_down_ms), (50.0, 0.5));
        assert!(matches!(
            races.change("none", &right),
            Err(RaceError::Unknown(_))
        ));
    }
}
