//! What a restart preserves: attempts and their pauses, leases, tokens, generations, and the
//! subscriptions themselves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_retry_pause_survives_a_restart() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("events/a", 9).await;
    let first = fixture.call().await;
    let key = first.key.clone();
    first.fail();
    let second = fixture.call().await;
    assert_eq!(second.key, key);
    second.fail();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(fixture.view("hook").await["status"], "failed");
    let mut fixture = fixture.restart().await;
    let view = fixture.view("hook").await;
    assert_eq!(
        (&view["status"], &view["last_error"]),
        (&json!("failed"), &json!("unavailable"))
    );
    assert!(
        fixture.call_within(seconds(1.5)).await.is_none(),
        "the second pause is 1.6 to 2.4 seconds"
    );
    let third = fixture
        .call_within(seconds(1.0))
        .await
        .expect("a third attempt after the pause");
    assert_eq!(
        third.key, key,
        "the lease has not ended, so it is the same wake"
    );
    third.answer(Receipt::Done);
    tokio::time::sleep(A_MOMENT).await;
    let view = fixture.view("hook").await;
    assert_eq!(
        (&view["status"], view.get("last_error")),
        (&json!("active"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_webhook_interrupted_by_a_restart_is_repeated() {
    let mut fixture = SubscriptionFixture::new();
    fixture.hook().await;
    fixture.append("events/a", 9).await;
    let cut = fixture.call().await;
    let mut fixture = fixture.restart().await;
    let again = fixture.call().await;
    assert_eq!(again.key, cut.key);
    assert_eq!(again.token, cut.token);
    again.answer(Receipt::Accepted);
    tokio::time::sleep(A_MOMENT).await;
    let mut fixture = fixture.restart().await;
    assert!(
        fixture.call_within(seconds(9.0)).await.is_none(),
        "it was taken: its lease counts, restart or not"
    );
    assert_eq!(fixture.call().await.key.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn changes_during_downtime_wake_after_the_restart() {
    let mut fixture = SubscriptionFixture::new();
    fixture.append("events/a", 1).await;
    fixture.hook().await;
    fixture.stop();
    tokio::time::sleep(A_MOMENT).await;
    fixture.append("events/a", 1).await;
    fixture.append("events/b", 1).await;
    fixture = fixture.restart().await;
    let call = fixture.call().await;
    assert_eq!(
        (call.stream("events/a"), call.stream("events/b")),
        ((1, 2, true), (0, 1, true))
    );
}

#[tokio::test(start_paused = true)]
async fn leases_tokens_and_generations_survive_a_restart() {
    let fixture = SubscriptionFixture::new();
    fixture.create("wake").await;
    fixture.pull().await;
    fixture.append("events/a", 9).await;
    let held = fixture.claim("one").await.unwrap();
    assert_eq!(
        fixture.ack(&held, &[("events/a", 4)], false).await,
        Ok(false)
    );
    let fixture = fixture.restart().await;
    let claimed = SubscriptionFault::Claimed {
        holder: "one".to_owned(),
        generation: held.generation,
    };
    assert_eq!(fixture.claim("two").await, Err(Refused::Fault(claimed)));
    assert_eq!(
        fixture.ack(&held, &[("events/a", 5)], false).await,
        Ok(false),
        "the token is still good"
    );
    tokio::time::sleep(seconds(10.0)).await;
    let fixture = fixture.restart().await;
    let next = fixture.claim("two").await.unwrap();
    assert!(next.generation > held.generation);
    assert_eq!(
        fixture.ack(&held, &[("events/a", 9)], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced))
    );
    let borrowed = ClaimView {
        token: held.token.clone(),
        ..next.clone()
    };
    assert_eq!(
        fixture.ack(&borrowed, &[], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "an old token, the new wake"
    );
    assert_eq!(
        fixture.view("pull").await["streams"][0]["acked_offset"],
        "0000000000000005"
    );
    assert_eq!(
        fixture.ack(&next, &[("events/a", 9)], true).await,
        Ok(false)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_subscription_prevents_the_start() {
    let fixture = SubscriptionFixture::new();
    fixture.hook().await;
    let notes = fixture.store.notes.lock().unwrap().clone();
    for key in ["subscription/hook", "subscriptions/keys"] {
        let mut damaged: BTreeMap<_, _> = notes.clone();
        let text = String::from_utf8(damaged[key].to_vec()).unwrap();
        damaged.insert(
            key.to_owned(),
            text.replace("events", "event")
                .replace("_pkcs8\":\"", "_pkcs8\":\"AAAA")
                .into(),
        );
        let streams = Arc::new(Streams::new(Arc::new(MemoryStore::new(1 << 20)), 10));
        streams
            .create(&name("a"), StreamConfig::new("text/plain"), None, false)
            .await
            .unwrap();
        let webhooks =
            Arc::new(crate::subscriptions::webhook_client::WebhookClient::new(true).unwrap());
        let outcome = Subscriptions::open(
            streams,
            &damaged,
            limits(),
            webhooks,
            watch::channel(false).1,
        );
        let fault = outcome.expect_err("a refusal");
        assert!(
            matches!(&fault, SubscriptionsOpenError::Note { key: named, .. } if named == key),
            "{fault}"
        );
    }
}
