//! What those who run an installation see, on real Kafka and real Redis: stopping and resuming, a customer's story, a shop's own topic,
//! topics that are missing or wrong, and configurations that cannot work.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_runtime::{
    clock::Clock,
    kafka::{Kafka, KafkaConfig},
    log::{From, Log, Outgoing},
};
use cartwheel_tests::{Crowd, SERVICES, Town, build_services, eventually, kafka, need, redis, run_binary, unique};
use cartwheel_wire::{Codec, DeadLetter, DeadLetterSource, Topics};
use serde_json::{Value, json};
use tempfile::TempDir;

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end-shop")
}

fn order() -> Value {
    json!({ "order_id": unique("order"), "cart_id": unique("cart"), "total": 5, "currency": "GBP" })
}

#[tokio::test]
async fn r93_what_is_stopped_goes_out_once_when_it_is_resumed_and_r81_each_customers_story_says_why() {
    let (Some(kafka), Some(redis)) = (kafka(), redis()) else { return };
    let Some(()) = need(build_services()) else { return };
    let Some(town) = need(Town::start(kafka, redis, 1, &shop())) else { return };
    let mut crowd = Crowd::new(&town, &|_| 0);
    let ada = crowd.join(1).await.remove(0);
    let silent = json!({ "userId": unique("silent") });
    let traits = json!({ "messageId": unique("identify"), "userId": silent["userId"], "traits": { "phone": "+14155550199", "zone": "Europe/London" } });
    town.say("/v1/identify", &traits).await;

    town.command(&["stop", "--all", "--reason", "test", "--by", "operator"]);
    eventually("the stop in force", || async {
        let log = town.whole_log_of("dispatcher");
        if log.contains("control in force") { Ok(()) } else { Err(log) }
    })
    .await;
    town.track(json!({ "userId": ada.user }), "Order Completed", order()).await;
    let cart = json!({ "cart_id": unique("cart"), "product_id": "cups", "name": "Cups", "price": 3, "quantity": 1, "currency": "GBP" });
    town.track(silent.clone(), "Product Added", cart).await;
    let story = |user: &Value| town.command(&["explain", &format!("corner/user:{}", user.as_str().unwrap())]);
    eventually("the reason why one customer got nothing", || async {
        let told = story(&silent["userId"]);
        if told.contains("no consent") && told.contains("abandoned-cart@1") { Ok(()) } else { Err(told) }
    })
    .await;
    crowd.nobody_gets_more_than(0).await;

    town.command(&["resume", "--all"]);
    crowd.each_gets(crowd.customers(), 1, |_| false).await;
    crowd.nobody_gets_more_than(1).await;
    eventually("the story of the other", || async {
        let told = story(&json!(ada.user));
        let whole = ["order-confirmation@1", "because of Order Completed", "dispatcher: Sent"].iter().all(|part| told.contains(part));
        if whole { Ok(()) } else { Err(told) }
    })
    .await;
    let other = town.command(&["explain", &format!("corner/user:{}", ada.user), "--campaign", "abandoned-cart"]);
    assert!(!other.contains("order-confirmation"), "{other}");
    assert!(town.provider().taken_by("+14155550199").is_empty());
}

/// The shop with a source topic in its own words.
fn with_topic(topic: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("campaigns")).unwrap();
    let campaign = "campaigns/abandoned-cart.yaml";
    std::fs::copy(shop().join(campaign), folder.path().join(campaign)).unwrap();
    let source = format!(
        r#"  clicks:
    topic: {topic}
    format: json
    id: record.uid
    time: "timestamp(record.at)"
    customer: {{ user_id: record.account }}
    name: record.kind
    events:
      put: {{ event: Product Added, properties: {{ cart_id: record.cart, product_id: record.sku, name: record.title, price: hundredths(record.pence) }} }}
    others: drop
"#
    );
    let text = std::fs::read_to_string(shop().join("shop.yaml")).unwrap() + &source;
    std::fs::write(folder.path().join("shop.yaml"), text).unwrap();
    folder
}

#[tokio::test]
async fn r85_a_cart_of_a_shops_own_topic_is_reminded_of_once_and_poison_before_it_becomes_dead_letters() {
    let (Some(node), Some(redis)) = (kafka(), redis()) else { return };
    let Some(()) = need(build_services()) else { return };
    let topic = unique("corner.clicks");
    node.create_topic(&topic, 2, &[]).await;
    let folder = with_topic(&topic);
    let Some(town) = need(Town::start(node, redis, 1, folder.path())) else { return };
    let mut crowd = Crowd::new(&town, &|_| 0);
    let customer = crowd.join(1).await.remove(0);

    let log = Kafka::new(KafkaConfig::at(node.bootstrap())).log(Clock::system()).unwrap();
    let click = |uid: &str, at: &str| {
        let record = json!({ "uid": uid, "at": at, "kind": "put", "account": customer.user, "cart": "cart-1", "sku": "teapot", "title": "Teapot", "pence": 1250 });
        record.to_string().into_bytes()
    };
    let poison = [b"\xff\xfe no text".to_vec(), b"{\"uid\": ".to_vec(), vec![b'['; 200_000], click("timeless", "yesterday")];
    let good = click("good", &jiff::Timestamp::now().to_string());
    // A record that is delivered twice is one event.
    let records = poison.iter().chain([&good, &good]);
    let outgoing = |value: &Vec<u8>| Outgoing {
        topic: topic.as_str().into(),
        partition: 1,
        key: None,
        value: Some(Bytes::from(value.clone())),
        headers: Vec::new(),
    };
    log.append(records.map(outgoing).collect()).await.unwrap();

    crowd.each_gets(crowd.customers(), 1, |_| false).await;
    assert!(town.provider().taken_by(&customer.phone)[0].body.contains("Teapot"));
    let letters = dead_letters(&log, &Topics::new(town.name(), 1, town.partitions())).await;
    let place = |offset| DeadLetterSource::Topic { topic: topic.clone(), partition: 1, offset };
    assert_eq!(letters.iter().map(|letter| letter.source.clone()).collect::<Vec<_>>(), [0, 1, 2, 3].map(place));
    assert!(letters.iter().map(|letter| &*letter.bytes).eq(poison.iter().map(Vec::as_slice)), "dead letters keep the bytes");
    assert!(letters.iter().all(|letter| !letter.message.is_empty() && letter.shop.as_deref() == Some("corner")), "{letters:?}");
    crowd.nobody_gets_more_than(1).await;
}

async fn dead_letters(log: &dyn Log, topics: &Topics) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    for (partition, end) in (0..).zip(log.ends(&topics.dead_letters).await.unwrap()) {
        let mut reader = log.open(&topics.dead_letters, partition, From::Start).await.unwrap();
        while reader.position() < end {
            let records = reader.read(100, Duration::from_millis(250)).await.unwrap();
            letters
                .extend(records.iter().map(|record| DeadLetter::decode(&Codec::single_object(), record.value.as_ref().unwrap()).unwrap()));
        }
    }
    letters
}

#[tokio::test]
async fn services_name_topics_that_are_missing_or_wrong_and_go_on_by_themselves_once_these_are_right() {
    let (Some(kafka), Some(redis)) = (kafka(), redis()) else { return };
    let Some(()) = need(build_services()) else { return };
    let Some(town) = need(Town::found(kafka, redis, 2)) else { return };
    let topics = Topics::new(town.name(), 1, 2);
    kafka.create_topic(&topics.events, 3, &[]).await;
    for service in SERVICES {
        town.start_service(service).unwrap();
    }
    for service in SERVICES {
        eventually("what is wrong with the topics", || async {
            let log = town.whole_log_of(service);
            let said =
                |topic: &str, words: &[&str]| log.lines().any(|line| line.contains(topic) && words.iter().all(|word| line.contains(word)));
            let told = said(&topics.events, &["partitions", "\"3\"", "\"2\"", "cannot lose partitions"])
                && said(&topics.timers, &["missing", "run cartwheel topics create"]);
            let unready = town.ready(service).await.expect_err("ready without topics");
            if told && unready.contains("topics") { Ok(()) } else { Err(format!("{service}: {unready}; {log}")) }
        })
        .await;
    }
    kafka.delete_topic(&topics.events).await;
    // A topic that is being deleted may still be there for a moment.
    eventually("the topics", || async {
        let run = town.try_command(&["topics", "create"]);
        if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stdout).into_owned()) }
    })
    .await;
    town.apply(&shop());
    for service in SERVICES {
        eventually("a service that is ready", || town.ready(service)).await;
    }
    assert!(town.ended().is_empty(), "{:?} ended by themselves", town.ended());
    let mut crowd = Crowd::new(&town, &|user| cartwheel_wire::partition_of(&format!("corner/user:{user}"), 2));
    let customer = crowd.join(1).await.remove(0);
    town.track(json!({ "userId": customer.user }), "Order Completed", order()).await;
    crowd.each_gets(crowd.customers(), 1, |_| false).await;
}

#[test]
fn a_wrong_configuration_ends_each_binary_with_64_and_says_every_mistake_at_once() {
    let Some(()) = need(build_services()) else { return };
    let shared = [
        ("CARTWHEEL_KAFKA__BOOTSTRAP", "[\"nowhere\"]", "kafka.bootstrap"),
        ("CARTWHEEL_INSTALLATION__PARTITIONS", "0", "installation.partitions"),
        ("CARTWHEEL_ADMIN__LISTEN", "9100", "admin.listen"),
    ];
    let own: [(&str, &[&str], &str, &str, &str); 5] = [
        ("ingest", &[], "CARTWHEEL_INGEST__LINK_KEY", "short", "ingest.link_key"),
        ("trigger-evaluator", &[], "CARTWHEEL_EVALUATOR__BATCH", "0", "evaluator.batch"),
        ("delay-timer", &[], "CARTWHEEL_DELAY_TIMER__READ_BATCH", "0", "delay_timer.read_batch"),
        ("dispatcher", &[], "CARTWHEEL_DISPATCHER__PROVIDERS__SMS__KIND", "twilio", "dispatcher.providers.sms"),
        ("cartwheel", &["run", "--roles", "trigger-evaluator"], "CARTWHEEL_EVALUATOR__BATCH", "0", "evaluator.batch"),
    ];
    for (binary, arguments, variable, value, key) in own {
        let environment: Vec<(&str, &str)> =
            shared.iter().map(|(variable, value, _)| (*variable, *value)).chain([(variable, value)]).collect();
        let keys = shared.iter().map(|(_, _, key)| *key).chain([key]);
        let ended = run_binary(binary, arguments, &environment).unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{binary}: {said}");
        keys.for_each(|key| assert!(said.contains(key), "{binary} does not name {key}: {said}"));
    }
}
