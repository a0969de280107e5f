//! The events API: what is taken, what is refused, and when.

use std::sync::atomic::Ordering;

use cartwheel_engine::input::Fact;
use serde_json::json;

use crate::start::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_on_the_log_when_it_is_answered() {
    let edge = edge().await;
    let sent = edge
        .track(json!({ "messageId": "m1", "userId": "42", "event": "Product Added", "properties": { "cart_id": "c1" } }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer(sent).await, (200, json!({ "success": true })));
    let inputs = edge.inputs();
    assert_eq!((inputs.len(), inputs[0].key.as_str(), inputs[0].id.as_str()), (1, "acme/user:42", "m1"));
    assert!(matches!(&inputs[0].fact, Fact::Tracked(event) if event.name == "Product Added"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_claimed_while_the_log_is_away_or_silent() {
    let edge = edge_with(settings(|config| config.http.log_timeout = std::time::Duration::from_millis(50))).await;
    let message = || edge.track(json!({ "messageId": "m1", "userId": "42", "event": "e" }));
    for fault in [&edge.log.away, &edge.log.silent] {
        fault.store(true, Ordering::SeqCst);
        let refused = message().send().await.unwrap();
        assert_eq!(refused.headers()["retry-after"], "5");
        let (status, body) = answer(refused).await;
        assert_eq!((status, body["code"].as_str()), (503, Some("unavailable")));
        let batch = edge.batch(json!([{ "type": "track", "userId": "42", "event": "e" }, { "type": "alias" }])).send().await.unwrap();
        assert_eq!(batch.status(), 503);
        fault.store(false, Ordering::SeqCst);
    }
    assert!(edge.inputs().is_empty() && edge.dead_letters().is_empty());
    assert_eq!(message().send().await.unwrap().status(), 200);
    assert_eq!(edge.inputs()[0].id, "m1");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_batch_is_judged_alone_and_all_errors_are_reported() {
    let edge = edge().await;
    let batch = json!([
        { "type": "track", "messageId": "a", "userId": "1", "event": "e" },
        { "type": "alias", "messageId": "b", "userId": "1", "previousId": "x" },
        { "type": "track", "messageId": "c", "event": "e" },
        { "type": "identify", "messageId": "d", "userId": "1", "traits": { "consent": { "sms": "promotional" }, "consent_source": "checkout" } },
        "not an object",
        { "type": "track", "messageId": "f", "userId": "1", "event": "e", "timestamp": "1970-01-01T00:00:00Z" },
    ]);
    let (status, body) = answer(edge.batch(batch).send().await.unwrap()).await;
    assert_eq!((status, body["success"].as_bool(), body["accepted"].as_u64()), (200, Some(false), Some(2)));
    let errors: Vec<_> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["index"].as_u64().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(errors, [(1, "unsupported"), (2, "no_customer"), (4, "wrong_type"), (5, "bad_time")]);
    assert_eq!(edge.inputs().iter().map(|input| input.id.as_str()).collect::<Vec<_>>(), ["a", "d"]);
    let mut reasons: Vec<String> = edge.dead_letters().into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["bad_time", "no_customer", "unsupported", "wrong_type"], "the client sees 200, so the bytes are kept");

    let (status, body) = answer(edge.batch(json!([{ "type": "group" }, { "type": "track" }])).send().await.unwrap()).await;
    assert_eq!((status, body["code"].as_str(), body["errors"].as_array().unwrap().len()), (400, Some("unsupported"), 2));
    assert_eq!(answer(edge.batch(json!([])).send().await.unwrap()).await, (200, json!({ "success": true })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_sending_of_a_batch_corrects_its_messages() {
    let edge = edge().await;
    let body = json!({ "sentAt": "2020-01-01T00:00:10Z", "context": { "consent": { "source": "till" } }, "batch": [
        { "type": "identify", "userId": "1", "timestamp": "2020-01-01T00:00:00Z", "traits": { "consent": { "sms": "none" } } } ] });
    assert_eq!(edge.post("/v1/batch", body.to_string()).basic_auth(SECRET, Some("")).send().await.unwrap().status(), 200);
    let inputs = edge.inputs();
    let Fact::Identified(identified) = &inputs[0].fact else { panic!("{inputs:?}") };
    assert_eq!(inputs[0].received.duration_since(identified.occurred.unwrap()).as_secs(), 10);
    assert_eq!(identified.consents[0].source, "till", "the batch's context is each message's");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_known_or_refused_wherever_they_stand() {
    let edge = edge().await;
    let message = json!({ "userId": "1", "anonymousId": "x", "event": "e" });
    let with = |key: &str| {
        let mut message = message.clone();
        message["writeKey"] = key.into();
        edge.post("/v1/track", message.to_string())
    };
    let bare = || edge.post("/v1/track", message.to_string());
    for accepted in [
        bare().bearer_auth(SECRET),
        bare().header("x-write-key", SECRET),
        bare().header("x-write-key", format!("id:{SECRET}")),
        with(SECRET),
        with(BROWSER),
    ] {
        assert_eq!(accepted.send().await.unwrap().status(), 200);
    }
    let refused = [
        bare(),
        bare().basic_auth("wrong", Some("")),
        bare().basic_auth(&SECRET[1..], Some("")),
        bare().header("authorization", "Basic %%%"),
        with("wrong"),
        with(SECRET).bearer_auth("wrong"),
    ];
    for request in refused {
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("www-authenticate"));
        assert_eq!(answer(response).await.1["code"], "unauthorized");
    }
    assert_eq!(edge.inputs().iter().filter(|input| input.key.as_str() == "acme/anonymous:x").count(), 1, "a browser key names no customer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_its_quota_is_told_when_to_come_again() {
    let edge = edge_with(settings(|config| (config.http.events_per_second, config.http.burst) = (1, 10))).await;
    let one = || async { edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap() };
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let response = one().await;
        if response.status() == 429 {
            let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&wait), "{wait}");
        }
        statuses.push(response.status().as_u16());
    }
    assert!(statuses.contains(&429) && statuses[0] == 200, "{statuses:?}");
    let browser =
        edge.post("/v1/track", json!({ "anonymousId": "x", "event": "e", "writeKey": BROWSER }).to_string()).send().await.unwrap();
    assert_eq!(browser.status(), 200, "another key has its own quota");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_in_the_skin_of_one_customer_is_set_aside() {
    let edge = edge_with(settings(|config| config.events_per_customer_minute = 5)).await;
    let mut total = 0;
    // A minute may end while the first batch is taken, so that its count begins anew; two batches cannot both be torn so.
    for _ in 0..2 {
        let batch: Vec<_> = (0..20).map(|_| json!({ "type": "track", "userId": "bot", "event": "e" })).collect();
        let (status, body) = answer(edge.batch(json!(batch)).send().await.unwrap()).await;
        total += body["errors"].as_array().map_or(0, Vec::len);
        assert!(status == 200 || body["code"] == "too_many_of_customer");
    }
    assert!(total >= 20, "{total}");
    assert!(edge.dead_letters().iter().all(|letter| letter.reason == "too_many_of_customer"));
    assert_eq!(edge.track(json!({ "userId": "person", "event": "e" })).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_is_applied_later_is_served_without_a_restart() {
    let edge = edge().await;
    let key = edge.track(json!({ "userId": "1", "event": "e" }));
    assert_eq!(key.send().await.unwrap().status(), 200);
    edge.apply("acme", 2, &SHOP.replace("app-write-key", "another-key")).await;
    edge.eventually("the key is gone from the shop's file", || async {
        edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap().status() == 401
    })
    .await;
    edge.apply("acme", 3, "grammar: 1\nshop: acme\nnonsense: true").await;
    edge.apply("acme", 4, SHOP).await;
    edge.eventually("the key is back", || async {
        edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap().status() == 200
    })
    .await;
    edge.apply("other", 1, &SHOP.replace("shop: acme", "shop: other")).await;
    edge.eventually("a key of two shops is nobody's", || async {
        edge.track(json!({ "userId": "1", "event": "e" })).send().await.unwrap().status() == 401
    })
    .await;
}
