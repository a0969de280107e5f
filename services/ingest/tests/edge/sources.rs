//! Kafka sources: what the mapping makes of records, and what poison does.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use cartwheel_engine::input::Fact;
use cartwheel_language::Value;
use cartwheel_runtime::log::{Log, Outgoing};
use cartwheel_wire::DeadLetterSource;
use serde_json::json;

use crate::start::*;

async fn publish(edge: &Edge, partition: u32, value: Option<Bytes>) {
    let record = Outgoing { topic: "acme.clicks".into(), partition, key: None, value, headers: Vec::new() };
    edge.log.memory.append(vec![record]).await.unwrap();
}

fn click(uid: &str) -> Bytes {
    let record = json!({ "uid": uid, "at": "2026-05-01T10:00:00Z", "kind": "put", "account": "42", "visitor": "x", "mobile": "07400 123456", "cart": "c1", "pence": 1450 });
    record.to_string().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn r85_records_become_events_by_the_mapping() {
    let edge = edge().await;
    publish(&edge, 1, Some(click("a"))).await;
    edge.eventually("both inputs are there", || async { edge.inputs().len() == 2 }).await;
    let inputs = edge.inputs();
    assert_eq!(
        inputs.iter().map(|input| (input.key.as_str(), input.id.as_str())).collect::<Vec<_>>(),
        [("acme/user:42", "clicks/a/traits"), ("acme/user:42", "clicks/a")]
    );
    assert_eq!(inputs[1].names.len(), 3);
    let Fact::Tracked(event) = &inputs[1].fact else { panic!("{inputs:?}") };
    assert_eq!((event.name.as_str(), event.occurred.to_string().as_str()), ("Product Added", "2026-05-01T10:00:00Z"));
    assert_eq!(event.properties.keys().collect::<Vec<_>>(), ["cart_id", "price"], "what is not there is left out");
    assert_eq!(event.properties["price"], Value::Number("14.5".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn r36_a_record_without_an_id_is_told_by_topic_partition_and_offset() {
    let edge = edge().await;
    publish(&edge, 1, Some(json!({ "at": "2026-05-01T10:00:00Z", "kind": "put", "account": "1" }).to_string().into())).await;
    edge.eventually("the event is there", || async { !edge.inputs().is_empty() }).await;
    assert_eq!(edge.inputs()[0].id, "acme.clicks/1/0");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_set_aside_with_its_bytes_and_stalls_nothing() {
    let edge = edge().await;
    let changed = |field: &str, value: serde_json::Value| {
        let mut record: serde_json::Value = serde_json::from_slice(&click("p")).unwrap();
        record[field] = value;
        Some(Bytes::from(record.to_string()))
    };
    let mut nobody: serde_json::Value = serde_json::from_slice(&click("p")).unwrap();
    ["account", "visitor", "mobile"].iter().for_each(|field| drop(nobody.as_object_mut().unwrap().remove(*field)));
    let poison: Vec<(Option<Bytes>, &str)> = vec![
        (None, "empty"),
        (Some(Bytes::from_static(b"\xff\xfe\x00")), "not_json"),
        (Some(Bytes::from_static(b"[1]")), "wrong_type"),
        (Some(Bytes::from(format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)))), "not_json"),
        (Some(Bytes::from(json!({ "text": "x".repeat(900_000) }).to_string())), "too_large"),
        (changed("kind", json!("unheard of")), "not_listed"),
        (changed("kind", json!(7)), "mapping_failed"),
        (changed("at", json!("yesterday")), "bad_time"),
        (changed("at", json!("1970-01-01T00:00:00Z")), "bad_time"),
        (changed("account", json!("\u{7}")), "bad_name"),
        (Some(Bytes::from(nobody.to_string())), "no_customer"),
    ];
    for (bytes, _) in &poison {
        publish(&edge, 0, bytes.clone()).await;
    }
    publish(&edge, 0, Some(click("good"))).await;
    edge.eventually("the record behind the poison is read", || async { edge.inputs().iter().any(|input| input.id == "clicks/good") }).await;
    let mut letters = edge.dead_letters();
    letters.sort_by_key(|letter| match &letter.source {
        DeadLetterSource::Topic { topic, partition: 0, offset } if topic == "acme.clicks" => *offset,
        other => panic!("{other:?}"),
    });
    assert_eq!(
        letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(),
        poison.iter().map(|(_, reason)| *reason).collect::<Vec<_>>()
    );
    for (letter, (bytes, reason)) in letters.iter().zip(&poison) {
        assert_eq!(&letter.bytes, bytes.as_ref().unwrap_or(&Bytes::new()), "{reason}");
        assert_eq!(letter.shop.as_deref(), Some("acme"));
        assert!(!letter.message.contains("7400"), "{}", letter.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_while_the_log_is_away_and_none_is_lost() {
    let edge = edge().await;
    edge.log.away.store(true, Ordering::SeqCst);
    for uid in ["a", "b", "c"] {
        publish(&edge, 0, Some(click(uid))).await;
    }
    assert!(edge.inputs().is_empty());
    edge.log.away.store(false, Ordering::SeqCst);
    edge.eventually("all are there", || async {
        ["clicks/a", "clicks/b", "clicks/c"].iter().all(|id| edge.inputs().iter().any(|input| input.id == *id))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_waits_for_the_next_shop_that_names_it() {
    let edge = edge().await;
    publish(&edge, 0, Some(click("a"))).await;
    edge.eventually("the first is there", || async { edge.inputs().len() == 2 }).await;
    let without = SHOP[..SHOP.find("  clicks:").unwrap()].replace("app-write-key", "none");
    edge.apply("acme", 2, &without).await;
    edge.eventually("the shop file without the topic holds", || async {
        edge.track(json!({ "userId": "ready", "event": "e" })).send().await.unwrap().status() == 401
    })
    .await;
    publish(&edge, 0, Some(click("b"))).await;
    edge.apply("second", 1, &SHOP.replace("shop: acme", "shop: second")).await;
    edge.eventually("the next shop reads on", || async { edge.inputs().len() == 4 }).await;
    let second: Vec<String> = edge.inputs().into_iter().filter(|input| input.key.shop() == "second").map(|input| input.id).collect();
    assert_eq!(second, ["clicks/b/traits", "clicks/b"]);
}
