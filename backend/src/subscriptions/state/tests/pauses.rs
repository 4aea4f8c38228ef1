//! A paused subscription: nothing is delivered or claimed, leases are still respected, and nothing is lost.

use super::*;

/// The state as a restart would read it.
fn restarted(state: &SubscriptionState) -> SubscriptionState {
    let asked = match state.way {
        DeliveryWay::Webhook => {
            r#"{"type":"webhook","pattern":"*","webhook":{"url":"https://worker.example/"}}"#
        }
        DeliveryWay::PullWake => r#"{"type":"pull-wake","pattern":"*","wake_stream":"wake/pool"}"#,
    };
    let asked: DefinitionRequest = tailwater_protocol::document::read(asked.as_bytes()).unwrap();
    let record = SubscriptionRecord {
        definition: Definition::new(asked, true).unwrap(),
        created: T0,
        base: "http://h".into(),
    };
    let mut read = note::read(&note::write(&record, state)).unwrap().1;
    read.lease_ttl = LEASE;
    for info in state.streams() {
        let link = read.links.get_mut(&info.path).unwrap();
        link.tail = info.tail;
    }
    read
}

/// Checks that the subscription delivers nothing, has no timer and is not due, however long it waits.
#[track_caller]
fn is_silent(state: &SubscriptionState) {
    let mut state = state.clone();
    assert_eq!(state.deadline(), None);
    for now in [T0, later(1_000_000), later(u64::MAX / 2)] {
        assert!(!state.is_due(now));
        assert_eq!(state.settle(now, "silent".into()), None);
        if state.way == DeliveryWay::PullWake {
            assert_eq!(
                state.claim("one", now, "silent".into()),
                Err(SubscriptionFault::Paused)
            );
        }
    }
}

#[test]
fn what_comes_during_a_pause_is_kept_and_delivered_after_it() {
    for way in [DeliveryWay::Webhook, DeliveryWay::PullWake] {
        let mut state = pending(way, 10);
        state.pause();
        assert!(state.is_paused());
        is_silent(&state);
        assert!(state.observe(&name("a"), snapshot(1, 15), true, STREAMS_MAX));
        assert!(state.observe(&name("b"), snapshot(2, 5), true, STREAMS_MAX));
        is_silent(&state);
        state.resume(later(9));
        assert!(!state.is_paused() && state.is_due(later(9)));
        let attempt = state.settle(later(9), "w1".into()).unwrap();
        let pending: Vec<_> = attempt
            .streams
            .iter()
            .map(|info| (info.acked, info.tail))
            .collect();
        assert_eq!(pending, [(at(0), at(15)), (at(0), at(5))]);
        assert_eq!(attempt.key.generation, 1);
    }
}

#[test]
fn pausing_and_resuming_twice_changes_nothing_more() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    let unpaused = state.clone();
    state.resume(T0);
    assert_eq!(state, unpaused);
    state.pause();
    let revision = state.revision();
    assert_ne!(revision, unpaused.revision(), "a pause is stored");
    let paused = state.clone();
    state.pause();
    assert_eq!(state, paused);
    state.resume(later(2));
    assert_ne!(state.revision(), revision, "its end is stored");
}

#[test]
fn a_retry_does_not_fire_during_a_pause_and_fires_at_once_after_it() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let first = state.settle(T0, "w1".into()).unwrap();
    state.attempted(&first.key, failed(0), later(100));
    state.pause();
    assert_eq!(
        state.deadline(),
        Some(T0.after(LEASE)),
        "of the lease, not of the retry"
    );
    assert_eq!(state.settle(later(1100), "w2".into()), None);
    let retry = state.retry().unwrap();
    assert_eq!((retry.failures, &*retry.reason), (1, "unavailable"));
    state.resume(later(1_150));
    let second = state.settle(later(1_150), "w2".into()).unwrap();
    assert_eq!(
        (second.key, second.until),
        (first.key, Some(later(1_150).after(LEASE))),
        "the lease has not expired, so it is the same wake"
    );
    state.attempted(
        &WakeKey {
            generation: 1,
            wake_id: "w1".into(),
        },
        failed(0),
        later(1_200),
    );
    assert_eq!(
        state.deadline(),
        Some(later(1_200 + 2_000)),
        "the second failure in a row"
    );
    state.pause();
    let end = later(1_150).after(LEASE);
    assert_eq!(state.settle(end, "w3".into()), None);
    is_silent(&state);
    state.resume(end);
    let third = state.settle(end, "w3".into()).unwrap();
    assert_eq!(third.key.generation, 2);
}

#[test]
fn an_attempt_in_progress_ends_during_a_pause() {
    for (outcome, acked, has_wake) in [
        (None, 10, false),
        (Some(AttemptOutcome::Accepted), 0, true),
        (Some(failed(0)), 0, true),
        (Some(AttemptOutcome::NotSent), 0, true),
    ] {
        let mut state = pending(DeliveryWay::Webhook, 10);
        let attempt = state.settle(T0, "w1".into()).unwrap();
        state.pause();
        let outcome = outcome.unwrap_or(AttemptOutcome::Done(attempt.streams));
        state.attempted(&attempt.key, outcome.clone(), later(2));
        assert_eq!(state.links[&name("a")].acked, at(acked));
        assert_eq!(state.current().is_some(), has_wake);
        assert_eq!(state.settle(later(3), "w2".into()), None);
        let is_failure = matches!(outcome, AttemptOutcome::Failed { .. });
        assert_eq!(state.retry().is_some(), is_failure);
        if outcome == AttemptOutcome::NotSent {
            let mut state = state.clone();
            state.resume(later(4));
            let again = state.settle(later(4), "w2".into()).unwrap();
            assert_eq!(again.key, attempt.key);
        }
        state.settle(T0.after(LEASE), "w2".into());
        is_silent(&state);
    }
}

#[test]
fn an_attempt_that_was_not_sent_is_repeated_at_once() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    state.pause();
    state.resume(later(2));
    assert_eq!(state.settle(later(2), "w2".into()), None, "in progress");
    state.attempted(&attempt.key, AttemptOutcome::NotSent, later(3));
    assert_eq!(state.retry(), None);
    let again = state.settle(later(3), "w2".into()).unwrap();
    assert_eq!(again.key, attempt.key);
}

#[test]
fn a_lease_can_be_acked_and_released_during_a_pause() {
    let leased = || {
        let mut state = pending(DeliveryWay::PullWake, 10);
        let key = state.claim("one", T0, "w1".into()).unwrap();
        state.pause();
        assert_eq!(
            state.claim("two", later(2), "w2".into()),
            Err(SubscriptionFault::Paused)
        );
        (state, key)
    };
    let acks = [(name("a"), offset_at(4))];
    let (mut state, key) = leased();
    assert_eq!(state.ack(&key, &acks, false, later(9_000)), Ok(()));
    assert_eq!(
        state.deadline(),
        Some(later(19_000)),
        "the lease is extended"
    );
    assert_eq!(state.ack(&key, &acks, true, later(18_000)), Ok(()));
    assert_eq!(state.links[&name("a")].acked, at(4));
    assert!(state.is_pending() && !state.wakes_again());
    is_silent(&state);

    let (mut state, key) = leased();
    assert_eq!(state.release(&key, later(2)), Ok(()));
    is_silent(&state);

    let (mut state, key) = leased();
    let end = T0.after(LEASE);
    assert!(state.is_due(end), "an expired lease ends");
    assert_eq!(state.settle(end, "w2".into()), None);
    assert_eq!(
        state.ack(&key, &acks, true, end),
        Err(SubscriptionFault::Fenced)
    );
    is_silent(&state);

    let (mut state, key) = leased();
    state.resume(later(3));
    assert_eq!(state.settle(later(3), "w2".into()), None, "still leased");
    assert_eq!(state.ack(&key, &acks, true, later(4)), Ok(()));
    assert!(state.wakes_again());
    assert!(state.settle(later(4), "w2".into()).is_some());
}

#[test]
fn a_wake_that_nobody_claimed_ends_with_a_pause() {
    for is_delivered in [true, false] {
        let mut state = pending(DeliveryWay::PullWake, 10);
        let attempt = state.settle(T0, "w1".into()).unwrap();
        if is_delivered {
            state.attempted(&attempt.key, AttemptOutcome::Accepted, T0);
        }
        state.pause();
        assert_eq!(state.current(), None);
        state.attempted(&attempt.key, failed(0), later(2));
        assert_eq!(state.retry(), None, "the outcome of a wake that has ended");
        is_silent(&state);
        state.resume(later(3));
        let next = state.settle(later(3), "w2".into()).unwrap();
        assert_eq!(
            next.key.generation, 2,
            "a worker that ignored the first event is woken by another"
        );
    }
}

#[test]
fn a_wake_stream_that_appears_wakes_nobody_during_a_pause() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    state.attempted(&attempt.key, failed(0), T0);
    state.pause();
    state.retry_now(later(2));
    is_silent(&state);
    state.resume(later(3));
    assert!(state.settle(later(3), "w2".into()).is_some());
}

#[test]
fn streams_that_disappear_during_a_pause_leave_no_work() {
    // The wake ends with the pause, with its stream, or with its lease.
    for (way, end) in [
        (DeliveryWay::PullWake, later(2)),
        (DeliveryWay::Webhook, later(2)),
        (DeliveryWay::Webhook, T0.after(LEASE)),
    ] {
        let mut state = pending(way, 10);
        let attempt = state.settle(T0, "w1".into()).unwrap();
        state.attempted(&attempt.key, failed(0), T0);
        state.pause();
        assert_eq!(state.settle(end, "w2".into()), None);
        assert!(state.observe(&name("a"), None, true, STREAMS_MAX));
        ends_without_work(&mut state, end);
        is_silent(&state);
        state.resume(end);
        assert!(!state.is_due(end));
        assert_eq!(state.settle(end, "w2".into()), None);
    }
}

#[test]
fn a_pause_survives_a_restart_and_older_documents_are_not_paused() {
    for way in [DeliveryWay::Webhook, DeliveryWay::PullWake] {
        let mut state = pending(way, 10);
        assert!(!restarted(&state).is_paused());
        state.pause();
        let mut state = restarted(&state);
        assert!(state.is_paused());
        is_silent(&state);
        state.resume(later(1));
        let mut state = restarted(&state);
        assert!(!state.is_paused());
        assert!(state.settle(later(1), "w1".into()).is_some());
    }
    // As written before subscriptions could be paused.
    let older = br#"{"version":1,"type":"pull-wake","target":"wake/pool","pattern":"*","streams":[],"lease_ttl_ms":30000,
        "description":null,"hash":"i-s3Gg8xWhwGbf4BDWWSy-ggx2hmH5mpRAXWX2MS-bo","created_ms":1000000,"base":"http://h","generation":3,
        "links":{"a":{"glob":true,"stream":1,"acked":4}},
        "wake":{"id":"w3","stream":"a","told":true,"lease":{"holder":"one","until_ms":1010000}},"retry":null}"#;
    let (record, state) = note::read(older).unwrap();
    assert!(!state.is_paused());
    assert_eq!(state.current().unwrap().generation, 3);
    let written = note::write(&record, &state);
    assert!(!String::from_utf8(written).unwrap().contains("paused"));
}
