//! Paused subscriptions and the list: what is sent, refused, kept and shown.

use super::*;
use crate::subscriptions::SubscriptionLimits;
use serde_json::Value;
use tailwater_core::{ListOrder, ListQuery};

impl SubscriptionFixture {
    async fn set_paused(&self, text: &str, is_paused: bool) {
        let outcome = self.subscriptions.set_paused(&id(text), is_paused).await;
        assert_eq!(outcome, Ok(()));
    }

    /// The first page of the list.
    async fn list(&self) -> Value {
        let all = ListQuery {
            limit: 100,
            ..ListQuery::default()
        };
        serde_json::to_value(self.subscriptions.list(&all).await.unwrap()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_webhook_is_not_sent_until_it_is_resumed() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("events/a", 9).await;
    fixture.call().await.fail();
    tokio::time::sleep(A_MOMENT).await;
    for _ in 0..2 {
        fixture.set_paused("hook", true).await;
    }
    fixture.append("events/b", 3).await;
    assert!(fixture.call_within(seconds(300.0)).await.is_none());
    let view = fixture.view("hook").await;
    assert_eq!(view["paused"], true);
    assert_eq!(view["last_error"], "unavailable");
    assert_eq!(view.get("next_attempt_at"), None, "there is none");
    let mut fixture = fixture.restart().await;
    assert!(fixture.call_within(seconds(300.0)).await.is_none());
    fixture.append("events/a", 1).await;
    for _ in 0..2 {
        fixture.set_paused("hook", false).await;
    }
    let call = fixture
        .call_within(A_MOMENT)
        .await
        .expect("a webhook at once");
    assert_eq!(
        (call.stream("events/a"), call.stream("events/b")),
        ((0, 10, true), (0, 3, true))
    );
    call.answer(Receipt::Done);
    tokio::time::sleep(A_MOMENT).await;
    let view = fixture.view("hook").await;
    assert_eq!(
        (&view["paused"], &view["status"]),
        (&json!(false), &json!("active"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_waits_for_its_turn_is_not_sent_during_a_pause() {
    let mut fixture = SubscriptionFixture::with(SubscriptionLimits {
        deliveries_max: 1,
        ..limits()
    });
    fixture.hook().await;
    let other = json!({"type": "webhook", "pattern": "events/*", "lease_ttl_ms": 10_000,
                       "webhook": {"url": "https://other.example/"}});
    fixture.put("other", other).await.unwrap();
    fixture.append("events/a", 9).await;
    let first = fixture.call().await;
    let waiting = if first.body["subscription_id"] == "hook" {
        "other"
    } else {
        "hook"
    };
    fixture.set_paused(waiting, true).await;
    first.answer(Receipt::Done);
    assert!(fixture.call_within(seconds(300.0)).await.is_none());
    assert_eq!(fixture.view(waiting).await.get("last_error"), None);
    fixture.set_paused(waiting, false).await;
    assert_eq!(fixture.call().await.body["subscription_id"], waiting);
}

#[tokio::test(start_paused = true)]
async fn a_paused_pull_wake_gives_no_claim_and_sends_no_event() {
    let fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.pull().await;
    fixture.append("events/a", 9).await;
    let held = fixture.claim("one").await.unwrap();
    tokio::time::sleep(A_MOMENT).await;
    let before = fixture.content("wake").await;
    fixture.set_paused("pull", true).await;
    let paused = Refused::Fault(SubscriptionFault::Paused);
    assert_eq!(fixture.claim("two").await, Err(paused.clone()));
    let fixture = fixture.restart().await;
    assert_eq!(
        fixture.ack(&held, &[("events/a", 4)], true).await,
        Ok(false),
        "the lease is respected, and no wake follows"
    );
    fixture.append("events/a", 1).await;
    tokio::time::sleep(seconds(300.0)).await;
    assert_eq!(fixture.claim("two").await, Err(paused));
    assert_eq!(fixture.content("wake").await, before);
    fixture.set_paused("pull", false).await;
    tokio::time::sleep(A_MOMENT).await;
    let event = fixture.content("wake").await.split_off(before.len());
    assert!(event.contains("\"generation\":2"), "{event}");
    let claim = fixture.claim("two").await.unwrap();
    assert_eq!(claim.generation, 2);
    fixture.set_paused("pull", true).await;
    fixture.subscriptions.delete(id("pull")).await.unwrap();
    let gone = fixture.subscriptions.set_paused(&id("pull"), false).await;
    assert_eq!(gone, Err(Refused::NotFound(id("pull"))));
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_acknowledged_before_it_is_stored() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Refuse;
    let outcome = fixture.subscriptions.set_paused(&id("hook"), true).await;
    assert!(matches!(outcome, Err(Refused::Store(_))), "{outcome:?}");
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Store;
    assert_eq!(fixture.view("hook").await["paused"], false);
    fixture.append("events/a", 1).await;
    fixture.call().await.answer(Receipt::Done);
}

#[tokio::test(start_paused = true)]
async fn the_list_counts_streams_and_those_with_pending_messages() {
    let mut fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.append("events/old", 1).await;
    fixture.pull().await;
    fixture.hook().await;
    fixture.append("events/new", 1).await;
    // No sleep: appends before the request count for it.
    let list = fixture.list().await;
    assert_eq!(list["total"], 2);
    assert_eq!(list.get("after"), None);
    for (shown, id) in [(0, "hook"), (1, "pull")] {
        let mut shown = list["subscriptions"][shown].clone();
        let counts = (shown["stream_count"].take(), shown["pending_count"].take());
        assert_eq!(counts, (json!(2), json!(1)));
        let mut view = fixture.view(id).await;
        view.as_object_mut().unwrap().remove("streams");
        // A wake has begun meanwhile.
        view["generation"] = shown["generation"].clone();
        for count in ["stream_count", "pending_count"] {
            shown.as_object_mut().unwrap().remove(count);
        }
        assert_eq!(shown, view);
    }
    fixture.call().await.fail();
    tokio::time::sleep(A_MOMENT).await;
    *fixture.store.note_policy.lock().unwrap() = NotePolicy::Refuse;
    fixture.append("events/new", 1).await;
    tokio::time::sleep(seconds(5.0)).await;
    assert_eq!(
        fixture.list().await["subscriptions"][0]["last_error"],
        "unavailable",
        "also while the store refuses changes"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_of_the_list_join_to_the_whole() {
    let fixture = SubscriptionFixture::with(SubscriptionLimits {
        subscriptions_max: 9,
        ..limits()
    });
    for id in ["b-1", "a", "b", "b-2", "B"] {
        let asked = json!({"type": "pull-wake", "pattern": "events/*", "wake_stream": "wake"});
        fixture.put(id, asked).await.unwrap();
    }
    let page = async |change: &dyn Fn(&mut ListQuery)| {
        let mut query = ListQuery {
            limit: 9,
            ..ListQuery::default()
        };
        change(&mut query);
        let list = fixture.subscriptions.list(&query).await.unwrap();
        let list = serde_json::to_value(list).unwrap();
        assert_eq!(list["total"], 5);
        let shown = list["subscriptions"].as_array().unwrap();
        let ids: Vec<_> = shown
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, list["after"].as_str().map(str::to_owned))
    };
    let all = ["B", "a", "b", "b-1", "b-2"];
    assert_eq!(page(&|_| {}).await, (all.map(str::to_owned).to_vec(), None));
    for limit in 1..=5 {
        let (mut joined, mut after) = (Vec::new(), None);
        loop {
            let (ids, next) = page(&|query| {
                query.limit = limit;
                query.order = ListOrder::Name(after.clone());
            })
            .await;
            joined.extend(ids);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(joined, all, "{limit}");
    }
    let some = async |prefix: &str, search: &str, exclude: &str| {
        let (ids, _) = page(&|query| {
            (query.prefix, query.search) = (prefix.to_owned(), search.to_owned());
            query.exclude = exclude.to_owned();
        })
        .await;
        ids
    };
    assert_eq!(some("b", "", "").await, ["b", "b-1", "b-2"]);
    assert_eq!(some("", "b", "b-").await, ["B", "b"]);
    assert!(some("none", "", "").await.is_empty());
}
