//! Random sequences of events for a subscription, checked against its invariants.

use super::*;

/// An event.
#[derive(Debug, Clone, Copy)]
enum ScriptEvent {
    Passes(u64),
    Appends(usize, u64),
    Disappears(usize),
    Settles,
    Ends(ScriptEnding, bool),
    Claims(bool),
    Acks {
        stale: bool,
        stream: usize,
        offset: u64,
        done: bool,
    },
    Releases {
        stale: bool,
    },
    Restarts,
    Pauses,
    Resumes,
}

#[derive(Debug, Clone, Copy)]
enum ScriptEnding {
    Done,
    Accepted,
    Failed,
    NotSent,
}

fn event() -> impl Strategy<Value = ScriptEvent> {
    let ending = prop_oneof![
        Just(ScriptEnding::Done),
        Just(ScriptEnding::Accepted),
        Just(ScriptEnding::Failed),
        Just(ScriptEnding::NotSent)
    ];
    prop_oneof![
        3 => (0_u64..15_000).prop_map(ScriptEvent::Passes),
        4 => (0_usize..3, 1_u64..10).prop_map(|(stream, bytes)| ScriptEvent::Appends(stream, bytes)),
        1 => (0_usize..3).prop_map(ScriptEvent::Disappears),
        6 => Just(ScriptEvent::Settles),
        3 => (ending, any::<bool>()).prop_map(|(ending, stale)| ScriptEvent::Ends(ending, stale)),
        3 => any::<bool>().prop_map(ScriptEvent::Claims),
        4 => (any::<bool>(), 0_usize..3, 0_u64..40, any::<bool>())
            .prop_map(|(stale, stream, offset, done)| ScriptEvent::Acks { stale, stream, offset, done }),
        1 => any::<bool>().prop_map(|stale| ScriptEvent::Releases { stale }),
        1 => Just(ScriptEvent::Restarts),
        1 => Just(ScriptEvent::Pauses),
        2 => Just(ScriptEvent::Resumes),
    ]
}

/// A subscription, and what is needed to check its invariants.
struct SubscriptionModel {
    state: SubscriptionState,
    record: SubscriptionRecord,
    now: Moment,
    tails: [u64; 3],
    ids: [u64; 3],
    wakes: u64,
    keys: Vec<WakeKey>,
    attempts: Vec<Attempt>,
    /// The holder of each wake's lease, and its minimum end.
    holder: Option<(WakeKey, Moment)>,
}

impl SubscriptionModel {
    fn new(way: DeliveryWay) -> Self {
        let asked: DefinitionRequest = serde_json::from_value(match way {
            DeliveryWay::Webhook => serde_json::json!({
                "type": "webhook", "pattern": "*", "streams": ["s0"], "lease_ttl_ms": 10_000,
                "webhook": {"url": "https://worker.example/"}
            }),
            DeliveryWay::PullWake => serde_json::json!({
                "type": "pull-wake", "pattern": "*", "streams": ["s0"], "lease_ttl_ms": 10_000, "wake_stream": "wake/pool"
            }),
        })
        .unwrap();
        let definition = Definition::new(asked, true).unwrap();
        let mut state = SubscriptionState::new(way, definition.lease_ttl);
        state.link(&name("s0"), snapshot(0, 0), true);
        let record = SubscriptionRecord {
            definition,
            created: T0,
            base: "http://h".into(),
        };
        let (tails, ids) = ([0; 3], [0, 1, 2]);
        let (keys, attempts) = (Vec::new(), Vec::new());
        Self {
            state,
            record,
            now: T0,
            tails,
            ids,
            wakes: 0,
            keys,
            attempts,
            holder: None,
        }
    }

    fn new_wake_id(&mut self) -> String {
        self.wakes += 1;
        format!("w{}", self.wakes)
    }

    /// The current wake's key, or an older one.
    fn key(&self, stale: bool) -> Option<WakeKey> {
        let current = self.state.current();
        if stale {
            self.keys
                .iter()
                .find(|key| Some(*key) != current.as_ref())
                .cloned()
        } else {
            current
        }
    }

    fn observe(&mut self, stream: usize) {
        let snapshot = (self.tails[stream] > 0)
            .then(|| snapshot(self.ids[stream], self.tails[stream]))
            .flatten();
        assert!(
            self.state
                .observe(&name(&format!("s{stream}")), snapshot, true, STREAMS_MAX)
        );
    }

    fn acked(&self) -> Vec<(StreamName, Offset)> {
        self.state
            .links
            .iter()
            .map(|(name, link)| (name.clone(), link.acked))
            .collect()
    }

    fn step(&mut self, event: ScriptEvent) {
        let before = self.acked();
        match event {
            ScriptEvent::Passes(ms) => self.now = self.now.after(Duration::from_millis(ms)),
            ScriptEvent::Appends(stream, bytes) => {
                self.tails[stream] += bytes;
                self.observe(stream);
            }
            ScriptEvent::Disappears(stream) => {
                self.tails[stream] = 0;
                self.ids[stream] += 10;
                self.observe(stream);
            }
            ScriptEvent::Settles => self.settle(),
            ScriptEvent::Ends(ending, stale) => self.attempt_ends(ending, stale, &before),
            ScriptEvent::Claims(_) if self.state.way == DeliveryWay::Webhook => {}
            ScriptEvent::Claims(first) => self.claim(if first { "one" } else { "two" }),
            ScriptEvent::Acks {
                stale,
                stream,
                offset,
                done,
            } => self.ack(stale, stream, offset, done, &before),
            ScriptEvent::Releases { stale } => {
                let Some(key) = self.key(stale) else { return };
                let outcome = self.state.release(&key, self.now);
                assert!(!stale || outcome.is_err());
                if outcome.is_ok() {
                    self.holder = None;
                }
                assert_eq!(self.acked(), before);
            }
            ScriptEvent::Pauses => self.state.pause(),
            ScriptEvent::Resumes => self.resume(),
            ScriptEvent::Restarts => {
                let (record, mut state) =
                    note::read(&note::write(&self.record, &self.state)).unwrap();
                assert_eq!(record, self.record);
                std::mem::swap(&mut state, &mut self.state);
                (0..3).for_each(|stream| self.observe(stream));
                assert_eq!(self.acked(), before, "a restart moved a cursor");
                assert_eq!(self.state.current(), state.current());
                assert_eq!(self.state.is_paused(), state.is_paused());
            }
        }
        self.check();
    }

    fn settle(&mut self) {
        let new_wake_id = self.new_wake_id();
        let attempt = self.state.settle(self.now, new_wake_id);
        assert!(
            attempt.is_none() || !self.state.is_paused(),
            "delivered while it is paused: {attempt:?}"
        );
        self.attempts.extend(attempt);
        assert!(
            !self.state.is_due(self.now),
            "settled, yet due: {:?}",
            self.state
        );
        assert!(
            self.state.deadline().is_none_or(|at| at > self.now),
            "{:?}",
            self.state
        );
        assert!(
            self.state.retry().is_none()
                || self.state.is_pending()
                || self.state.current().is_some(),
            "failed, with nothing to be repeated: {:?}",
            self.state
        );
    }

    fn resume(&mut self) {
        let was_paused = self.state.is_paused();
        self.state.resume(self.now);
        let wakes = self.state.current().is_none() && self.state.is_pending();
        assert!(
            !was_paused || !wakes || self.state.is_due(self.now),
            "resumed, yet not due: {:?}",
            self.state
        );
    }

    fn attempt_ends(&mut self, ending: ScriptEnding, stale: bool, before: &[(StreamName, Offset)]) {
        let Some(attempt) = (if stale {
            self.attempts.first()
        } else {
            self.attempts.last()
        })
        .cloned() else {
            return;
        };
        let is_current = self.state.current().as_ref() == Some(&attempt.key);
        let outcome = match ending {
            ScriptEnding::Done if self.state.way == DeliveryWay::Webhook => {
                AttemptOutcome::Done(attempt.streams.clone())
            }
            ScriptEnding::Done | ScriptEnding::Accepted => AttemptOutcome::Accepted,
            ScriptEnding::Failed => failed(13),
            ScriptEnding::NotSent => AttemptOutcome::NotSent,
        };
        self.state.attempted(&attempt.key, outcome, self.now);
        if !is_current {
            assert_eq!(self.acked(), before, "a late answer moved a cursor");
        }
    }

    fn claim(&mut self, worker: &str) {
        let new_wake_id = self.new_wake_id();
        let claimed = self.state.claim(worker, self.now, new_wake_id);
        if self.state.is_paused() {
            return assert_eq!(claimed, Err(SubscriptionFault::Paused));
        }
        if let Some((key, until)) = self.holder.as_ref().filter(|(_, until)| *until > self.now) {
            let refused = matches!(claimed, Err(SubscriptionFault::Claimed { generation, .. }) if generation == key.generation);
            assert!(refused, "two hold it: {until:?} {claimed:?}");
        }
        if let Ok(key) = claimed {
            self.holder = Some((key, self.now.after(LEASE)));
        }
    }

    fn ack(
        &mut self,
        stale: bool,
        stream: usize,
        offset: u64,
        done: bool,
        before: &[(StreamName, Offset)],
    ) {
        let Some(key) = self.key(stale) else { return };
        let stream = name(&format!("s{stream}"));
        let outcome = self
            .state
            .ack(&key, &[(stream.clone(), offset_at(offset))], done, self.now);
        match outcome {
            Ok(()) => {
                assert!(!stale, "a stale ack was taken");
                assert_eq!(self.state.links[&stream].acked, at(offset));
                self.holder = self
                    .holder
                    .take()
                    .filter(|_| !done)
                    .map(|(key, _)| (key, self.now.after(LEASE)));
            }
            Err(_) => assert_eq!(self.acked(), before, "a refused ack moved a cursor"),
        }
    }

    fn check(&mut self) {
        if let Some(key) = self.state.current()
            && self.keys.last() != Some(&key)
        {
            let last = self.keys.last().map_or(0, |key| key.generation);
            assert!(
                key.generation > last,
                "generation {} follows {last}",
                key.generation
            );
            self.keys.push(key);
        }
        if let (true, Some(wake)) = (self.state.is_paused(), &self.state.wake) {
            assert!(wake.lease.is_some(), "a wake without a lease: {wake:?}");
        }
        for link in self.state.links.values() {
            assert!(
                link.acked <= link.tail && link.tail <= at(1_000),
                "{link:?}"
            );
        }
        let names: HashSet<&str> = self.keys.iter().map(|key| key.wake_id.as_str()).collect();
        assert_eq!(names.len(), self.keys.len(), "a wake's id was repeated");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn random_scripts_keep_leases_and_cursors_consistent(
        is_webhook in any::<bool>(),
        script in prop::collection::vec(event(), 1..80),
    ) {
        let mut model = SubscriptionModel::new(if is_webhook { DeliveryWay::Webhook } else { DeliveryWay::PullWake });
        for event in script {
            model.step(event);
        }
    }
}
