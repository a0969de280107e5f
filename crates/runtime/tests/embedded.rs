//! The log and groups on the embedded broker.

mod support;

use std::time::{Duration, Instant};

use cartwheel_runtime::{
    clock::{Clock, VirtualClock},
    kafka::{Embedded, GroupConfig, KafkaLog, Ownership},
    log::{Bounds, From, Log, LogError, Outgoing, Positions},
};
use support::{PATIENCE, change, marked, numbered, outgoing, read, text};

const TOPIC: &str = "events";

fn log() -> (Embedded, KafkaLog) {
    let broker = Embedded::start([(TOPIC, 4)]).expect("the broker did not start");
    let log = broker.kafka().log(Clock::system()).expect("no client could be made");
    (broker, log)
}

#[tokio::test]
async fn what_is_appended_is_read_whole_and_in_order() {
    let (_broker, log) = log();
    let tombstone = Outgoing { value: None, key: None, headers: Vec::new(), ..outgoing(TOPIC, 1, "") };
    let offsets = log.append(vec![outgoing(TOPIC, 1, "a"), outgoing(TOPIC, 2, "b"), outgoing(TOPIC, 1, ""), tombstone]).await.unwrap();
    assert_eq!(offsets, [0, 0, 1, 2]);
    let mut reader = log.open(TOPIC, 1, From::Start).await.unwrap();
    let records = read(reader.as_mut(), 3).await;
    assert_eq!(reader.position(), 3);
    let given = outgoing(TOPIC, 1, "a");
    assert_eq!((&*records[0].topic, records[0].partition, records[0].offset), (TOPIC, 1, 0));
    assert_eq!((&records[0].key, &records[0].value, &records[0].headers), (&given.key, &given.value, &given.headers));
    assert_eq!(records[1].value.as_deref(), Some(b"".as_slice()), "an empty value is not a tombstone");
    assert_eq!((&records[2].key, &records[2].value), (&None, &None));
    assert_eq!(log.bounds(TOPIC, 1).await.unwrap(), Bounds { start: 0, end: 3 });
    assert_eq!(log.ends(TOPIC).await.unwrap(), [0, 3, 1, 0]);
}

#[tokio::test]
async fn records_are_stamped_from_the_clock_and_found_by_it() {
    let broker = Embedded::start([(TOPIC, 1)]).unwrap();
    let clock = VirtualClock::starting_at("2031-01-01T00:00:00Z".parse().unwrap());
    let log = broker.kafka().log(clock.clock()).unwrap();
    log.append(numbered(TOPIC, 0, 0..1)).await.unwrap();
    let noon = "2031-01-01T12:00:00Z".parse().unwrap();
    clock.jump_to(noon);
    log.append(numbered(TOPIC, 0, 1..2)).await.unwrap();
    let mut reader = log.open(TOPIC, 0, From::Start).await.unwrap();
    let records = read(reader.as_mut(), 2).await;
    assert!(records[0].timestamp < noon && records[1].timestamp >= noon, "{records:?}");
    for (moment, position) in [("2031-01-01T00:00:00Z", 0), ("2031-01-01T11:00:00Z", 1), ("2031-01-02T00:00:00Z", 2)] {
        let reader = log.open(TOPIC, 0, From::Time(moment.parse().unwrap())).await.unwrap();
        assert_eq!(reader.position(), position, "from {moment}");
    }
}

#[tokio::test]
async fn two_readers_of_a_partition_in_one_process_both_read_all_of_it() {
    let (_broker, log) = log();
    log.append(numbered(TOPIC, 0, 0..10)).await.unwrap();
    let mut first = log.open(TOPIC, 0, From::Start).await.unwrap();
    let mut second = log.open(TOPIC, 0, From::Offset(5)).await.unwrap();
    assert_eq!(read(first.as_mut(), 10).await.len(), 10);
    let records = read(second.as_mut(), 5).await;
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["5", "6", "7", "8", "9"]);
}

#[tokio::test]
async fn a_reader_that_is_dropped_and_opened_again_begins_where_it_is_told() {
    let (_broker, log) = log();
    log.append(numbered(TOPIC, 0, 0..100)).await.unwrap();
    for start in [0, 90, 10, 99, 50] {
        let mut reader = log.open(TOPIC, 0, From::Offset(start)).await.unwrap();
        let records = read(reader.as_mut(), 1).await;
        assert_eq!(records[0].offset, start);
    }
    let mut reader = log.open(TOPIC, 0, From::End).await.unwrap();
    assert_eq!(reader.position(), 100);
    assert!(reader.read(10, Duration::ZERO).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reader_that_falls_far_behind_loses_and_repeats_nothing() {
    let (_broker, log) = log();
    const COUNT: u64 = 40_000;
    for start in (0..COUNT).step_by(2_000) {
        log.append(numbered(TOPIC, 0, start..start + 2_000)).await.unwrap();
    }
    let mut slow = log.open(TOPIC, 0, From::Start).await.unwrap();
    let mut other = log.open(TOPIC, 1, From::Start).await.unwrap();
    // The queue of the slow reader fills up meanwhile; its neighbour goes on.
    for number in 0..20 {
        log.append(numbered(TOPIC, 1, number..number + 1)).await.unwrap();
        assert_eq!(text(&read(other.as_mut(), 1).await[0]), number.to_string());
    }
    let records = read(slow.as_mut(), COUNT as usize).await;
    assert!(records.iter().zip(0..).all(|(record, number)| record.offset == number && text(record) == number.to_string()));
}

#[tokio::test]
async fn an_offset_outside_the_log_is_never_reset() {
    let (_broker, log) = log();
    log.append(numbered(TOPIC, 0, 0..3)).await.unwrap();
    let beyond = log.open(TOPIC, 0, From::Offset(4)).await.map(|_| ());
    assert!(matches!(beyond, Err(LogError::OutOfRange { wanted: 4, bounds: Bounds { start: 0, end: 3 }, .. })), "{beyond:?}");
    assert!(log.open(TOPIC, 0, From::Offset(3)).await.is_ok(), "the end itself is where the next record comes");
}

#[tokio::test]
async fn what_can_never_be_appended_is_refused_before_anything_is_sent() {
    let (_broker, log) = log();
    let large = outgoing(TOPIC, 0, &"x".repeat(2_000_000));
    let refused = log.append(vec![outgoing(TOPIC, 0, "a"), large]).await;
    assert!(matches!(refused, Err(LogError::TooLarge { limit: 1_000_000, .. })), "{refused:?}");
    let refused = log.append(vec![outgoing(TOPIC, 0, "a"), outgoing(TOPIC, 4, "b")]).await;
    assert!(matches!(refused, Err(LogError::Missing { partition: 4, .. })), "{refused:?}");
    let refused = log.append(vec![outgoing("nowhere", 0, "a")]).await;
    assert!(matches!(refused, Err(LogError::Missing { .. })), "{refused:?}");
    assert_eq!(log.bounds(TOPIC, 0).await.unwrap().end, 0);
    log.append(vec![outgoing(TOPIC, 0, "after all that the producer still works")]).await.unwrap();
}

#[tokio::test]
async fn a_waiting_record_is_delivered_within_milliseconds() {
    let (_broker, log) = log();
    let mut reader = log.open(TOPIC, 0, From::Start).await.unwrap();
    let mut took = Vec::new();
    for number in 0..20 {
        let began = Instant::now();
        log.append(numbered(TOPIC, 0, number..number + 1)).await.unwrap();
        read(reader.as_mut(), 1).await;
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[10] < Duration::from_millis(100), "half of the records took longer than {:?}", took[10]);
}

#[tokio::test]
async fn a_member_owns_all_partitions_and_its_last_marks_outlive_it() {
    let (broker, log) = log();
    log.append(numbered(TOPIC, 0, 0..100)).await.unwrap();
    let kafka = broker.kafka();
    let mut member = kafka.join(GroupConfig::new("group", TOPIC)).unwrap();
    let Ownership::Assigned(partitions) = change(&mut member).await else { panic!("nothing was assigned") };
    assert_eq!(partitions, [0, 1, 2, 3]);

    let watcher = kafka.positions("group").unwrap();
    assert_eq!(watcher.marked(TOPIC, 0).await.unwrap(), None);
    member.positions().mark(TOPIC, 0, 42);
    marked(&watcher, TOPIC, 0, 42).await;
    assert_eq!(member.positions().marked(TOPIC, 0).await.unwrap(), Some(42));

    member.positions().mark(TOPIC, 0, 43);
    member.leave();
    let Ownership::Revoked(partitions, handover) = change(&mut member).await else { panic!("nothing was revoked") };
    assert_eq!(partitions.len(), 4);
    member.positions().mark(TOPIC, 0, 44);
    drop(handover);
    assert!(tokio::time::timeout(PATIENCE, member.next()).await.unwrap().unwrap().is_none());
    assert_eq!(watcher.marked(TOPIC, 0).await.unwrap(), Some(44), "the last marks are committed before the partitions go");
}
