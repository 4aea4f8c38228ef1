//! The state machine, step by step; at random in `scripts`.

mod scripts;

use super::*;
use crate::subscriptions::definition::{Definition, DefinitionRequest};
use crate::subscriptions::note::{self, Card};
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

/// An offset of a stream whose name had none before.
fn given(bytes: u64) -> StreamOffset {
    StreamOffset {
        life: 0,
        position: at(bytes),
    }
}

fn sight(stream: u64, tail: u64) -> Option<Sight> {
    Some(Sight {
        stream: StreamId(stream),
        life: 0,
        begins: Offset::ZERO,
        tail: at(tail),
    })
}

fn later(ms: u64) -> Moment {
    Moment(T0.0 + ms)
}

/// A subscription of one stream, `a`, with `tail` bytes to be worked off.
fn pending(way: DeliveryWay, tail: u64) -> SubscriptionState {
    let mut state = SubscriptionState::new(way, LEASE);
    assert!(state.see(&name("a"), sight(1, tail), true, STREAMS_MAX));
    state
}

fn failed(jitter_permille: i32) -> AttemptOutcome {
    AttemptOutcome::Failed {
        reason: "it is down".to_owned(),
        jitter_permille,
    }
}

#[test]
fn an_ack_of_another_life_is_refused_and_moves_nothing() {
    let mut state = SubscriptionState::new(DeliveryWay::PullWake, LEASE);
    let successor = Sight {
        stream: StreamId(2),
        life: 1,
        begins: Offset::ZERO,
        tail: at(10),
    };
    state.see(&name("a"), Some(successor), true, 9);
    let key = state.claim("w", later(0), "w1".to_owned()).unwrap();
    let info = state.streams().next().unwrap();
    assert_eq!(info.tail_offset().to_string(), "0000000000000010_1");
    let received = given(5);
    let refused = Err(SubscriptionFault::AckOfOtherLife {
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
                    life: 1,
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
fn a_webhook_that_says_done_acks_what_it_was_told_and_no_more() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    assert_eq!(
        (attempt.key.generation, attempt.until),
        (1, Some(T0.after(LEASE)))
    );
    assert!(state.see(&name("a"), sight(1, 15), true, STREAMS_MAX));
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
fn a_failed_webhook_is_told_again_by_the_same_name_while_its_lease_lasts() {
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
    state.attempted(&second.key, AttemptOutcome::Taken, later(1100));
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
fn a_webhook_that_never_answers_has_failed_when_its_lease_ends() {
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
fn a_webhook_that_took_a_wake_and_died_is_woken_anew_at_once() {
    let mut state = pending(DeliveryWay::Webhook, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    state.attempted(&attempt.key, AttemptOutcome::Taken, later(1));
    let report = |state: &mut SubscriptionState, done, now| {
        state.ack(&attempt.key, &[(name("a"), given(4))], done, now)
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
fn one_worker_holds_a_pull_wake_until_it_is_done_releases_or_is_silent() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    let attempt = state.settle(T0, "w1".into()).unwrap();
    assert_eq!(attempt.until, None);
    state.attempted(&attempt.key, AttemptOutcome::Taken, T0);
    assert_eq!(state.deadline(), None, "nobody has to claim");
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
        "what is pending after a release is told again"
    );
    let key = state.claim("two", later(4), "w3".into()).unwrap();
    assert_eq!(
        state.ack(&key, &[(name("a"), given(10))], true, later(5)),
        Ok(())
    );
    assert_eq!(
        state.claim("one", later(5), "w3".into()),
        Err(SubscriptionFault::NothingPending)
    );
    assert_eq!(state.settle(later(5), "w3".into()), None);
    assert!(state.see(&name("a"), sight(1, 11), true, STREAMS_MAX));
    let key = state.claim("one", later(6), "w3".into()).unwrap();
    assert_eq!(
        key.generation, 3,
        "a claim before the wake is told makes the wake"
    );
    let end = later(6).after(LEASE);
    let key = state
        .claim("two", end, "w4".into())
        .map(|next| (key, next))
        .unwrap();
    assert_eq!(
        state.ack(&key.0, &[], false, end),
        Err(SubscriptionFault::Fenced),
        "the first worker was silent for too long"
    );
    assert_eq!(state.ack(&key.1, &[], false, end), Ok(()));
}

#[test]
fn acks_move_all_cursors_or_none() {
    let mut state = pending(DeliveryWay::PullWake, 10);
    state.link(&name("b"), sight(2, 20), true);
    let key = state.claim("one", T0, "w1".into()).unwrap();
    let mut ack = |acks: &[(&str, u64)]| {
        let acks: Vec<_> = acks
            .iter()
            .map(|(stream, offset)| (name(stream), given(*offset)))
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
        received: given(11),
        tail: given(10),
    };
    assert_eq!(ack(&[("b", 20), ("a", 11)]), (Err(ahead), 0));
    let back = SubscriptionFault::AckGoesBack {
        stream: name("b"),
        received: given(19),
        acked: given(20),
    };
    assert_eq!(ack(&[("a", 5), ("b", 19)]), (Err(back), 0));
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
    state.link(&name("a"), sight(1, 10), true);
    assert!(!state.is_pending(), "linked from where it ends");
    assert!(state.see(&name("a"), sight(1, 10), true, STREAMS_MAX));
    assert!(state.links[&name("a")].explicit);
    state.unlink(&name("a"));
    assert!(!state.links[&name("a")].explicit && state.links[&name("a")].glob);
    state.unlink(&name("nothing"));
    state.link(&name("b"), None, true);
    state.unlink(&name("b"));
    assert_eq!(state.links(), 1);
}

#[test]
fn the_next_stream_of_a_name_is_worked_off_from_its_beginning() {
    let mut state = SubscriptionState::new(DeliveryWay::Webhook, LEASE);
    state.link(&name("by-name"), sight(1, 10), true);
    state.link(&name("by-pattern"), sight(2, 10), false);
    for (name, matches) in [(name("by-name"), false), (name("by-pattern"), true)] {
        assert!(state.see(&name, None, matches, STREAMS_MAX));
        assert!(!state.is_pending());
        assert!(state.see(&name, sight(9, 4), matches, STREAMS_MAX));
        assert_eq!(
            (state.links[&name].acked, state.links[&name].tail),
            (at(0), at(4))
        );
        state.unlink(&name);
        state.links.remove(&name);
    }
}

#[test]
fn no_stream_is_linked_beyond_the_limit_and_none_is_lost_below_it() {
    let mut state = SubscriptionState::new(DeliveryWay::Webhook, LEASE);
    let fits: Vec<bool> = (0..5)
        .map(|n| state.see(&name(&format!("s{n}")), sight(n, 1), true, STREAMS_MAX))
        .collect();
    assert_eq!(fits, [true, true, true, false, false]);
    assert!(state.see(&name("s0"), sight(0, 2), true, STREAMS_MAX));
    assert!(
        state.see(&name("other"), sight(7, 2), false, STREAMS_MAX),
        "it does not match"
    );
}

#[test]
fn work_that_went_away_is_not_told_and_clears_the_failure() {
    for way in [DeliveryWay::Webhook, DeliveryWay::PullWake] {
        let mut state = pending(way, 10);
        let attempt = state.settle(T0, "w1".into()).unwrap();
        state.attempted(&attempt.key, failed(0), T0);
        assert!(state.see(&name("a"), None, true, STREAMS_MAX));
        assert!(state.is_due(T0));
        assert_eq!(state.settle(T0, "w2".into()), None);
        assert_eq!(
            (state.current(), state.retry(), state.deadline()),
            (None, None, None)
        );
    }
}
