//! Kafka sources: what the mapping makes of records, and what poison does.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::input::Fact;
use cartwheel_ingest::sources::{KafkaGroups, NoGroups, Place, SourceGroups};
use cartwheel_language::Value;
use cartwheel_runtime::{
    clock::Clock,
    kafka::{Embedded, KafkaLog},
    log::{Bounds, From, Log, LogError, Outgoing, Positions, Reader},
};
use cartwheel_wire::{Codec, DeadLetterSource, EventBody, EventRecord, Topics};
use futures::future::BoxFuture;
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

/// Positions that forget, as a crash between the append and the mark leaves them.
struct Forgetful;

impl Positions for Forgetful {
    fn marked(&self, _: &str, _: u32) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        Box::pin(async { Ok(None) })
    }

    fn mark(&self, _: &str, _: u32, _: u64) {}
}

struct ForgetfulGroups(TestLog);

impl SourceGroups for ForgetfulGroups {
    fn join<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Place, LogError>> {
        Box::pin(async move {
            let place = NoGroups::new(Arc::new(self.0.clone())).join(topic).await?;
            Ok(Place { positions: Arc::new(Forgetful), ..place })
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r36_a_record_that_is_read_again_after_a_crash_has_the_same_id() {
    let first = edge().await;
    publish(&first, 0, Some(click("a"))).await;
    publish(&first, 0, Some(Bytes::from_static(b"poison"))).await;
    first.eventually("the record is taken", || async { first.inputs().len() == 2 && first.dead_letters().len() == 1 }).await;
    first.stop.cancel();
    let groups = Arc::new(ForgetfulGroups(first.log.clone()));
    let second = edge_on(first.log.clone(), groups, settings(|_| {})).await;
    second.eventually("the record is taken again", || async { second.inputs().len() == 4 && second.dead_letters().len() == 2 }).await;
    let (inputs, letters) = (second.inputs(), second.dead_letters());
    assert_eq!((&inputs[0].id, &inputs[1].id), (&inputs[2].id, &inputs[3].id));
    assert_eq!(letters[0].key(), letters[1].key());
}

#[tokio::test(flavor = "multi_thread")]
async fn r85_a_source_is_read_through_a_consumer_group_and_is_not_read_twice() {
    let topics = Topics::new("cartwheel", 1, 4);
    let broker = Embedded::start([(&*topics.events, 4), (&*topics.dead_letters, 4), (&*topics.campaigns, 1), ("acme.clicks", 2)]).unwrap();
    let log = SharedLog(Arc::new(broker.kafka().log(Clock::system()).unwrap()));
    let click = |uid: &str| Outgoing { topic: "acme.clicks".into(), partition: 1, key: None, value: Some(click(uid)), headers: Vec::new() };
    log.append(vec![click("a"), click("b")]).await.unwrap();
    let mut seen = Vec::new();
    for uid in ["b", "c"] {
        let edge = edge_on(log.clone(), Arc::new(KafkaGroups::new(broker.kafka(), "cartwheel-ingest")), settings(|_| {})).await;
        if seen.is_empty() {
            edge.apply("acme", 1, SHOP).await;
        } else {
            log.append(vec![click("c")]).await.unwrap();
        }
        let last = format!("clicks/{uid}");
        edge.eventually("the last record is taken", || async {
            let ids = ids(&log, &topics).await;
            ids.contains(&last)
        })
        .await;
        edge.end().await;
        seen = ids(&log, &topics).await;
    }
    assert_eq!(seen, ["a", "b", "c"].map(|uid| [format!("clicks/{uid}/traits"), format!("clicks/{uid}")]).concat());
}

/// One log for two ingests, one after the other.
#[derive(Clone)]
struct SharedLog(Arc<KafkaLog>);

impl Log for SharedLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<u64>, LogError>> {
        self.0.append(records)
    }

    fn open(&self, topic: &str, partition: u32, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.0.open(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: u32) -> BoxFuture<'_, Result<Bounds, LogError>> {
        self.0.bounds(topic, partition)
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<u64>, LogError>> {
        self.0.ends(topic)
    }
}

async fn ids(log: &dyn Log, topics: &Topics) -> Vec<String> {
    let partition = topics.partition_of(&"acme/user:42".parse().unwrap());
    let mut reader = log.open(&topics.events, partition, From::Start).await.unwrap();
    let end = log.bounds(&topics.events, partition).await.unwrap().end;
    let mut ids = Vec::new();
    while reader.position() < end {
        for record in reader.read(100, Duration::from_millis(100)).await.unwrap() {
            let event = EventRecord::decode(&Codec::single_object(), &record.value.unwrap()).unwrap();
            let EventBody::Customer(input) = event.body else { panic!("an activation") };
            ids.push(input.id);
        }
    }
    ids
}
