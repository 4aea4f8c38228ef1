//! Subscriptions at work, on paused time: who is woken when, and what outlives a restart.

mod restarts;

use super::definition::{Definition, WorkerName};
use super::fixture::{Mood, SubscriptionFixture, id, limits, name};
use super::state::{DeliveryWay, SubscriptionFault, WakeKey};
use super::webhook::{NoWebhooks, Receipt};
use super::wire::ClaimView;
use super::{Refused, Subscriptions, SubscriptionsOpenError, WorkerReport};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::store::{MemoryStore, StoreError};
use tailwater_core::{StreamConfig, Streams};
use tokio::sync::watch;

/// Long enough for every task to do what it can do now; no timer of a subscription is shorter.
const A_MOMENT: Duration = Duration::from_millis(1);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_moves_wakes_and_done_acks_what_was_told() {
    let mut rig = SubscriptionFixture::new();
    rig.append("events/old", 5).await;
    rig.hook().await;
    assert!(
        rig.call_within(seconds(60.0)).await.is_none(),
        "what was there before wakes nobody"
    );
    rig.append("events/new", 7).await;
    let first = rig.call().await;
    assert_eq!(
        (first.stream("events/old"), first.stream("events/new")),
        ((5, 5, false), (0, 7, true))
    );
    assert_eq!(
        first.body["callback_url"],
        "http://127.0.0.1:1/v1/stream/__ds/subscriptions/hook/callback"
    );
    rig.append("events/new", 1).await;
    first.answer(Receipt::Done);
    let second = rig.call().await;
    assert_eq!(
        (second.key.generation, second.stream("events/new")),
        (2, (7, 8, true))
    );
    second.answer(Receipt::Done);
    assert!(
        rig.call_within(seconds(60.0)).await.is_none(),
        "everything is worked off"
    );
    rig.append("other/new", 1).await;
    assert!(
        rig.call_within(seconds(60.0)).await.is_none(),
        "it does not match"
    );
}

#[tokio::test(start_paused = true)]
async fn a_callback_moves_cursors_and_keeps_the_lease_alive() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    rig.append("events/a", 9).await;
    let call = rig.call().await;
    let report = |at: &str, done| {
        let acks = vec![(name("events/a"), format!("{at:0>16}").parse().unwrap())];
        WorkerReport {
            key: call.key.clone(),
            acks,
            done,
        }
    };
    let (key, token) = (call.key.clone(), call.token.clone());
    let (going_on, last) = (report("3", false), report("9", true));
    let again = last.clone();
    call.answer(Receipt::Taken);
    let (hook, subscriptions) = (id("hook"), Arc::clone(&rig.subscriptions));
    let send = |report| subscriptions.report(&hook, DeliveryWay::Webhook, &token, report);
    for _ in 0..3 {
        assert!(
            rig.call_within(seconds(9.0)).await.is_none(),
            "each report is a sign of life"
        );
        assert_eq!(send(going_on.clone()).await, Ok(false));
    }
    let next = rig.call().await;
    assert_eq!(
        (next.key.generation, next.stream("events/a")),
        (key.generation + 1, (3, 9, true))
    );
    assert_eq!(
        send(last).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "it was silent for too long"
    );
    let other_token = next.token.clone();
    let fenced = subscriptions
        .report(&hook, DeliveryWay::Webhook, &other_token, again)
        .await;
    assert_eq!(
        fenced,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "the token is for another wake than the report"
    );
    assert_eq!(
        subscriptions
            .report(&hook, DeliveryWay::Webhook, "x.y", going_on)
            .await,
        Err(Refused::Token)
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_appended_before_a_claim_counts_for_it() {
    let rig = SubscriptionFixture::new();
    rig.create("wake").await;
    rig.pull().await;
    assert_eq!(
        rig.claim("one").await,
        Err(Refused::Fault(SubscriptionFault::NothingPending))
    );
    // Nothing sleeps here: no other task has had a turn of its own accord.
    for generation in 1..=3 {
        rig.append("events/a", 1).await;
        let claim = rig.claim("one").await.unwrap();
        assert_eq!(claim.generation, generation);
        assert_eq!(
            rig.ack(&claim, &[("events/a", generation)], true).await,
            Ok(false)
        );
    }
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(
        rig.content("wake")
            .await
            .matches("\"generation\":3")
            .count(),
        1,
        "every wake has one event"
    );
}

#[tokio::test(start_paused = true)]
async fn every_wake_has_an_event_once_its_stream_is_there() {
    let rig = SubscriptionFixture::new();
    rig.pull().await;
    rig.append("events/a", 1).await;
    tokio::time::sleep(seconds(20.0)).await;
    let view = rig.view("pull").await;
    assert_eq!(view["status"], "failed");
    assert!(
        view["last_error"]
            .as_str()
            .unwrap()
            .contains("`wake` does not exist"),
        "{view}"
    );
    rig.create("wake").await;
    tokio::time::sleep(A_MOMENT).await;
    let event: serde_json::Value = serde_json::from_str(&rig.content("wake").await).unwrap();
    assert_eq!(
        (
            &event["type"],
            &event["subscription_id"],
            &event["stream"],
            &event["generation"]
        ),
        (
            &json!("wake"),
            &json!("pull"),
            &json!("events/a"),
            &json!(1)
        )
    );
    assert_eq!(rig.view("pull").await["status"], "active");
    let claim = rig.claim("one").await.unwrap();
    let key = WakeKey {
        generation: claim.generation,
        wake_id: claim.wake_id,
    };
    rig.subscriptions
        .release(&id("pull"), &claim.token, key)
        .await
        .unwrap();
    tokio::time::sleep(A_MOMENT).await;
    assert!(
        rig.content("wake").await.contains("\"generation\":2"),
        "what was released is told again"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_or_told_before_it_is_kept() {
    let mut rig = SubscriptionFixture::new();
    rig.create("wake").await;
    rig.pull().await;
    rig.hook().await;
    *rig.store.mood.lock().unwrap() = Mood::Holds(VecDeque::new());
    rig.append("events/a", 3).await;
    assert!(
        rig.call_within(seconds(5.0)).await.is_none(),
        "the webhook's wake is not kept yet"
    );
    assert_eq!(
        (rig.store.held(), rig.content("wake").await.as_str()),
        (2, "")
    );
    rig.store.keep_all();
    assert_eq!(rig.call().await.key.generation, 1);
    *rig.store.mood.lock().unwrap() = Mood::Holds(VecDeque::new());
    let (subscriptions, pull) = (Arc::clone(&rig.subscriptions), id("pull"));
    let claiming = tokio::spawn(async move {
        subscriptions
            .claim(&pull, WorkerName::parse("one").unwrap())
            .await
    });
    tokio::time::sleep(seconds(1.0)).await;
    assert!(!claiming.is_finished());
    rig.store.keep_all();
    let claim = claiming.await.unwrap().unwrap();
    *rig.store.mood.lock().unwrap() = Mood::Refuses;
    let refused = rig.ack(&claim, &[("events/a", 3)], true).await;
    assert!(
        matches!(refused, Err(Refused::Store(StoreError::Unwritable(_)))),
        "{refused:?}"
    );
    rig.store.keep_all();
    assert_eq!(
        rig.view("pull").await["streams"][0]["acked_offset"],
        "0000000000000000"
    );
    assert_eq!(
        rig.ack(&claim, &[("events/a", 3)], true).await,
        Ok(false),
        "it can be said again"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_store_refuses_of_its_own_accord_is_done_later() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    *rig.store.mood.lock().unwrap() = Mood::Refuses;
    rig.append("events/a", 3).await;
    assert!(rig.call_within(seconds(30.0)).await.is_none());
    rig.store.keep_all();
    let call = rig.call().await;
    assert_eq!(
        call.key.generation, 1,
        "what was not kept used up no generation"
    );
    *rig.store.mood.lock().unwrap() = Mood::Refuses;
    call.answer(Receipt::Done);
    tokio::time::sleep(seconds(3.0)).await;
    rig.store.keep_all();
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(
        rig.view("hook").await["streams"][0]["acked_offset"],
        "0000000000000003",
        "the answer was not forgotten"
    );
    assert!(rig.call_within(seconds(60.0)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_append_while_a_subscription_is_made_is_not_missed() {
    for before_looking in [true, false] {
        let mut rig = SubscriptionFixture::new();
        rig.create("events/a").await;
        // So that the keys are kept: the first note that is held is the new subscription's.
        rig.hook().await;
        rig.subscriptions.delete(id("hook")).await.unwrap();
        *rig.store.mood.lock().unwrap() = Mood::Holds(VecDeque::new());
        let (subscriptions, asked) = (
            Arc::clone(&rig.subscriptions),
            r#"{"type":"webhook","pattern":"events/*","webhook":{"url":"https://worker.example/"}}"#,
        );
        let definition = Definition::new(serde_json::from_str(asked).unwrap(), true).unwrap();
        let making = tokio::spawn(async move {
            subscriptions
                .put(id("hook"), definition, "http://h".into())
                .await
        });
        if !before_looking {
            tokio::time::sleep(A_MOMENT).await;
        }
        // Linked at its tail by then, or not; known to nobody that follows news.
        rig.append("events/a", 3).await;
        rig.append("events/b", 3).await;
        let mut waited = 0;
        while !making.is_finished() {
            rig.store.keep_all();
            tokio::time::sleep(A_MOMENT).await;
            waited += 1;
            assert!(waited < 100, "the subscription is never made");
        }
        if before_looking {
            rig.append("events/a", 1).await;
        }
        let call = rig.call().await;
        assert!(call.stream("events/a").2, "{}", call.body);
        assert_eq!(call.stream("events/b").2, !before_looking, "{}", call.body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_over_for_everybody() {
    let mut rig = SubscriptionFixture::new();
    rig.create("wake").await;
    rig.pull().await;
    rig.hook().await;
    rig.append("events/a", 3).await;
    let (claim, call) = (rig.claim("one").await.unwrap(), rig.call().await);
    for subscription in ["pull", "hook", "never-there"] {
        rig.subscriptions.delete(id(subscription)).await.unwrap();
    }
    let keys: Vec<String> = rig.store.notes.lock().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["subscriptions/keys"]);
    assert!(matches!(
        rig.ack(&claim, &[], true).await,
        Err(Refused::NotFound(_))
    ));
    drop(call);
    rig.append("events/a", 3).await;
    assert!(rig.call_within(seconds(60.0)).await.is_none());
    rig.pull().await;
    rig.append("events/a", 3).await;
    let next = rig.claim("two").await.unwrap();
    assert_eq!(
        rig.ack(&claim, &[], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "a token of its former life"
    );
    assert_eq!(
        next.generation, claim.generation,
        "the same number, and yet another wake"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_stream_is_no_work_and_the_next_of_its_name_begins_anew() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    rig.append("events/a", 3).await;
    rig.call().await.answer(Receipt::Done);
    rig.append("events/a", 3).await;
    let call = rig.call().await;
    rig.streams.delete(&name("events/a")).await.unwrap();
    call.fail();
    assert!(rig.call_within(seconds(60.0)).await.is_none());
    assert_eq!(rig.view("hook").await["streams"], json!([]));
    assert_eq!(rig.view("hook").await["status"], "active");
    let mut rig = rig.restart().await;
    rig.append("events/a", 2).await;
    assert_eq!(rig.call().await.stream("events/a"), (0, 2, true));
}

#[tokio::test(start_paused = true)]
async fn streams_are_linked_by_name_from_their_tail_on_and_can_be_taken_off() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    rig.append("other/a", 5).await;
    let add = |names: &[&str]| {
        let names = names.iter().map(|text| name(text)).collect();
        let (subscriptions, hook) = (Arc::clone(&rig.subscriptions), id("hook"));
        async move { subscriptions.add(&hook, names).await }
    };
    add(&["other/a", "other/none"]).await.unwrap();
    add(&["other/a"]).await.unwrap();
    let refused = add(&["1", "2", "3"]).await;
    assert_eq!(
        refused,
        Err(Refused::Fault(SubscriptionFault::TooManyStreams {
            received: 5,
            limit: limits().streams_max
        }))
    );
    rig.append("other/a", 1).await;
    rig.append("other/none", 1).await;
    let call = rig.call().await;
    assert_eq!(call.stream("other/a"), (5, 6, true));
    call.answer(Receipt::Done);
    rig.subscriptions
        .remove(&id("hook"), name("other/a"))
        .await
        .unwrap();
    rig.subscriptions
        .remove(&id("hook"), name("other/a"))
        .await
        .unwrap();
    let mut rig = rig.restart().await;
    rig.append("other/a", 1).await;
    rig.append("other/none", 1).await;
    let call = rig.call().await;
    assert_eq!(
        (
            call.body["streams"].as_array().unwrap().len(),
            call.stream("other/none")
        ),
        (1, (1, 2, true))
    );
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_subscriptions_and_none_twice() {
    let rig = SubscriptionFixture::new();
    rig.hook().await;
    let other =
        json!({"type": "webhook", "pattern": "x/*", "webhook": {"url": "https://worker.example/"}});
    assert_eq!(
        rig.put("hook", other.clone()).await,
        Err(Refused::Differs(id("hook")))
    );
    assert!(rig.put("b", other.clone()).await.unwrap().1);
    assert!(!rig.put("b", other.clone()).await.unwrap().1);
    assert!(rig.put("c", other.clone()).await.unwrap().1);
    assert_eq!(
        rig.put("d", other.clone()).await,
        Err(Refused::TooMany { limit: 3 })
    );
    rig.subscriptions.delete(id("b")).await.unwrap();
    assert!(rig.put("d", other.clone()).await.unwrap().1);
    rig.stop();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(
        rig.subscriptions.look(&id("hook")).await,
        Err(Refused::Stopping)
    );
}

#[tokio::test]
async fn without_webhooks_only_pull_wake_subscriptions_are_made() {
    let store = Arc::new(MemoryStore::new(1 << 20));
    let (_running, stop) = watch::channel(false);
    let subscriptions = Subscriptions::open(
        Arc::new(Streams::new(store, 10)),
        &BTreeMap::new(),
        limits(),
        Arc::new(NoWebhooks),
        stop,
    )
    .unwrap();
    let put = async |asked: serde_json::Value| {
        let asked = serde_json::from_value(asked).unwrap();
        let definition = Definition::new(asked, true).unwrap();
        subscriptions
            .put(id("it"), definition, "http://127.0.0.1:1".to_owned())
            .await
            .map(|(_, is_new)| is_new)
    };
    let webhook =
        json!({"type": "webhook", "pattern": "**", "webhook": {"url": "https://worker.example/"}});
    assert_eq!(put(webhook).await, Err(Refused::NoWebhooks));
    let pull = json!({"type": "pull-wake", "pattern": "**", "wake_stream": "wake"});
    assert_eq!(put(pull).await, Ok(true));
}
