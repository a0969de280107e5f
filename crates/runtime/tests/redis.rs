//! The store on real Redis, and that the one in memory means the same.

use std::time::Duration;

use bytes::Bytes;
use cartwheel_runtime::{
    config::Secret,
    memory::MemoryStore,
    redis::{RedisConfig, RedisStore, Topology},
    store::{Change, Facts, Fence, Loaded, PartitionStore, StoreError, Written},
};
use cartwheel_tests::{Redis, RedisOptions, eventually, need, redis, unique};

const PARTITIONS: u32 = 64;

fn config(server: &Redis) -> RedisConfig {
    RedisConfig { prefix: unique("store"), ..RedisConfig::at(server.url()) }
}

async fn store(server: &Redis) -> RedisStore {
    RedisStore::connect(&config(server), "tests", PARTITIONS).await.expect("the server refuses")
}

fn facts(epoch: u64, owner: u128, head: u64) -> Facts {
    let note = Bytes::from(vec![0, 255, b'\r', b'\n', head.to_be_bytes()[7]]);
    Facts { fence: Fence { epoch, owner, head }, installation: "tests".to_owned(), partitions: PARTITIONS, note }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn value(key: &str, text: Option<&'static str>) -> Change {
    Change { values: vec![(key.to_owned(), text.map(|text| Bytes::from_static(text.as_bytes())))], views: Vec::new() }
}

/// What both stores must do.
#[expect(clippy::unwrap_used, reason = "the body of the tests that call it")]
async fn behaves(store: &dyn PartitionStore) {
    let keys = texts(&["acme/user:1", "acme/user:2"]);
    let nothing = Loaded { facts: None, values: vec![None, None] };
    assert_eq!(store.load(7, &keys).await.unwrap(), nothing);
    assert_eq!(store.look(7, "flight", &keys).await.unwrap(), nothing);

    // Beyond 2^53 a double would take two epochs for one.
    let (first, second) = (facts(9_007_199_254_740_992, u128::MAX, 0), facts(9_007_199_254_740_993, u128::MAX, 0));
    let change = Change {
        values: vec![(keys[0].clone(), Some(Bytes::from_static(b"\0one"))), (keys[1].clone(), Some(Bytes::new()))],
        views: vec![("flight", "m1".to_owned(), Some(Bytes::from_static(b"\xff"))), ("caps", "m1".to_owned(), Some(Bytes::new()))],
    };
    assert_eq!(store.write(7, Some(&second.fence), &first, &change).await.unwrap(), Written::Fenced { stored: None });
    assert_eq!(store.write(7, None, &first, &change).await.unwrap(), Written::Done);
    let loaded = store.load(7, &keys).await.unwrap();
    assert_eq!(loaded.values, [Some(Bytes::from_static(b"\0one")), Some(Bytes::new())]);
    assert_eq!(loaded.facts.as_ref(), Some(&first));
    let looked = store.look(7, "flight", &texts(&["m2", "m1"])).await.unwrap();
    assert_eq!(looked, Loaded { facts: Some(first.clone()), values: vec![None, Some(Bytes::from_static(b"\xff"))] });

    for expected in
        [None, Some(&second.fence), Some(&facts(first.fence.epoch, 1, 0).fence), Some(&facts(first.fence.epoch, u128::MAX, 1).fence)]
    {
        let refused = store.write(7, expected, &second, &value("acme/user:1", None)).await.unwrap();
        assert_eq!(refused, Written::Fenced { stored: Some(first.clone()) });
    }
    assert_eq!(store.load(7, &keys).await.unwrap(), loaded, "a fenced write changes nothing");

    let removal = Change {
        values: vec![(keys[0].clone(), None), ("never there".to_owned(), None)],
        views: vec![("flight", "m1".to_owned(), None), ("flight", "m3".to_owned(), Some(Bytes::from_static(b"3")))],
    };
    assert_eq!(store.write(7, Some(&first.fence), &second, &removal).await.unwrap(), Written::Done);
    assert_eq!(store.load(7, &keys).await.unwrap(), Loaded { facts: Some(second.clone()), values: vec![None, Some(Bytes::new())] });
    let looked = store.look(7, "flight", &texts(&["m1", "m3"])).await.unwrap();
    assert_eq!(looked.values, [None, Some(Bytes::from_static(b"3"))]);
    assert_eq!(store.look(7, "caps", &texts(&["m1"])).await.unwrap().values, [Some(Bytes::new())]);
    assert_eq!(store.load(7, &[]).await.unwrap(), Loaded { facts: Some(second), values: Vec::new() });
    assert_eq!(store.load(8, &keys).await.unwrap(), nothing, "partitions do not share values");
}

#[tokio::test]
async fn p05_values_and_facts_change_together_behind_the_fence_in_memory() {
    behaves(&MemoryStore::new()).await;
}

#[tokio::test]
async fn p05_values_and_facts_change_together_behind_the_fence_in_redis() {
    let Some(server) = redis() else { return };
    behaves(&store(server).await).await;
}

#[tokio::test]
async fn p05_a_server_that_has_forgotten_the_script_is_given_it_again() {
    let Some(server) = need(Redis::start(RedisOptions::default())) else { return };
    let store = store(&server).await;
    let (first, second) = (facts(1, 1, 0), facts(1, 1, 1));
    assert_eq!(store.write(0, None, &first, &Change::default()).await.unwrap(), Written::Done);
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "OK");
    assert_eq!(store.write(0, Some(&first.fence), &second, &Change::default()).await.unwrap(), Written::Done);
}

#[tokio::test]
async fn a_write_of_many_customers_is_one_write() {
    let Some(server) = redis() else { return };
    let store = store(server).await;
    let keys: Vec<String> = (0..20_000).map(|number| format!("acme/user:{number}")).collect();
    let values = keys.iter().map(|key| (key.clone(), Some(Bytes::from(key.clone())))).collect();
    store.write(0, None, &facts(1, 1, 0), &Change { values, views: Vec::new() }).await.unwrap();
    let loaded = store.load(0, &keys).await.unwrap();
    assert!(loaded.values.iter().zip(&keys).all(|(value, key)| value.as_deref() == Some(key.as_bytes())));
}

#[tokio::test]
async fn p27_another_number_of_partitions_or_installation_is_refused() {
    let Some(server) = redis() else { return };
    let config = config(server);
    RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    for (installation, partitions) in [("staging", PARTITIONS), ("tests", PARTITIONS * 2)] {
        let refused = RedisStore::connect(&config, installation, partitions).await;
        assert!(matches!(refused, Err(StoreError::Unfit(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_at_once_and_later() {
    let evicting = RedisOptions { settings: vec![("maxmemory-policy".to_owned(), "allkeys-lru".to_owned())], ..RedisOptions::default() };
    let Some(server) = need(Redis::start(evicting)) else { return };
    let config = RedisConfig { inspection_interval: Duration::from_millis(50), ..config(&server) };
    let refused = RedisStore::connect(&config, "tests", PARTITIONS).await;
    assert!(matches!(&refused, Err(StoreError::Unfit(reason)) if reason.contains("allkeys-lru")), "{refused:?}");

    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    store.load(0, &[]).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"]);
    eventually("the refusal", || async {
        match store.load(0, &[]).await {
            Err(StoreError::Unfit(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_is_waited_for_and_has_what_was_written() {
    let durable = RedisOptions { durable: true, ..RedisOptions::default() };
    let Some(mut server) = need(Redis::start(durable)) else { return };
    let store = store(&server).await;
    let keys = texts(&["acme/user:1"]);
    store.write(3, None, &facts(1, 1, 5), &value("acme/user:1", Some("kept"))).await.unwrap();
    server.kill();
    let away = store.load(3, &keys).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    server.restart().unwrap();
    let loaded = eventually("the answer after the restart", || store.load(3, &keys)).await;
    assert_eq!(loaded, Loaded { facts: Some(facts(1, 1, 5)), values: vec![Some(Bytes::from_static(b"kept"))] });
}

#[tokio::test]
async fn a_frozen_server_is_unavailable_in_time() {
    let Some(server) = need(Redis::start(RedisOptions::default())) else { return };
    let config = RedisConfig { timeout: Duration::from_millis(200), ..config(&server) };
    let store = RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    server.freeze();
    let answer = tokio::time::timeout(Duration::from_secs(10), store.load(0, &[])).await.expect("no answer in time");
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    server.thaw();
    eventually("the answer after the thaw", || store.load(0, &[])).await;
}

#[tokio::test]
async fn p16_a_replica_answers_neither_reads_nor_writes() {
    let Some(primary) = need(Redis::start(RedisOptions::default())) else { return };
    let store = store(&primary).await;
    store.write(0, None, &facts(1, 1, 0), &Change::default()).await.unwrap();
    let Some(other) = need(Redis::start(RedisOptions::default())) else { return };
    // The primary is demoted under an open connection, as in a failover.
    primary.command(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    let read = store.load(0, &[]).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let written = store.write(0, Some(&facts(1, 1, 0).fence), &facts(1, 1, 1), &Change::default()).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    primary.command(&["REPLICAOF", "NO", "ONE"]);
    eventually("the answer after the promotion", || store.load(0, &[])).await;
}

#[tokio::test]
async fn a_password_opens_the_server() {
    let protected = RedisOptions { settings: vec![("requirepass".to_owned(), "swordfish".to_owned())], ..RedisOptions::default() };
    let Some(server) = need(Redis::start(protected)) else { return };
    let without = RedisStore::connect(&config(&server), "tests", PARTITIONS).await;
    assert!(matches!(without, Err(StoreError::Unavailable(_))), "{without:?}");
    let config = RedisConfig { password: Secret::new("swordfish"), ..config(&server) };
    RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
}

#[tokio::test]
async fn sentinels_lead_to_the_primary_and_to_the_next_one() {
    let Some(mut primary) = need(Redis::start(RedisOptions::default())) else { return };
    let Some(replica) = need(Redis::start(RedisOptions { replica_of: Some(primary.port()), ..RedisOptions::default() })) else { return };
    let Some(sentinel) = need(Redis::start(RedisOptions { sentinel_of: Some(primary.port()), ..RedisOptions::default() })) else { return };
    eventually("the sentinel to know the replica", || async {
        let told = sentinel.command(&["SENTINEL", "REPLICAS", "mymaster"]);
        let synchronised = replica.command(&["INFO", "replication"]).contains("master_link_status:up");
        if synchronised && told.contains(&replica.port().to_string()) { Ok(()) } else { Err(told) }
    })
    .await;
    let config = RedisConfig { topology: Topology::Sentinel, timeout: Duration::from_millis(500), ..config(&sentinel) };
    let store = RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    store.write(0, None, &facts(1, 1, 0), &value("acme/user:1", Some("kept"))).await.unwrap();
    assert_eq!(primary.command(&["WAIT", "1", "10000"]), "1");
    assert_eq!(primary.command(&["GET", &store.keys().value(0, "acme/user:1")]), "kept");

    primary.kill();
    let loaded = eventually("the answer of the next primary", || async {
        match store.load(0, &texts(&["acme/user:1"])).await {
            Ok(loaded) => Ok(loaded),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    assert_eq!(loaded, Loaded { facts: Some(facts(1, 1, 0)), values: vec![Some(Bytes::from_static(b"kept"))] });
    store.write(0, Some(&facts(1, 1, 0).fence), &facts(1, 1, 1), &Change::default()).await.unwrap();
    assert_eq!(replica.command(&["HGET", &store.keys().facts(0), "head"]), "1");
}

#[tokio::test]
async fn a_cluster_behaves_as_one_server_does() {
    let clustered = RedisOptions { settings: vec![("cluster-enabled".to_owned(), "yes".to_owned())], ..RedisOptions::default() };
    let Some(first) = need(Redis::start(clustered.clone())) else { return };
    let Some(second) = need(Redis::start(clustered)) else { return };
    assert_eq!(first.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]), "OK");
    assert_eq!(second.command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]), "OK");
    first.command(&["CLUSTER", "MEET", "127.0.0.1", &second.port().to_string()]);
    for node in [&first, &second] {
        eventually("the cluster", || async {
            let told = node.command(&["CLUSTER", "INFO"]);
            if told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:2") { Ok(()) } else { Err(told) }
        })
        .await;
    }
    let config = RedisConfig { topology: Topology::Cluster, ..config(&first) };
    let store = RedisStore::connect(&config, "tests", PARTITIONS).await.unwrap();
    behaves(&store).await;
    // Partition 7 stands on the first node, 60 on the second.
    store.write(60, None, &facts(1, 1, 0), &value("acme/user:1", Some("there"))).await.unwrap();
    assert_eq!(second.command(&["GET", &store.keys().value(60, "acme/user:1")]), "there");
    for key in [store.keys().facts(60), store.keys().value(60, "acme/user:1"), store.keys().view(60, "flight")] {
        assert_eq!(first.command(&["CLUSTER", "KEYSLOT", &key]), (60 * 256 + 128).to_string(), "{key}");
    }
}
