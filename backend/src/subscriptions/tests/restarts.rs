//! What outlives a restart: attempts and their pauses, leases, tokens, generations, and the subscriptions themselves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_webhook_waits_for_its_pause_also_across_a_restart() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    rig.append("events/a", 9).await;
    let first = rig.call().await;
    let key = first.key.clone();
    first.fail();
    let second = rig.call().await;
    assert_eq!(second.key, key);
    second.fail();
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(rig.view("hook").await["status"], "failed");
    let mut rig = rig.restart().await;
    let view = rig.view("hook").await;
    assert_eq!(
        (&view["status"], &view["last_error"]),
        (&json!("failed"), &json!("it is down"))
    );
    assert!(
        rig.call_within(seconds(1.5)).await.is_none(),
        "the second pause is 1.6 to 2.4 seconds"
    );
    let third = rig
        .call_within(seconds(1.0))
        .await
        .expect("a third attempt after the pause");
    assert_eq!(
        third.key, key,
        "the lease has not ended, so it is the same wake"
    );
    third.answer(Receipt::Done);
    tokio::time::sleep(A_MOMENT).await;
    let view = rig.view("hook").await;
    assert_eq!(
        (&view["status"], view.get("last_error")),
        (&json!("active"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_a_restart_cut_off_is_told_again() {
    let mut rig = SubscriptionFixture::new();
    rig.hook().await;
    rig.append("events/a", 9).await;
    let cut = rig.call().await;
    let mut rig = rig.restart().await;
    let again = rig.call().await;
    assert_eq!(again.key, cut.key);
    assert_eq!(again.token, cut.token);
    again.answer(Receipt::Taken);
    tokio::time::sleep(A_MOMENT).await;
    let mut rig = rig.restart().await;
    assert!(
        rig.call_within(seconds(9.0)).await.is_none(),
        "it was taken: its lease counts, restart or not"
    );
    assert_eq!(rig.call().await.key.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn what_moved_while_the_server_was_off_wakes_after_the_restart() {
    let mut rig = SubscriptionFixture::new();
    rig.append("events/a", 1).await;
    rig.hook().await;
    rig.stop();
    tokio::time::sleep(A_MOMENT).await;
    rig.append("events/a", 1).await;
    rig.append("events/b", 1).await;
    rig = rig.restart().await;
    let call = rig.call().await;
    assert_eq!(
        (call.stream("events/a"), call.stream("events/b")),
        ((1, 2, true), (0, 1, true))
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_and_its_token_outlive_a_restart_and_a_generation_never_comes_again() {
    let rig = SubscriptionFixture::new();
    rig.create("wake").await;
    rig.pull().await;
    rig.append("events/a", 9).await;
    let held = rig.claim("one").await.unwrap();
    assert_eq!(rig.ack(&held, &[("events/a", 4)], false).await, Ok(false));
    let rig = rig.restart().await;
    let claimed = SubscriptionFault::Claimed {
        holder: "one".to_owned(),
        generation: held.generation,
    };
    assert_eq!(rig.claim("two").await, Err(Refused::Fault(claimed)));
    assert_eq!(
        rig.ack(&held, &[("events/a", 5)], false).await,
        Ok(false),
        "the token is still good"
    );
    tokio::time::sleep(seconds(10.0)).await;
    let rig = rig.restart().await;
    let next = rig.claim("two").await.unwrap();
    assert!(next.generation > held.generation);
    assert_eq!(
        rig.ack(&held, &[("events/a", 9)], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced))
    );
    let borrowed = ClaimView {
        token: held.token.clone(),
        ..next.clone()
    };
    assert_eq!(
        rig.ack(&borrowed, &[], true).await,
        Err(Refused::Fault(SubscriptionFault::Fenced)),
        "an old token, the new wake"
    );
    assert_eq!(
        rig.view("pull").await["streams"][0]["acked_offset"],
        "0000000000000005"
    );
    assert_eq!(rig.ack(&next, &[("events/a", 9)], true).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_server_does_not_start_without_a_subscription_that_it_acknowledged() {
    let rig = SubscriptionFixture::new();
    rig.hook().await;
    let notes = rig.store.notes.lock().unwrap().clone();
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
