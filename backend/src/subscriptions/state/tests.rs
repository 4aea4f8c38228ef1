//! The state machine, step by step; while it is paused in `pauses`, at random in `scripts`.

mod pauses;
mod scripts;

use super::*;
use crate::subscriptions::definition::{Definition, DefinitionRequest};
use crate::subscriptions::note::{self, SubscriptionRecord};
use proptest::prelude::*;
use std::collections::HashSet;
use tailwater_core::StreamId;
use tailwater_protocol::Offset;

const LEASE: Duration = Duration::from_secs(10);
const T0: Moment = Moment(1_000_000);
const STREAMS_MAX: usize = 3;

fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

fn at(bytes: u64) -> Offset {
    Offset::new(bytes).unwrap()
}

/// An offset of a stream that is the first with its name.
fn offset_at(bytes: u64) -> StreamOffset {
    StreamOffset {
        generation: 0,
        position: at(bytes),
    }
}

fn snapshot(stream: u64, tail: u64) -> Option<StreamSnapshot> {
    Some(StreamSnapshot {
        stream: StreamId(stream),
        stream_generation: 0,
        begins: Offset::ZERO,
        tail: at(tail),
    })
}

fn later(ms: u64) -> Moment {
    Moment(T0.0 + ms)
}

/// A subscription to one stream, `a`, with `tail` bytes to be processed.
fn pending(way: DeliveryWay, tail: u64) -> SubscriptionState {
    let mut state = SubscriptionState::new(way, LEASE);
    assert!(state.observe(&name("a"), snapshot(1, tail), true, STREAMS_MAX));
    state
}

fn failed(jitter_permille: i32) -> AttemptOutcome {
    AttemptOutcome::Failed {
        reason: "unavailable".to_owned(),
        jitter_permille,
    }
}

#[test]
fn an_ack_of_an_earlier_stream_is_refused() {
    let mut state = SubscriptionState::new(DeliveryWay::PullWake, LEASE);
    let successor = StreamSnapshot {
        stream: StreamId(2),
        stream_generation: 1,
        begins: Offset::ZERO,
        tail: at(10),
    };
    state.observe(&name("a"), Some(successor), true, 9);
    let key = state.claim("w", later(0), "w1".to_owned()).unwrap();
    let info = state.streams().next().unwrap();
    assert_eq!(info.tail_offset().to_string(), "0000000000000010_1");
    let received = offset_at(5);
    let refused = Err(SubscriptionFault::AckOfEarlierStream {
        stream: name("a"),
        received,
    });
    assert_eq!(
        state.ack(&key, &[(name("a"), received)], false, later(1)),
        refused
    );
    assert_eq!(state.links[&name("a")].acked, at(0));
    assert_eq!(
        state.ack(
            &key,
            &[(
                name("a"),
                StreamOffset {
                    generation: 1,
                    ..received
                }
            )],
            true,
            later(2)
        ),
        Ok(())
    );
    assert_eq!(state.links[&name("a")].acked, at(5));
}

#[test]
fn a_done_webhook_acks_only_what_was_delivered() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    assert_eq!(
        (attempt.key.generation, attempt.until),
        (1, Some(T0.after(LEASE)))
    );
    assert!(state.observe(&name("a"), snapshot(1, 15), true, STREAMS_MAX));
    state.attempted(
        &attempt.key,
        AttemptOutcome::Done(attempt.streams),
        later(5),
    );
    assert_eq!(state.links[&name("a")].acked, at(10));
    let next = state.settle(later(5), "w2".into()).unwrap();
    assert_eq!(
        next.key,
        WakeKey {
            generation: 2,
            wake_id: "w2".into()
        }
    );
}

#[test]
fn a_failed_webhook_is_retried_with_the_same_wake() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let first = state.settle(T0, "w1".into()).unwrap();
    state.attempted(&first.key, failed(0), later(100));
    assert_eq!(state.settle(later(100), "w2".into()), None);
    assert_eq!(state.deadline(), Some(later(1100)));
    let second = state.settle(later(1100), "w2".into()).unwrap();
    assert_eq!(second.key, first.key);
    assert_eq!(second.until, Some(later(1100).after(LEASE)));
    state.attempted(&second.key, failed(-200), later(1100));
    assert_eq!(state.deadline(), Some(later(1100 + 1600)));
    state.attempted(&second.key, AttemptOutcome::Accepted, later(1100));
    assert_eq!(state.retry(), None);
}

#[test]
fn pauses_double_up_to_a_minute() {
    let seconds = |failures, jitter| pause(failures, jitter).as_secs_f64();
    let doubled: Vec<f64> = (1..=8).map(|failures| seconds(failures, 0)).collect();
    assert_eq!(doubled, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    assert_eq!(
        (seconds(1, 200), seconds(1, -200), seconds(1, 9999)),
        (1.2, 0.8, 1.2)
    );
    assert_eq!(
        (seconds(u32::MAX, 200), seconds(u32::MAX, -200)),
        (60.0, 48.0)
    );
}

#[test]
fn a_webhook_that_does_not_answer_fails_with_its_lease() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    assert_eq!(
        state.settle(T0.after(LEASE), "w2".into()),
        None,
        "not at once: it failed"
    );
    assert_eq!(state.retry().unwrap().failures, 1);
    state.attempted(
        &attempt.key,
        AttemptOutcome::Done(attempt.streams),
        T0.after(LEASE),
    );
    assert_eq!(
        state.links[&name("a")].acked,
        at(0),
        "an answer after the lease moves nothing"
    );
    assert_eq!(
        state
            .settle(later(11_000), "w2".into())
            .unwrap()
            .key
            .generation,
        2
    );
}

#[test]
fn a_webhook_whose_lease_expired_is_woken_again_at_once() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    state.attempted(&attempt.key, AttemptOutcome::Accepted, later(1));
    let report = |state: &mut SubscriptionState, done, now| {
        state.ack(&attempt.key, &[(name("a"), offset_at(4))], done, now)
    };
    assert_eq!(report(&mut state, false, later(9_000)), Ok(()));
    assert_eq!(
        state.deadline(),
        Some(later(19_000)),
        "a report extends the lease"
    );
    let next = state.settle(later(19_000), "w2".into()).unwrap();
    assert_eq!((next.key.generation, next.streams[0].acked), (2, at(4)));
    assert_eq!(
        report(&mut state, true, later(19_000)),
        Err(SubscriptionFault::Fenced)
    );
}

#[test]
fn a_pull_wake_lease_ends_by_done_release_or_expiry() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    assert_eq!(attempt.until, None);
    state.attempted(&attempt.key, AttemptOutcome::Accepted, T0);
    assert_eq!(state.deadline(), None, "a claim has no deadline");
    let key = state.claim("one", later(1), "w2".into()).unwrap();
    assert_eq!(key, attempt.key);
    let refused = state.claim("two", later(2), "w2".into());
    assert_eq!(
        refused,
        Err(SubscriptionFault::Claimed {
            holder: "one".into(),
            generation: 1
        })
    );
    assert_eq!(state.release(&key, later(3)), Ok(()));
    assert_eq!(
        state.release(&key, later(3)),
        Err(SubscriptionFault::Fenced)
    );
    let again = state.settle(later(3), "w2".into()).unwrap();
    assert_eq!(
        again.key.generation, 2,
        "pending data is delivered again after a release"
    );
    let key = state.claim("two", later(4), "w3".into()).unwrap();
    assert_eq!(
        state.ack(&key, &[(name("a"), offset_at(10))], true, later(5)),
        Ok(())
    );
    assert_eq!(
        state.claim("one", later(5), "w3".into()),
        Err(SubscriptionFault::NothingPending)
    );
    assert_eq!(state.settle(later(5), "w3".into()), None);
    assert!(state.observe(&name("a"), snapshot(1, 11), true, STREAMS_MAX));
    let key = state.claim("one", later(6), "w3".into()).unwrap();
    assert_eq!(
        key.generation, 3,
        "a claim before the delivery begins the wake"
    );
    let end = later(6).after(LEASE);
    let key = state
        .claim("two", end, "w4".into())
        .map(|next| (key, next))
        .unwrap();
    assert_eq!(
        state.ack(&key.0, &[], false, end),
        Err(SubscriptionFault::Fenced),
        "the first worker's lease has expired"
    );
    assert_eq!(state.ack(&key.1, &[], false, end), Ok(()));
}

#[test]
fn acks_move_all_cursors_or_none() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    state.link(&name("b"), snapshot(2, 20), true);
    let key = state.claim("one", T0, "w1".into()).unwrap();
    let mut ack = |acks: &[(&str, u64)]| {
        let acks: Vec<_> = acks
            .iter()
            .map(|(stream, offset)| (name(stream), offset_at(*offset)))
            .collect();
        let outcome = state.ack(&key, &acks, false, T0);
        (outcome, state.links[&name("a")].acked.bytes())
    };
    assert_eq!(
        ack(&[("a", 5), ("c", 1)]),
        (Err(SubscriptionFault::NotLinked("c".into())), 0)
    );
    let ahead = SubscriptionFault::AckBeyondTail {
        stream: name("a"),
        received: offset_at(11),
        tail: offset_at(10),
    };
    assert_eq!(ack(&[("b", 20), ("a", 11)]), (Err(ahead), 0));
    let returned = SubscriptionFault::AckGoesBack {
        stream: name("b"),
        received: offset_at(19),
        acked: offset_at(20),
    };
    assert_eq!(ack(&[("a", 5), ("b", 19)]), (Err(returned), 0));
    assert_eq!(ack(&[("a", 5), ("b", 20)]), (Ok(()), 5));
    assert_eq!(
        ack(&[("a", 5)]),
        (Ok(()), 5),
        "the same again is no step back"
    );
}

#[test]
fn names_and_pattern_link_a_stream_independently() {
    let mut state = SubscriptionState::new(DeliveryWay::Webhook, LEASE);
    state.link(&name("a"), snapshot(1, 10), true);
    assert!(!state.is_pending(), "linked from where it ends");
    assert!(state.observe(&name("a"), snapshot(1, 10), true, STREAMS_MAX));
    assert!(state.links[&name("a")].explicit);
    state.unlink(&name("a"));
    assert!(!state.links[&name("a")].explicit && state.links[&name("a")].glob);
    state.unlink(&name("nothing"));
    state.link(&name("b"), None, true);
    state.unlink(&name("b"));
    assert_eq!(state.links(), 1);
}

#[test]
fn a_recreated_stream_is_processed_from_its_beginning() {
    let mut state = SubscriptionState::new(DeliveryWay::Webhook, LEASE);
    state.link(&name("by-name"), snapshot(1, 10), true);
    state.link(&name("by-pattern"), snapshot(2, 10), false);
    for (name, matches) in [(name("by-name"), false), (name("by-pattern"), true)] {
        assert!(state.observe(&name, None, matches, STREAMS_MAX));
        assert!(!state.is_pending());
        assert!(state.observe(&name, snapshot(9, 4), matches, STREAMS_MAX));
        assert_eq!(
            (state.links[&name].acked, state.links[&name].tail),
            (at(0), at(4))
        );
        state.unlink(&name);
        state.links.remove(&name);
    }
}

#[test]
fn streams_are_linked_up_to_the_limit() {
    let mut state = SubscriptionState::new(DeliveryWay::Webhook, LEASE);
    let fits: Vec<bool> = (0..5)
        .map(|n| state.observe(&name(&format!("s{n}")), snapshot(n, 1), true, STREAMS_MAX))
        .collect();
    assert_eq!(fits, [true, true, true, false, false]);
    assert!(state.observe(&name("s0"), snapshot(0, 2), true, STREAMS_MAX));
    assert!(
        state.observe(&name("other"), snapshot(7, 2), false, STREAMS_MAX),
        "it does not match"
    );
}

/// Checks that a subscription without pending data is due, and then has neither a wake nor a
/// failure; this is stored.
#[track_caller]
fn ends_without_work(state: &mut SubscriptionState, now: Moment) {
    let revision = state.revision();
    assert!(state.is_due(now));
    assert_eq!(state.settle(now, "none".into()), None);
    assert_eq!(
        (state.current(), state.retry(), state.deadline()),
        (None, None, None)
    );
    assert_ne!(state.revision(), revision);
}

#[test]
fn a_wake_without_pending_data_ends_and_clears_the_failure() {
    for way in [DeliveryWay::Webhook, DeliveryWay::PullWake] {
        let mut state = pending(way, 10);
        let attempt = state.settle(T0, "w1".into()).unwrap();
        state.attempted(&attempt.key, failed(0), T0);
        assert!(state.observe(&name("a"), None, true, STREAMS_MAX));
        ends_without_work(&mut state, T0);
    }
}

#[test]
fn a_failure_whose_wake_has_expired_is_cleared_without_pending_data() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    state.settle(T0, "w1".into()).unwrap();
    let end = T0.after(LEASE);
    assert_eq!(state.settle(end, "w2".into()), None);
    assert!(state.retry().is_some());
    assert!(state.observe(&name("a"), None, true, STREAMS_MAX));
    ends_without_work(&mut state, end);
}
