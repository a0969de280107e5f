//! The four services as processes, on real Kafka and real Redis, while they, Kafka and Redis are killed and owners are doubled: nothing
//! is lost and nothing goes out twice. Each test has an installation of its own with two partitions.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::path::{Path, PathBuf};

use cartwheel_engine::key::{CustomerKey, NameKind};
use cartwheel_tests::{
    Crowd, Customer, Kafka, Redis, RedisOptions, SERVICES, Town, build_services, eventually, kafka, need, redis, unique,
};
use serde_json::json;

const PARTITIONS: u32 = 2;

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end-shop")
}

/// The partition of a user of the shop.
fn place(user: &str) -> u32 {
    let key = CustomerKey::new("corner", NameKind::User, user).unwrap();
    cartwheel_wire::partition_of(key.as_str(), PARTITIONS)
}

/// Whether the journal says that nobody knows whether a message went out: a promotional one in the hands of a dispatcher that is killed
/// is not sent again (rule P15).
fn is_unknown(town: &Town, customer: &Customer) -> bool {
    town.command(&["explain", &format!("corner/user:{}", customer.user)]).contains("Unknown")
}

#[tokio::test]
async fn each_service_killed_and_started_again_before_and_after_the_wait_sends_once() {
    let (Some(kafka), Some(redis)) = (kafka(), redis()) else { return };
    let Some(()) = need(build_services()) else { return };
    let Some(town) = need(Town::start(kafka, redis, PARTITIONS, &shop())) else { return };
    let mut crowd = Crowd::new(&town, &place);
    for service in SERVICES {
        let mut customers = crowd.leave_carts(6).await;
        town.kill_service(service);
        town.start_service(service).unwrap();
        customers.extend(crowd.leave_carts(6).await);
        eventually("the first reminder", || async {
            let reminded = customers.iter().any(|customer| !town.provider().taken_by(&customer.phone).is_empty());
            if reminded { Ok(()) } else { Err(format!("none yet; the dispatcher's log: {}", town.log_of("dispatcher"))) }
        })
        .await;
        town.kill_service(service);
        town.start_service(service).unwrap();
        let excused = |customer: &Customer| service == "dispatcher" && is_unknown(&town, customer);
        crowd.each_gets(&customers, 1, excused).await;
    }
    crowd.nobody_gets_more_than(1).await;
    let without = crowd.customers().iter().filter(|customer| town.provider().taken_by(&customer.phone).is_empty()).count();
    assert!(without <= 6, "{without} messages were in the hands of one dispatcher when it was killed");
    assert!(town.ended().is_empty(), "{:?} ended by themselves", town.ended());
}

#[tokio::test]
async fn two_evaluators_and_two_dispatchers_that_all_believe_they_own_every_partition_send_once() {
    let (Some(kafka), Some(redis)) = (kafka(), redis()) else { return };
    let Some(()) = need(build_services()) else { return };
    let Some(town) = need(Town::start(kafka, redis, PARTITIONS, &shop())) else { return };
    // A member of another group is given every partition too.
    let other = unique("other");
    let seconds = [
        ("trigger-evaluator", "second-evaluator", format!("CARTWHEEL_EVALUATOR__GROUP__GROUP={other}")),
        ("dispatcher", "second-dispatcher", format!("CARTWHEEL_DISPATCHER__GROUP__NAME={other}")),
    ];
    for (service, name, group) in seconds {
        town.start_second(service, name, &[group]).unwrap();
    }
    for dispatcher in ["dispatcher", "second-dispatcher"] {
        eventually("both dispatchers on both partitions", || async {
            let log = town.whole_log_of(dispatcher);
            let journals = log.lines().filter(|line| line.contains("journal is read to its end")).count();
            if journals >= PARTITIONS as usize { Ok(()) } else { Err(format!("{dispatcher} works on {journals}: {log}")) }
        })
        .await;
    }
    let mut crowd = Crowd::new(&town, &place);
    let mut customers = Vec::new();
    for _ in 0..4 {
        let new = crowd.leave_carts(4).await;
        for customer in &new {
            let order = json!({ "order_id": unique("order"), "cart_id": unique("cart"), "total": 5, "currency": "GBP" });
            town.track(json!({ "userId": customer.user }), "Order Completed", order).await;
        }
        customers.extend(new);
    }
    crowd.each_gets(&customers, 2, |_| false).await;
    crowd.nobody_gets_more_than(2).await;
    eventually("a fence", || async {
        let metrics = town.metrics("trigger-evaluator").await;
        let fenced = metrics
            .lines()
            .any(|line| line.starts_with("cartwheel_evaluator_partition_changes_total{change=\"fenced\"}") && !line.ends_with(" 0"));
        if fenced { Ok(()) } else { Err(format!("the first evaluator was never fenced: {metrics}")) }
    })
    .await;
    assert!(town.ended().is_empty(), "{:?} ended by themselves", town.ended());
}

#[tokio::test]
async fn redis_and_kafka_killed_and_started_again_lose_nothing_and_double_nothing() {
    let Some(mut redis) = need(Redis::start(RedisOptions { durable: true, ..RedisOptions::default() })) else { return };
    let Some(mut kafka) = need(Kafka::start()) else { return };
    let Some(()) = need(build_services()) else { return };
    let Some(town) = need(Town::start(&kafka, &redis, PARTITIONS, &shop())) else { return };
    let mut crowd = Crowd::new(&town, &place);
    crowd.leave_carts(6).await;
    redis.kill();
    crowd.leave_carts(6).await;
    redis.restart().unwrap();
    crowd.each_gets(crowd.customers(), 1, |_| false).await;

    crowd.leave_carts(6).await;
    kafka.kill();
    let user = unique("customer");
    let message = json!({ "messageId": unique("event"), "userId": user, "event": "Product Added", "properties": { "cart_id": "c" } });
    let answer = town.post("/v1/track", &message).await;
    assert!(answer.is_err(), "an event was taken that Kafka does not have");
    kafka.restart().unwrap();
    crowd.leave_carts(6).await;
    crowd.each_gets(crowd.customers(), 1, |_| false).await;
    crowd.nobody_gets_more_than(1).await;
    assert!(town.ended().is_empty(), "{:?} ended by themselves", town.ended());
}
