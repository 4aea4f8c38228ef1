//! Subscriptions as a whole, on tokio's paused time: who is woken when, what a restart preserves, and
//! pauses.

mod pauses;
mod restarts;

use super::definition::{Definition, WorkerName};
use super::fixture::{NotePolicy, SubscriptionFixture, id, limits, name};
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

/// Long enough for every task to become idle, and shorter than any timer of a subscription.
const A_MOMENT: Duration = Duration::from_millis(1);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[tokio::test(start_paused = true)]
async fn an_append_wakes_and_done_acks_what_was_delivered() {
    let mut fixture = SubscriptionFixture::new();
    fixture.append("events/old", 5).await;
    fixture.hook().await;
    assert!(
        fixture.call_within(seconds(60.0)).await.is_none(),
        "earlier messages cause no wake"
    );
    fixture.append("events/new", 7).await;
    let first = fixture.call().await;
    assert_eq!(
        (first.stream("events/old"), first.stream("events/new")),
        ((5, 5, false), (0, 7, true))
    );
    assert_eq!(
        first.body["callback_url"],
        "http://127.0.0.1:1/v1/stream/__ds/subscriptions/hook/callback"
    );
    fixture.append("events/new", 1).await;
    first.answer(Receipt::Done);
    let second = fixture.call().await;
    assert_eq!(
        (second.key.generation, second.stream("events/new")),
        (2, (7, 8, true))
    );
    second.answer(Receipt::Done);
    assert!(
        fixture.call_within(seconds(60.0)).await.is_none(),
        "everything is processed"
    );
    fixture.append("other/new", 1).await;
    assert!(
        fixture.call_within(seconds(60.0)).await.is_none(),
        "it does not match"
    );
}

#[tokio::test(start_paused = true)]
async fn a_callback_moves_cursors_and_extends_the_lease() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("events/a", 9).await;
    let call = fixture.call().await;
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
    call.answer(Receipt::Accepted);
    let (hook, subscriptions) = (id("hook"), Arc::clone(&fixture.subscriptions));
    let send = |report| subscriptions.report(&hook, DeliveryWay::Webhook, &token, report);
    for _ in 0..3 {
        assert!(
            fixture.call_within(seconds(9.0)).await.is_none(),
            "each report extends the lease"
        );
        assert_eq!(send(going_on.clone()).await, Ok(false));
    }
    let next = fixture.call().await;
    assert_eq!(
        (next.key.generation, next.stream("events/a")),
        (key.generation + 1, (3, 9, true))
    );
    assert_eq!(
        send(last).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "the lease has expired"
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
async fn appends_before_a_claim_are_part_of_it() {
    let fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.pull().await;
    assert_eq!(
        fixture.claim("one").await,
        Err(Refused::Fault(SubscriptionFault::NothingPending))
    );
    // No sleep: no other task could run in between.
    for generation in 1..=3 {
        fixture.append("events/a", 1).await;
        let claim = fixture.claim("one").await.unwrap();
        assert_eq!(claim.generation, generation);
        assert_eq!(
            fixture.ack(&claim, &[("events/a", generation)], true).await,
            Ok(false)
        );
    }
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(
        fixture
            .content("wake")
            .await
            .matches("\"generation\":3")
            .count(),
        1,
        "every wake has one event"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wake_is_delivered_once_its_wake_stream_exists() {
    let fixture = SubscriptionFixture::new();
    fixture.pull().await;
    fixture.append("events/a", 1).await;
    tokio::time::sleep(seconds(20.0)).await;
    let view = fixture.view("pull").await;
    assert_eq!(view["status"], "failed");
    assert!(
        view["last_error"]
            .as_str()
            .unwrap()
            .contains("`wake` does not exist"),
        "{view}"
    );
    fixture.create("wake").await;
    tokio::time::sleep(A_MOMENT).await;
    let event: serde_json::Value = serde_json::from_str(&fixture.content("wake").await).unwrap();
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
    assert_eq!(fixture.view("pull").await["status"], "active");
    let claim = fixture.claim("one").await.unwrap();
    let key = WakeKey {
        generation: claim.generation,
        wake_id: claim.wake_id,
    };
    fixture
        .subscriptions
        .release(&id("pull"), &claim.token, key)
        .await
        .unwrap();
    tokio::time::sleep(A_MOMENT).await;
    assert!(
        fixture.content("wake").await.contains("\"generation\":2"),
        "a released wake is delivered again"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_or_delivered_before_it_is_stored() {
    let mut fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.pull().await;
    fixture.hook().await;
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Delay(VecDeque::new());
    fixture.append("events/a", 3).await;
    assert!(
        fixture.call_within(seconds(5.0)).await.is_none(),
        "the webhook's wake is not kept yet"
    );
    assert_eq!(
        (
            fixture.store.delayed_notes(),
            fixture.content("wake").await.as_str()
        ),
        (2, "")
    );
    fixture.store.release_notes();
    assert_eq!(fixture.call().await.key.generation, 1);
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Delay(VecDeque::new());
    let (subscriptions, pull) = (Arc::clone(&fixture.subscriptions), id("pull"));
    let claiming = tokio::spawn(async move {
        subscriptions
            .claim(&pull, WorkerName::parse("one").unwrap())
            .await
    });
    tokio::time::sleep(seconds(1.0)).await;
    assert!(!claiming.is_finished());
    fixture.store.release_notes();
    let claim = claiming.await.unwrap().unwrap();
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Refuse;
    let refused = fixture.ack(&claim, &[("events/a", 3)], true).await;
    assert!(
        matches!(refused, Err(Refused::Store(StoreError::Unwritable(_)))),
        "{refused:?}"
    );
    fixture.store.release_notes();
    assert_eq!(
        fixture.view("pull").await["streams"][0]["acked_offset"],
        "0000000000000000"
    );
    assert_eq!(
        fixture.ack(&claim, &[("events/a", 3)], true).await,
        Ok(false),
        "it can be said again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_store_refused_is_retried() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Refuse;
    fixture.append("events/a", 3).await;
    assert!(fixture.call_within(seconds(30.0)).await.is_none());
    fixture.store.release_notes();
    let call = fixture.call().await;
    assert_eq!(
        call.key.generation, 1,
        "what was not kept used up no generation"
    );
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Refuse;
    call.answer(Receipt::Done);
    tokio::time::sleep(seconds(3.0)).await;
    fixture.store.release_notes();
    tokio::time::sleep(seconds(1.0)).await;
    assert_eq!(
        fixture.view("hook").await["streams"][0]["acked_offset"],
        "0000000000000003",
        "the answer was not forgotten"
    );
    assert!(fixture.call_within(seconds(60.0)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_append_during_creation_is_not_missed() {
    for before_looking in [true, false] {
        let mut fixture = SubscriptionFixture::new();
        fixture.create("events/a").await;
        // So that the keys are stored: the first delayed note is the new subscription's.
        fixture.hook().await;
        fixture.subscriptions.delete(id("hook")).await.unwrap();
        *fixture.store.note_policy.lock().unwrap() = NotePolicy::Delay(VecDeque::new());
        let (subscriptions, request) = (
            Arc::clone(&fixture.subscriptions),
            r#"{"type":"webhook","pattern":"events/*","webhook":{"url":"https://worker.example/"}}"#,
        );
        let definition = Definition::new(serde_json::from_str(request).unwrap(), true).unwrap();
        let changing = tokio::spawn(async move {
            subscriptions
                .put(id("hook"), definition, "http://h".into())
                .await
        });
        if !before_looking {
            tokio::time::sleep(A_MOMENT).await;
        }
        // May or may not be linked yet; the distributing task does not know it.
        fixture.append("events/a", 3).await;
        fixture.append("events/b", 3).await;
        let mut waited = 0;
        while !changing.is_finished() {
            fixture.store.release_notes();
            tokio::time::sleep(A_MOMENT).await;
            waited += 1;
            assert!(waited < 100, "the subscription is never made");
        }
        if before_looking {
            fixture.append("events/a", 1).await;
        }
        let call = fixture.call().await;
        assert!(call.stream("events/a").2, "{}", call.body);
        assert_eq!(call.stream("events/b").2, !before_looking, "{}", call.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_subscription_ends_wakes_and_tokens() {
    let mut fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.pull().await;
    fixture.hook().await;
    fixture.append("events/a", 3).await;
    let (claim, call) = (fixture.claim("one").await.unwrap(), fixture.call().await);
    for subscription in ["pull", "hook", "never-there"] {
        fixture
            .subscriptions
            .delete(id(subscription))
            .await
            .unwrap();
    }
    let keys: Vec<String> = fixture
        .store
        .notes
        .lock()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["subscriptions/keys"]);
    assert!(matches!(
        fixture.ack(&claim, &[], true).await,
        Err(Refused::NotFound(_))
    ));
    drop(call);
    fixture.append("events/a", 3).await;
    assert!(fixture.call_within(seconds(60.0)).await.is_none());
    fixture.pull().await;
    fixture.append("events/a", 3).await;
    let next = fixture.claim("two").await.unwrap();
    assert_eq!(
        fixture.ack(&claim, &[], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "a token of the deleted subscription"
    );
    assert_eq!(
        next.generation, claim.generation,
        "the generations are equal, the wakes differ"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_stream_has_no_work_and_a_new_one_restarts() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("events/a", 3).await;
    fixture.call().await.answer(Receipt::Done);
    fixture.append("events/a", 3).await;
    let call = fixture.call().await;
    fixture.streams.delete(&name("events/a")).await.unwrap();
    call.fail();
    assert!(fixture.call_within(seconds(60.0)).await.is_none());
    assert_eq!(fixture.view("hook").await["streams"], json!([]));
    assert_eq!(fixture.view("hook").await["status"], "active");
    let mut fixture = fixture.restart().await;
    fixture.append("events/a", 2).await;
    assert_eq!(fixture.call().await.stream("events/a"), (0, 2, true));
}

#[tokio::test(start_paused = true)]
async fn streams_are_linked_at_their_tail_and_can_be_unlinked() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("other/a", 5).await;
    let add = |names: &[&str]| {
        let names = names.iter().map(|text| name(text)).collect();
        let (subscriptions, hook) = (Arc::clone(&fixture.subscriptions), id("hook"));
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
    fixture.append("other/a", 1).await;
    fixture.append("other/none", 1).await;
    let call = fixture.call().await;
    assert_eq!(call.stream("other/a"), (5, 6, true));
    call.answer(Receipt::Done);
    fixture
        .subscriptions
        .remove(&id("hook"), name("other/a"))
        .await
        .unwrap();
    fixture
        .subscriptions
        .remove(&id("hook"), name("other/a"))
        .await
        .unwrap();
    let mut fixture = fixture.restart().await;
    fixture.append("other/a", 1).await;
    fixture.append("other/none", 1).await;
    let call = fixture.call().await;
    assert_eq!(
        (
            call.body["streams"].as_array().unwrap().len(),
            call.stream("other/none")
        ),
        (1, (1, 2, true))
    );
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_limited_and_unique() {
    let fixture = SubscriptionFixture::new();
    fixture.hook().await;
    let other =
        json!({"type": "webhook", "pattern": "x/*", "webhook": {"url": "https://worker.example/"}});
    assert_eq!(
        fixture.put("hook", other.clone()).await,
        Err(Refused::Differs(id("hook")))
    );
    assert!(fixture.put("b", other.clone()).await.unwrap().1);
    assert!(!fixture.put("b", other.clone()).await.unwrap().1);
    assert!(fixture.put("c", other.clone()).await.unwrap().1);
    assert_eq!(
        fixture.put("d", other.clone()).await,
        Err(Refused::TooMany { limit: 3 })
    );
    fixture.subscriptions.delete(id("b")).await.unwrap();
    assert!(fixture.put("d", other.clone()).await.unwrap().1);
    fixture.stop();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(
        fixture.subscriptions.inspect(&id("hook")).await,
        Err(Refused::Stopping)
    );
}

#[tokio::test]
async fn without_webhooks_only_pull_wake_can_be_created() {
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
    let put = async |request: serde_json::Value| {
        let request = serde_json::from_value(request).unwrap();
        let definition = Definition::new(request, true).unwrap();
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
