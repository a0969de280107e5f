//! `make bench`: what the evaluator costs beside a bare loop, and how long an order confirmation takes. Real Kafka, real Redis.
//!
//! Machines differ and are noisy, so the evaluator is measured as a ratio: CPU seconds of this process while it folds records from
//! Kafka to Kafka with its state in Redis, over those of a loop that only consumes the same records and produces the same bytes, in
//! the same run. Servers are processes of their own and do not count.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use cartwheel_engine::{
    input::{Event, Fact, Input},
    key::{CustomerKey, NameKind},
};
use cartwheel_language::Value;
use cartwheel_runtime::{
    clock::Clock,
    config,
    installation::InstallationConfig,
    kafka::{Kafka, KafkaConfig},
    log::{From, Log, Outgoing, Positions},
    memory_log::MemoryPositions,
    partitions::Alone,
    redis::{RedisConfig, RedisStore},
};
use cartwheel_tests::{Town, kafka, redis, unique};
use cartwheel_trigger_evaluator as evaluator;
use cartwheel_wire::{CampaignFile, Codec, EventBody, EventRecord, Revision, Topics, history::SHOP_FILE, history::file_of};
use jiff::Timestamp;
use prometheus::Registry;
use serde_json::json;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PARTITIONS: u32 = 8;
const EVENTS: usize = 200_000;
const CUSTOMERS: usize = 20_000;

/// Records of one append and one read.
const BATCH: usize = 1_000;

/// Orders of the latency run, and how many a second.
const ORDERS: u32 = 500;
const ORDERS_PER_SECOND: u32 = 50;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// CPU time of this process so far, user and system, all threads (proc(5), stat fields 14 and 15, in ticks of 10 ms).
fn cpu() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / 100.0)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (Some(broker), Some(store)) = (kafka(), redis()) else {
        return Err("real Kafka and real Redis are needed; `make test` fetches them".into());
    };
    throughput(&broker.bootstrap(), &store.url()).await?;
    latency(broker, store).await
}

/// A shopper's mix: mostly views, some carts, few orders; one campaign in four listens.
fn event(number: usize) -> Result<(CustomerKey, EventRecord), Failure> {
    let key = CustomerKey::new("corner", NameKind::User, &format!("customer-{}", number.wrapping_mul(2_654_435_761) % CUSTOMERS))?;
    let now = Timestamp::now();
    let name = match number % 20 {
        0..=13 => "Product Viewed",
        14..=18 => "Product Added",
        _ => "Order Completed",
    };
    let cart = format!("cart-{}", key.name());
    let text = |text: &str| Value::Text(text.to_owned());
    let properties = [
        ("cart_id", text(&cart)),
        ("order_id", text(&format!("order-{number}"))),
        ("product_id", text(&format!("product-{}", number % 500))),
        ("name", text("Earthenware teapot, hand thrown")),
        ("price", Value::Number(1250.into())),
        ("quantity", Value::Number(1.into())),
        ("currency", text("GBP")),
        ("url", text("https://corner.example/p/teapot")),
    ];
    let properties = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let fact = Fact::Tracked(Event { name: name.to_owned(), occurred: now, properties });
    let input = Input { key: key.clone(), id: format!("bench-{number}"), received: now, names: vec![key.clone()], fact };
    Ok((key, EventRecord { origin: None, body: EventBody::Customer(input) }))
}

async fn throughput(bootstrap: &str, redis: &str) -> Result<(), Failure> {
    let clock = Clock::system();
    let kafka = Kafka::new(KafkaConfig::at(bootstrap));
    let log: Arc<dyn Log> = Arc::new(kafka.log(clock.clone())?);
    let installation = InstallationConfig { name: unique("bench"), prefix: unique("bench"), generation: 1, partitions: PARTITIONS };
    let topics = cartwheel_installation::topics(&installation);
    let specs = cartwheel_installation::topic_specs(&topics, &cartwheel_wire::TopicChoices::default());
    let mut specs: Vec<_> = specs.iter().map(|spec| spec.under(cartwheel_runtime::kafka::Profile::Development)).collect();
    let copies: Arc<str> = format!("{}.copies", installation.prefix).into();
    specs.push(cartwheel_runtime::kafka::TopicSpec {
        name: copies.to_string(),
        partitions: PARTITIONS,
        replication: 1,
        settings: Vec::new(),
    });
    kafka.topics().create(&specs).await?;
    let codec = Codec::single_object();
    apply(&*log, &topics, &codec).await?;

    let mut batch = Vec::new();
    for number in 0..EVENTS {
        let (key, record) = event(number)?;
        batch.push(Outgoing {
            topic: topics.events.clone(),
            partition: topics.partition_of(&key),
            key: Some(Bytes::from(key.to_string())),
            value: Some(Bytes::from(record.encode(&codec))),
            headers: Vec::new(),
        });
        if batch.len() == BATCH {
            log.append(std::mem::take(&mut batch)).await?;
        }
    }
    log.append(batch).await?;

    let bare = bare_loop(&*log, &topics, &copies).await?;
    say(format!("bare consume-produce loop: {EVENTS} events, {bare:.2} CPU s, {:.0} events per CPU s", EVENTS as f64 / bare));
    let store =
        RedisStore::connect(&RedisConfig { prefix: installation.prefix.clone(), ..RedisConfig::at(redis) }, &installation.name, PARTITIONS)
            .await?;
    let cost = evaluate(log, Arc::new(store), clock, codec, &installation, &topics).await?;
    say(format!("trigger-evaluator, Kafka to Kafka with Redis: {cost:.2} CPU s, {:.0} events per CPU s", EVENTS as f64 / cost));
    say(format!("ratio: {:.1} times the bare loop", cost / bare));
    Ok(())
}

/// Puts the end-to-end tests' shop in force.
async fn apply(log: &dyn Log, topics: &Topics, codec: &Codec) -> Result<(), Failure> {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end-shop");
    let mut files = vec![SHOP_FILE.to_owned()];
    files.extend(["abandoned-cart", "order-confirmation"].map(file_of));
    let mut records = Vec::new();
    let record = |key: String, value: Vec<u8>| Outgoing {
        topic: topics.campaigns.clone(),
        partition: 0,
        key: Some(Bytes::from(key)),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    };
    for file in &files {
        let text = std::fs::read_to_string(shop.join(file))?.replace("wait:     3s", "wait:     30m");
        let file = CampaignFile { shop: "corner".to_owned(), file: file.clone(), version: 1, text };
        records.push(record(file.key(), file.encode(codec)));
    }
    let revision = Revision {
        shop: "corner".to_owned(),
        number: 1,
        predecessor: 0,
        files: files.into_iter().map(|file| (file, 1)).collect(),
        states: std::collections::BTreeMap::new(),
        engine_level: 1,
        time_zone_data: cartwheel_language::time::DATA_VERSION.to_owned(),
        phone_data: cartwheel_language::phone::DATA_VERSION.to_owned(),
        effective_at: None,
        by: "bench".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    records.push(record(revision.key(), revision.encode(codec)));
    log.append(records).await?;
    Ok(())
}

/// Consumes every record and produces its bytes to another topic, partitions side by side as the evaluator has them.
async fn bare_loop(log: &dyn Log, topics: &Topics, copies: &Arc<str>) -> Result<f64, Failure> {
    let before = cpu()?;
    let partitions = (0..PARTITIONS).map(|partition| async move {
        let end = log.bounds(&topics.events, partition).await?.end;
        let mut reader = log.open(&topics.events, partition, From::Start).await?;
        while reader.position() < end {
            let records = reader.read(BATCH, Duration::from_millis(250)).await?;
            let copies = records.into_iter().map(|record| Outgoing {
                topic: copies.clone(),
                partition,
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
            log.append(copies.collect()).await?;
        }
        Ok::<(), Failure>(())
    });
    futures::future::try_join_all(partitions).await?;
    Ok(cpu()? - before)
}

async fn evaluate(
    log: Arc<dyn Log>,
    store: Arc<RedisStore>,
    clock: Clock,
    codec: Codec,
    installation: &InstallationConfig,
    topics: &Topics,
) -> Result<f64, Failure> {
    let secret = ("CARTWHEEL_EVALUATOR__LINK_KEY".to_owned(), "bench-secret-of-32-characters-or-more".to_owned());
    let settings: evaluator::config::Config = config::load(None, [secret])?;
    let positions = MemoryPositions::default();
    let stop = CancellationToken::new();
    let handles = evaluator::app::Handles {
        log: log.clone(),
        store,
        clock,
        positions: Arc::new(positions.clone()),
        ownership: Alone::new(PARTITIONS),
        codec,
        registry: Registry::new(),
    };
    let before = cpu()?;
    let running = evaluator::app::run(&settings.evaluator, installation, handles, stop.clone());
    let watching = async {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let mut done = true;
            for partition in 0..PARTITIONS {
                let end = log.bounds(&topics.events, partition).await?.end;
                done &= positions.marked(&topics.events, partition).await?.unwrap_or(0) >= end;
            }
            if done {
                let cost = cpu()? - before;
                stop.cancel();
                return Ok::<f64, Failure>(cost);
            }
        }
    };
    let (ended, cost) = tokio::join!(running, watching);
    ended?;
    cost
}

/// From the request to ingest until the provider has the confirmation, through four processes.
async fn latency(kafka: &cartwheel_tests::Kafka, redis: &cartwheel_tests::Redis) -> Result<(), Failure> {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end-shop");
    let town = Town::start(kafka, redis, PARTITIONS, &shop)?;
    let (who, phone) =
        (|number: u32| json!({ "userId": format!("latency-{number}") }), |number: u32| format!("+1415555{:04}", 100 + number % 100));
    for number in 0..100 {
        town.identify(who(number), &phone(number), "Europe/London").await;
    }
    let mut pace = tokio::time::interval(Duration::from_secs(1) / ORDERS_PER_SECOND);
    let mut asked = Vec::new();
    for number in 0..ORDERS {
        pace.tick().await;
        let order = format!("latency-order-{number}");
        asked.push((phone(number), order.clone(), SystemTime::now()));
        town.track(who(number % 100), "Order Completed", json!({ "order_id": order, "total": 12.5, "currency": "GBP" })).await;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut delays: Vec<Duration> = Vec::new();
    for (phone, order, at) in asked {
        loop {
            let ending = format!("We have your order {order}");
            if let Some(taken) = town.provider().taken_by(&phone).into_iter().find(|taken| taken.body.starts_with(&ending)) {
                delays.push(taken.at.duration_since(at)?);
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("{order} was never confirmed; the dispatcher's log: {}", town.log_of("dispatcher")).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    delays.sort_unstable();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    say(format!("order confirmation, request to provider, {ORDERS} at {ORDERS_PER_SECOND}/s: p50 {:.0} ms, p99 {:.0} ms", at(50), at(99)));
    Ok(())
}
