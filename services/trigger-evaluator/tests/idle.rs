//! What an evaluator does where nothing happens.

use std::{sync::Arc, time::Duration};

use cartwheel_runtime::{
    clock::Clock,
    memory::{MemoryStore, Snapshot},
    memory_log::{MemoryLog, MemoryPositions},
};
use cartwheel_trigger_evaluator::{
    Metrics, Performer, WorkerError,
    definitions::Definitions,
    worker::{Settings, Tools, Worker},
};
use cartwheel_wire::{Codec, Topics};
use prometheus::Registry;

#[tokio::test]
async fn p06_an_evaluator_without_events_notices_that_its_store_was_rolled_back() {
    let topics = Topics::new("cartwheel", 1, 1);
    let log = MemoryLog::new(Clock::system());
    log.create_topic(&topics.events, 1);
    let store = Arc::new(MemoryStore::new());
    let tools = Tools {
        log: Arc::new(log),
        store: store.clone(),
        clock: Clock::system(),
        positions: Arc::new(MemoryPositions::default()),
        definitions: Definitions::new(None),
        performer: Performer::new(topics, Codec::single_object()),
        metrics: Metrics::new(&Registry::new()).unwrap(),
    };
    let settings =
        Settings { installation: "tests".to_owned(), batch: 10, patience: Duration::from_millis(1), customers_in_memory: 10, owner: 7 };
    let mut worker = Worker::take(0, None, tools, settings).await.unwrap();
    worker.turn().await.unwrap();
    store.restore(Snapshot::default());
    assert!(matches!(worker.turn().await, Err(WorkerError::Fenced { partition: 0, stored: None })));
}
