//! The log, groups and topics on real Kafka.

mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cartwheel_runtime::{
    clock::{Clock, VirtualClock},
    config::Secret,
    kafka::{GroupConfig, Kafka, KafkaConfig, KafkaLog, Membership, Ownership, Profile, Protocol, Setting, Token, TokenSource, TopicSpec},
    log::{Bounds, From, Log, LogError, Outgoing, Partition, Positions},
};
use cartwheel_tests::{eventually, kafka, need, unique};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::{PATIENCE, change, marked, numbered, outgoing, read, text};

fn cluster(node: &cartwheel_tests::Kafka) -> Kafka {
    Kafka::new(KafkaConfig { profile: Profile::Development, ..KafkaConfig::at(node.bootstrap()) })
}

fn log(node: &cartwheel_tests::Kafka) -> KafkaLog {
    cluster(node).log(Clock::system()).expect("no client could be made")
}

#[tokio::test]
async fn what_one_process_appended_another_reads() {
    let Some(node) = kafka() else { return };
    let topic = unique("events");
    node.create_topic(&topic, 3, &[]).await;
    let first = log(node);
    first.answers().await.unwrap();
    assert_eq!(first.append(numbered(&topic, 2, 0..3)).await.unwrap(), [0, 1, 2]);
    drop(first);

    let second = log(node);
    let mut reader = second.open(&topic, 2, From::Offset(1)).await.unwrap();
    let records = read(reader.as_mut(), 2).await;
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(records[0].headers, outgoing(&topic, 2, "").headers);
    assert_eq!(second.append(numbered(&topic, 2, 3..4)).await.unwrap(), [3]);
    assert_eq!(text(&read(reader.as_mut(), 1).await[0]), "3");
    assert_eq!(second.ends(&topic).await.unwrap(), [0, 0, 4]);
    assert_eq!(second.partitions(&topic).await.unwrap(), 3);
}

#[tokio::test]
async fn a_reader_begins_at_the_first_record_of_a_moment() {
    let Some(node) = kafka() else { return };
    let topic = unique("events");
    node.create_topic(&topic, 1, &[("message.timestamp.after.max.ms", "9223372036854775807")]).await;
    let clock = VirtualClock::starting_at("2031-01-01T00:00:00Z".parse().unwrap());
    let log = cluster(node).log(clock.clock()).unwrap();
    log.append(numbered(&topic, 0, 0..2)).await.unwrap();
    let noon = "2031-01-01T12:00:00Z".parse().unwrap();
    clock.jump_to(noon);
    log.append(numbered(&topic, 0, 2..3)).await.unwrap();
    for (moment, position) in [("2031-01-01T00:00:00Z", 0), ("2031-01-01T11:59:59.9999Z", 2), ("2031-01-02T00:00:00Z", 3)] {
        let reader = log.open(&topic, 0, From::Time(moment.parse().unwrap())).await.unwrap();
        assert_eq!(reader.position(), position, "from {moment}");
    }
}

#[tokio::test]
async fn what_retention_has_passed_is_out_of_range_and_never_reset() {
    let Some(node) = kafka() else { return };
    let topic = unique("events");
    node.create_topic(&topic, 1, &[]).await;
    let log = log(node);
    log.append(numbered(&topic, 0, 0..10)).await.unwrap();
    let mut overtaken = log.open(&topic, 0, From::Offset(10)).await.unwrap();
    assert!(overtaken.read(1, Duration::ZERO).await.unwrap().is_empty());
    node.delete_records(&topic, 0, 7).await;
    assert_eq!(log.bounds(&topic, 0).await.unwrap(), Bounds { start: 7, end: 10 });
    let passed = log.open(&topic, 0, From::Offset(6)).await.map(|_| ());
    assert!(matches!(passed, Err(LogError::OutOfRange { wanted: 6, bounds: Bounds { start: 7, end: 10 }, .. })), "{passed:?}");
    let mut reader = log.open(&topic, 0, From::Start).await.unwrap();
    assert_eq!(reader.position(), 7);
    assert_eq!(text(&read(reader.as_mut(), 1).await[0]), "7");
    // One that stands within the log goes on.
    log.append(numbered(&topic, 0, 10..11)).await.unwrap();
    assert_eq!(text(&read(overtaken.as_mut(), 1).await[0]), "10");
}

/// A producer of another application, which writes in transactions.
fn transactional(node: &cartwheel_tests::Kafka) -> BaseProducer {
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", node.bootstrap()).set("transactional.id", unique("transactions"));
    let producer: BaseProducer = client.create().expect("no producer could be made");
    producer.init_transactions(PATIENCE).expect("no transactions");
    producer
}

fn in_transaction(producer: &BaseProducer, topic: &str, text: &str) {
    producer.begin_transaction().expect("no transaction");
    producer.send(BaseRecord::<(), _>::to(topic).partition(0).payload(text)).map_err(|(error, _)| error).expect("nothing was sent");
    producer.flush(PATIENCE).expect("nothing was acknowledged");
}

#[tokio::test]
async fn a_reader_comes_to_the_end_over_markers_and_aborted_records_but_not_over_an_open_transaction() {
    let Some(node) = kafka() else { return };
    let topic = unique("sources");
    node.create_topic(&topic, 1, &[]).await;
    let log = log(node);
    let early = log.open(&topic, 0, From::Start).await.unwrap();
    let producer = transactional(node);
    in_transaction(&producer, &topic, "kept");
    producer.commit_transaction(PATIENCE).unwrap();
    in_transaction(&producer, &topic, "aborted");
    producer.abort_transaction(PATIENCE).unwrap();
    let end = eventually("the end behind both markers", || async {
        match log.bounds(&topic, 0).await {
            Ok(Bounds { end: 4, .. }) => Ok(4),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let late = log.open(&topic, 0, From::Offset(3)).await.unwrap();
    in_transaction(&producer, &topic, "open");
    assert_eq!(log.ends(&topic).await.unwrap(), [4], "what is not decided is not in the log yet");

    let mut at_end = Vec::new();
    for (mut reader, expected) in [(late, vec![]), (early, vec!["kept".to_owned()])] {
        let mut found = Vec::new();
        let come_to_the_end = async {
            while reader.position() < end {
                found.extend(reader.read(10, Duration::from_millis(100)).await.unwrap().iter().map(text));
            }
        };
        tokio::time::timeout(PATIENCE, come_to_the_end).await.expect("the reader stays before the end");
        assert_eq!((found, reader.position()), (expected, end));
        assert!(reader.read(10, Duration::ZERO).await.unwrap().is_empty());
        assert_eq!(reader.position(), end);
        at_end.push(reader);
    }
    producer.commit_transaction(PATIENCE).unwrap();
    for mut reader in at_end {
        assert_eq!(text(&read(reader.as_mut(), 1).await[0]), "open");
    }
}

#[tokio::test]
async fn a_reader_that_retention_overtakes_is_told() {
    let Some(node) = kafka() else { return };
    let (topic, other) = (unique("events"), unique("events"));
    node.create_topic(&topic, 1, &[]).await;
    node.create_topic(&other, 1, &[]).await;
    let log = log(node);
    // More than the reader's queue and librdkafka's take, so that its next fetch is for what is gone.
    for start in (0..40_000).step_by(4_000) {
        log.append(numbered(&topic, 0, start..start + 4_000)).await.unwrap();
    }
    let mut reader = log.open(&topic, 0, From::Start).await.unwrap();
    let mut neighbour = log.open(&other, 0, From::Start).await.unwrap();
    read(reader.as_mut(), 1).await;
    node.delete_records(&topic, 0, 39_999).await;
    let told = loop {
        match reader.read(1_000, PATIENCE).await {
            Ok(records) => assert!(!records.is_empty(), "neither records nor an error came"),
            Err(error) => break error,
        }
    };
    assert!(matches!(told, LogError::OutOfRange { bounds: Bounds { start: 39_999, end: 40_000 }, .. }), "{told:?}");
    log.append(numbered(&other, 0, 0..1)).await.unwrap();
    assert_eq!(text(&read(neighbour.as_mut(), 1).await[0]), "0");
}

/// A log whose appends go out in many small requests, so that several are on their way at once.
fn log_of_small_requests(node: &cartwheel_tests::Kafka) -> KafkaLog {
    let mut config = cluster(node).config().clone();
    config.properties.insert("batch.size".to_owned(), "15000".to_owned());
    Kafka::new(config).log(Clock::system()).expect("no client could be made")
}

#[tokio::test]
async fn p03_a_broker_that_is_killed_and_comes_back_loses_nothing_and_doubles_nothing() {
    let Some(mut node) = need(cartwheel_tests::Kafka::start()) else { return };
    const COUNT: u64 = 40_000;
    let topic = unique("events");
    node.create_topic(&topic, 1, &[]).await;
    let log = Arc::new(log_of_small_requests(&node));
    let mut reader = log.open(&topic, 0, From::Start).await.unwrap();
    let writer = tokio::spawn({
        let (log, topic) = (log.clone(), topic.clone());
        async move {
            for start in (0..COUNT).step_by(5_000) {
                log.append(numbered(&topic, 0, start..start + 5_000)).await.unwrap();
            }
        }
    });
    let mut expected = 0_u64;
    for kills in 1..=3 {
        let stop_at = if kills == 3 { COUNT } else { kills * 7_500 };
        for record in read(reader.as_mut(), usize::try_from(stop_at - expected).unwrap()).await {
            assert_eq!(text(&record), expected.to_string(), "a record is lost, doubled or displaced");
            expected += 1;
        }
        if kills < 3 {
            assert!(!writer.is_finished(), "the writer was too fast to be interrupted");
            node.kill();
            node.restart().unwrap();
        }
    }
    tokio::time::timeout(PATIENCE, writer).await.expect("the writer did not end").unwrap();
    assert_eq!(log.bounds(&topic, 0).await.unwrap().end, COUNT);
}

/// Bytes that do not compress.
fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(step).collect()
}

#[tokio::test]
async fn p03_the_first_failed_record_abandons_every_batch_and_leaves_no_gap() {
    let Some(node) = kafka() else { return };
    let (narrow, wide) = (unique("narrow"), unique("wide"));
    node.create_topic(&narrow, 1, &[("max.message.bytes", "20000")]).await;
    node.create_topic(&wide, 1, &[]).await;
    let log = log_of_small_requests(node);
    let noisy = |length| Outgoing { value: Some(noise(length)), ..outgoing(&narrow, 0, "") };
    let mut records = vec![noisy(1_000); 300];
    records[100] = noisy(50_000);
    let failed = log.append(records).await;
    assert!(matches!(failed, Err(LogError::Fatal(_))), "{failed:?}");
    let later = log.append(numbered(&wide, 0, 0..1)).await;
    assert!(matches!(later, Err(LogError::Fatal(_))), "{later:?}");
    drop(log);

    let restarted = self::log(node);
    let end = restarted.bounds(&narrow, 0).await.unwrap().end;
    assert!(end <= 100, "{} records landed behind the failed one", end - 100);
    restarted.append(numbered(&wide, 0, 0..1)).await.unwrap();
}

/// Takes changes until this member owns `count` partitions; hands in at once what is revoked.
async fn own(member: &mut Membership, owned: &mut BTreeSet<Partition>, count: usize) {
    while owned.len() != count {
        match change(member).await {
            Ownership::Assigned(partitions) => owned.extend(partitions),
            Ownership::Revoked(partitions, _) | Ownership::Lost(partitions) => owned.retain(|partition| !partitions.contains(partition)),
        }
    }
}

#[tokio::test]
async fn two_members_share_the_partitions_and_what_one_hands_in_the_other_goes_on_with() {
    let Some(node) = kafka() else { return };
    let (topic, other, group) = (unique("sends"), unique("sends"), unique("group"));
    node.create_topic(&topic, 4, &[]).await;
    node.create_topic(&other, 4, &[]).await;
    let cluster = cluster(node);
    let config = GroupConfig::new(&group, &topic);
    let mut first = cluster.join(config.clone()).unwrap();
    let (mut owned_first, mut owned_second) = (BTreeSet::new(), BTreeSet::new());
    own(&mut first, &mut owned_first, 4).await;

    let mut second = cluster.join(config).unwrap();
    let Ownership::Revoked(going, handover) = change(&mut first).await else { panic!("nothing was revoked") };
    assert_eq!(going.len(), 2, "a move takes half, not all");
    let moved = going[0];
    // The number is what is owned: marks for both topics' partitions of it are kept.
    first.positions().mark(&topic, moved, 11);
    first.positions().mark(&other, moved, 12);
    drop(handover);
    owned_first.retain(|partition| !going.contains(partition));
    own(&mut second, &mut owned_second, 2).await;
    assert_eq!(owned_second, going.into_iter().collect());
    assert_eq!(second.positions().marked(&topic, moved).await.unwrap(), Some(11));
    assert_eq!(second.positions().marked(&other, moved).await.unwrap(), Some(12));

    // A mark that comes late, from the former owner, is dropped.
    second.positions().mark(&topic, moved, 20);
    first.positions().mark(&topic, moved, 15);
    let watcher = cluster.positions(&group).unwrap();
    marked(&watcher, &topic, moved, 20).await;
    first.positions().mark(&topic, *owned_first.first().unwrap(), 30);
    marked(&watcher, &topic, *owned_first.first().unwrap(), 30).await;
    assert_eq!(watcher.marked(&topic, moved).await.unwrap(), Some(20));

    drop(first);
    own(&mut second, &mut owned_second, 4).await;
}

#[tokio::test]
async fn a_revocation_waits_for_the_owner_but_not_for_ever() {
    let Some(node) = kafka() else { return };
    let (topic, group) = (unique("sends"), unique("group"));
    node.create_topic(&topic, 2, &[]).await;
    let config = GroupConfig { handover_patience: Duration::from_millis(500), ..GroupConfig::new(&group, &topic) };
    let mut first = cluster(node).join(config.clone()).unwrap();
    own(&mut first, &mut BTreeSet::new(), 2).await;
    let mut second = cluster(node).join(config).unwrap();
    let Ownership::Revoked(_, _kept) = change(&mut first).await else { panic!("nothing was revoked") };
    own(&mut second, &mut BTreeSet::new(), 1).await;
}

#[tokio::test]
async fn partitions_of_a_member_that_the_group_has_given_up_are_lost() {
    let Some(mut node) = need(cartwheel_tests::Kafka::start()) else { return };
    let topic = unique("sends");
    node.create_topic(&topic, 2, &[]).await;
    // The shortest that brokers allow by default.
    let config = GroupConfig { session_timeout: Duration::from_secs(6), ..GroupConfig::new(unique("group"), &topic) };
    let mut member = cluster(&node).join(config).unwrap();
    own(&mut member, &mut BTreeSet::new(), 2).await;
    node.kill();
    let change = change(&mut member).await;
    assert!(matches!(&change, Ownership::Lost(partitions) if partitions.len() == 2), "{change:?}");
    member.positions().mark(&topic, 0, 9);
    node.restart().unwrap();
    own(&mut member, &mut BTreeSet::new(), 2).await;
    assert_eq!(member.positions().marked(&topic, 0).await.unwrap(), None, "a mark of a lost partition is dropped");
}

#[tokio::test]
async fn of_two_members_with_one_static_name_the_first_is_thrown_out() {
    let Some(node) = kafka() else { return };
    let topic = unique("timers");
    node.create_topic(&topic, 2, &[]).await;
    let config = GroupConfig { member: "timer-0".to_owned(), ..GroupConfig::new(unique("group"), &topic) };
    let mut first = cluster(node).join(config.clone()).unwrap();
    own(&mut first, &mut BTreeSet::new(), 2).await;
    let mut second = cluster(node).join(config).unwrap();
    own(&mut second, &mut BTreeSet::new(), 2).await;
    let thrown_out = async {
        loop {
            match first.next().await {
                Ok(Some(_)) => {}
                ended => return ended.map(|_| ()),
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, thrown_out).await.expect("the first member was not thrown out");
    assert!(matches!(ended, Err(LogError::Fatal(_))), "{ended:?}");
}

#[tokio::test]
async fn topics_are_created_once_and_read_back() {
    let Some(node) = kafka() else { return };
    let topics = cluster(node).topics();
    let spec = |name: &str, partitions| TopicSpec {
        name: name.to_owned(),
        partitions,
        replication: 3,
        settings: vec![
            Setting::is("cleanup.policy", "compact,delete"),
            Setting::is("message.timestamp.type", "LogAppendTime"),
            Setting::at_least("retention.ms", 604_800_000),
            Setting::at_least("min.insync.replicas", 2),
        ],
    };
    let (right, wrong, missing) = (unique("right"), unique("wrong"), unique("missing"));
    assert_eq!(topics.create(&[spec(&right, 4)]).await.unwrap(), [right.as_str()]);
    assert!(topics.check(&[spec(&right, 4)]).await.unwrap().is_empty(), "what was made is there, as it was asked for");
    assert!(topics.create(&[spec(&right, 4)]).await.unwrap().is_empty(), "a topic that is there is left alone");

    node.create_topic(&wrong, 3, &[("cleanup.policy", "delete"), ("retention.ms", "1000")]).await;
    let found: BTreeSet<(String, String)> = eventually("the findings", || async {
        let findings = topics.check(&[spec(&right, 4), spec(&wrong, 4), spec(&missing, 4)]).await.map_err(|error| error.to_string())?;
        let found: BTreeSet<_> = findings.into_iter().map(|finding| (finding.topic, finding.setting)).collect();
        if found.contains(&(wrong.clone(), "topic".to_owned())) { Err("the new topic is not known yet".to_owned()) } else { Ok(found) }
    })
    .await;
    let expected = [
        (&wrong, "partitions"),
        (&wrong, "cleanup.policy"),
        (&wrong, "message.timestamp.type"),
        (&wrong, "retention.ms"),
        (&missing, "topic"),
    ];
    assert_eq!(found, expected.map(|(topic, setting)| (topic.clone(), setting.to_owned())).into());

    let production = Kafka::new(KafkaConfig { assume: vec!["min.insync.replicas".to_owned()], ..KafkaConfig::at(node.bootstrap()) });
    let findings = production.topics().check(&[spec(&right, 4)]).await.unwrap();
    let found: Vec<&str> = findings.iter().map(|finding| finding.setting.as_str()).collect();
    assert_eq!(found, ["replicas"], "one replica is refused in production, what is assumed is not asked");
}

#[tokio::test]
async fn tls_and_a_password_open_a_guarded_cluster_and_a_wrong_one_does_not() {
    let Some(node) = need(cartwheel_tests::Kafka::start_guarded("cartwheel", "swordfish")) else { return };
    let topic = unique("events");
    node.create_topic(&topic, 1, &[]).await;
    let mut config = KafkaConfig::at(node.guarded_bootstrap());
    config.security.protocol = Protocol::SaslSsl;
    config.security.ca_file = node.ca_file().display().to_string();
    config.security.mechanism = "PLAIN".to_owned();
    config.security.username = "cartwheel".to_owned();
    config.security.password = Secret::new("swordfish");
    let log = Kafka::new(config.clone()).log(Clock::system()).unwrap();
    log.append(numbered(&topic, 0, 0..1)).await.unwrap();
    let mut reader = log.open(&topic, 0, From::Start).await.unwrap();
    assert_eq!(text(&read(reader.as_mut(), 1).await[0]), "0");
    let mut member = Kafka::new(config.clone()).join(GroupConfig::new(unique("group"), &topic)).unwrap();
    own(&mut member, &mut BTreeSet::new(), 1).await;

    config.security.password = Secret::new("sailfish");
    let refused = Kafka::new(config).log(Clock::system()).unwrap().answers().await;
    assert!(matches!(refused, Err(LogError::Unavailable(_))), "{refused:?}");
}

/// Counts how often it is asked.
#[derive(Default)]
struct Counting(AtomicU32);

impl TokenSource for Counting {
    fn token(&self) -> Result<Token, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let expires = jiff::Timestamp::now() + Duration::from_secs(3_600);
        Ok(Token { token: "header.payload.signature".to_owned(), principal: "cartwheel".to_owned(), expires })
    }
}

#[tokio::test]
async fn every_client_that_signs_in_with_tokens_asks_their_source() {
    let mut config = KafkaConfig::at("127.0.0.1:1");
    config.security.protocol = Protocol::SaslPlaintext;
    config.security.mechanism = "OAUTHBEARER".to_owned();
    let source = Arc::new(Counting::default());
    let cluster = Kafka::new(config).with_tokens(source.clone());
    let _log = cluster.log(Clock::system()).unwrap();
    let _watcher = cluster.positions("group").unwrap();
    let _member = cluster.join(GroupConfig::new("group", "topic")).unwrap();
    // The producer, the client that asks, the watcher and the member.
    eventually("the questions", || async {
        match source.0.load(Ordering::Relaxed) {
            4.. => Ok(()),
            asked => Err(format!("{asked} clients have asked")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_said_to_be() {
    let port = cartwheel_tests::free_port().unwrap();
    let log = Kafka::new(KafkaConfig::at(format!("127.0.0.1:{port}"))).log(Clock::system()).unwrap();
    let away = log.answers().await;
    assert!(matches!(&away, Err(LogError::Unavailable(reason)) if reason.contains(&port.to_string())), "{away:?}");
}
