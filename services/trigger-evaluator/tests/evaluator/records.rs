//! Records that repeat, that cannot be folded, and that must not be passed (rules P8, P12).

use bytes::Bytes;
use cartwheel_engine::input::Origin;
use cartwheel_runtime::clock::VirtualClock;
use cartwheel_trigger_evaluator::{WorkerError, worker::Worker};
use cartwheel_wire::DeadLetterSource;
use jiff::SignedDuration;

use crate::bench::{Bench, HERE, SHOP, confirmation, start};

async fn with_campaign() -> (Bench, Worker) {
    let bench = Bench::new();
    bench.apply(1, &[("shop.yaml", 1, SHOP), ("campaigns/confirmation.yaml", 1, &confirmation(1))]).await;
    let mut worker = bench.take(1, None).await;
    bench.fold(&mut worker).await.unwrap();
    (bench, worker)
}

#[tokio::test]
async fn p08_what_another_partition_emitted_counts_once_over_restarts_too() {
    let (bench, mut worker) = with_campaign().await;
    let customer = bench.customer("acme", HERE, 0);
    let emitted = |partition, offset, slot, id: &str| bench.order(&customer, id, Some(Origin { partition, offset, slot }));
    bench.event(&emitted(1, 5, 0, "five")).await;
    bench.event(&emitted(1, 5, 0, "five again")).await;
    bench.event(&emitted(1, 5, 1, "next slot")).await;
    bench.fold(&mut worker).await.unwrap();
    let mut next = bench.take(2, Some(worker.fence())).await;
    bench.event(&emitted(1, 5, 1, "a zombie's")).await;
    bench.event(&emitted(1, 4, 9, "an older one")).await;
    bench.event(&emitted(0, 4, 9, "another sender's")).await;
    bench.fold(&mut next).await.unwrap();
    for counted in ["five", "next slot", "another sender's"] {
        assert_eq!(bench.versions(counted), [1], "{counted}");
    }
    for repeated in ["five again", "a zombie's", "an older one"] {
        assert!(bench.versions(repeated).is_empty(), "{repeated}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_folded_is_set_aside_with_its_bytes_and_why_and_the_partition_goes_on() {
    let (bench, mut worker) = with_campaign().await;
    let events = bench.topics.events.clone();
    let first = bench.end();
    let whole = bench.order(&bench.customer("acme", HERE, 0), "cut", None).encode(&bench.codec);
    let stranger = bench.order(&bench.customer("acme", 1, 0), "stray", None).encode(&bench.codec);
    let nobody = bench.order(&bench.customer("No_Shop", HERE, 0), "nobody", None).encode(&bench.codec);
    let values = [
        ("no-value", None),
        ("unreadable", Some(b"{\"event\": \"Order Completed\"}".to_vec())),
        ("unreadable", Some(whole[..whole.len() - 3].to_vec())),
        ("unreadable", Some(vec![0xff; 1_000_000])),
        ("wrong-partition", Some(stranger)),
        ("no-shop", Some(nobody)),
    ];
    for (_, value) in &values {
        bench.append(&events, "acme/user:1", value.clone()).await;
    }
    bench.ordered(0, "good").await;
    bench.fold(&mut worker).await.unwrap();
    assert_eq!(bench.versions("good"), [1]);
    let letters = bench.dead_letters();
    assert_eq!(letters.len(), values.len());
    for ((place, letter), (reason, value)) in letters.iter().enumerate().zip(values) {
        assert_eq!(letter.reason, reason);
        let source = DeadLetterSource::Topic { topic: events.to_string(), partition: HERE, offset: first + place as u64 };
        assert_eq!(letter.source, source);
        let value = Bytes::from(value.unwrap_or_default());
        assert!(value.starts_with(&letter.bytes) && letter.size == value.len() as u64, "{reason}");
        assert!(!letter.message.contains("Order Completed"), "no message quotes what the record holds: {}", letter.message);
    }
}

#[tokio::test]
async fn customers_of_a_shop_that_applied_nothing_are_kept_whatever_its_id() {
    let (bench, mut worker) = with_campaign().await;
    for shop in ["42", "true", "null", "1e3", "new-shop"] {
        let customer = bench.customer(shop, HERE, 0);
        bench.event(&bench.order(&customer, &format!("of {shop}"), None)).await;
        bench.fold(&mut worker).await.unwrap();
        assert!(bench.stored(&customer).await.1.is_some(), "{shop}");
    }
    assert!(bench.dead_letters().is_empty());
}

#[tokio::test]
async fn a_record_of_a_newer_schema_stops_the_partition_there_and_nothing_before_it_waits() {
    let (bench, mut worker) = with_campaign().await;
    bench.ordered(0, "before").await;
    let place = bench.end();
    let mut newer = bench.order(&bench.customer("acme", HERE, 0), "newer", None).encode(&bench.codec);
    newer[2..10].fill(7);
    bench.append(&bench.topics.events.clone(), "acme/user:1", Some(newer)).await;
    bench.ordered(0, "behind").await;
    for owner in 2..4 {
        let error = bench.fold(&mut worker).await.unwrap_err();
        assert!(matches!(error, WorkerError::Newer { offset, .. } if offset == place) && !error.is_fatal(), "{error}");
        assert!(error.to_string().contains("upgrade"), "{error}");
        assert_eq!((bench.versions("before"), bench.versions("behind")), (vec![1], vec![]));
        worker = bench.take(owner, Some(worker.fence())).await;
        assert_eq!(worker.fence().head, place);
    }
    assert!(bench.dead_letters().is_empty());
}

#[tokio::test]
async fn p12_a_stamp_far_ahead_stops_the_partition_until_clocks_agree() {
    let (bench, worker) = with_campaign().await;
    bench.ordered(0, "of a broker ahead").await;
    let mut tools = bench.tools();
    let late = start() - SignedDuration::from_mins(6);
    tools.clock = VirtualClock::starting_at(late).clock();
    let mut behind = Worker::take(HERE, Some(worker.fence()), tools, bench.settings(2)).await.unwrap();
    let error = behind.turn().await.unwrap_err();
    assert!(matches!(error, WorkerError::StampAhead { ahead_s: 300..=420, .. }) && error.to_string().contains("clocks"), "{error}");
    assert!(bench.decisions().is_empty());
    let mut mended = bench.take(3, Some(behind.fence())).await;
    bench.fold(&mut mended).await.unwrap();
    assert_eq!(bench.versions("of a broker ahead"), [1]);
}
