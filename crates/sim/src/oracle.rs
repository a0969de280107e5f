//! What the log means: real evaluators fold each partition's log once, alone, one record at a time, on a store of their own.
//!
//! Whatever the evaluators under test store at a head must be what stands here at that head, byte for byte, and whatever they produce must
//! be something that was decided here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::customer::Customer;
use cartwheel_runtime::{
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader},
    memory::MemoryStore,
    memory_log::{MemoryLog, MemoryPositions},
    store::PartitionStore,
};
use cartwheel_trigger_evaluator::{
    Metrics, Performer,
    definitions::Definitions,
    worker::{Settings, Tools, Worker},
};
use cartwheel_wire::{Topics, views};
use futures::{FutureExt, future::BoxFuture};
use prometheus::Registry;

use crate::{
    RunError,
    executor::lock,
    world::{INSTALLATION, World},
};

/// Folds every partition, alone.
pub(crate) struct Oracle {
    world: Arc<World>,
    folds: Mutex<Vec<Fold>>,
    following: Mutex<BoxFuture<'static, Result<(), LogError>>>,
}

/// One partition, folded.
struct Fold {
    worker: Worker,
    store: Arc<MemoryStore>,
    decided: Arc<Decided>,
    head: Offset,
    /// Each value with the head from which on it holds.
    values: History,
    views: BTreeMap<&'static str, History>,
    notes: BTreeMap<Offset, Bytes>,
}

/// An entry's values by the head from which on they hold.
type History = BTreeMap<String, BTreeMap<Offset, Option<Bytes>>>;

/// What one partition holds.
type Contents = BTreeMap<String, Bytes>;

/// A record that was decided: topic, partition, key, value.
type Effect = (Arc<str>, Partition, Option<Bytes>, Option<Bytes>);

/// A log that can be read, and keeps what is appended to itself.
struct Decided {
    log: MemoryLog,
    records: Mutex<BTreeSet<Effect>>,
}

impl Log for Decided {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        let count = records.len();
        lock(&self.records).extend(records.into_iter().map(|record| (record.topic, record.partition, record.key, record.value)));
        Box::pin(std::future::ready(Ok(vec![0; count])))
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.log.open(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        self.log.bounds(topic, partition)
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        self.log.ends(topic)
    }
}

impl Oracle {
    /// Takes every partition.
    pub(crate) fn new(world: Arc<World>, definitions: Definitions) -> Result<Self, RunError> {
        let following = {
            let (definitions, world) = (definitions.clone(), world.clone());
            async move { definitions.follow(&world.log, &world.topics.campaigns, &world.codec).await }.boxed()
        };
        let folds =
            (0..world.topics.partitions).map(|partition| Fold::new(&world, definitions.clone(), partition)).collect::<Result<_, _>>()?;
        Ok(Self { world, folds: Mutex::new(folds), following: Mutex::new(following) })
    }

    /// Folds all that stands on the log.
    pub(crate) fn catch_up(&self) {
        // It never ends; one poll reads what is there.
        let _ = lock(&self.following).as_mut().now_or_never();
        for (partition, fold) in lock(&self.folds).iter_mut().enumerate() {
            let partition = u32::try_from(partition).unwrap_or_default();
            if let Err(problem) = fold.catch_up(&self.world, partition) {
                self.world.witness().violate("the log can be folded", problem);
            }
        }
    }

    /// Compares all that is stored of a partition with the fold up to its head.
    pub(crate) fn judge_store(&self, partition: Partition) {
        self.catch_up();
        let Some(facts) = self.world.store.load(partition, &[]).now_or_never().and_then(Result::ok).and_then(|loaded| loaded.facts) else {
            return;
        };
        let head = facts.fence.head;
        self.world.witness().stored(partition, head);
        let folds = lock(&self.folds);
        let Some(fold) = folds.get(partition as usize) else { return };
        let mut found = Vec::new();
        compare(&fold.values, &self.world.store.values(partition), head, "customer", &mut found);
        for view in [views::FLIGHT, views::BLOCKED] {
            let stored = self.world.store.view(partition, view);
            compare(fold.views.get(view).unwrap_or(&History::new()), &stored, head, view, &mut found);
        }
        if fold.notes.get(&head).is_some_and(|note| *note != facts.note) {
            found.push(format!("marks at {head} differ"));
        }
        for difference in found {
            self.world.witness().violate("the store is the fold of the log up to its head", format!("partition {partition}: {difference}"));
        }
    }

    /// Whether the fold of a partition decides this record.
    pub(crate) fn decides(&self, record: &cartwheel_runtime::log::Record) -> bool {
        self.catch_up();
        let key = (record.topic.clone(), record.partition, record.key.clone(), record.value.clone());
        lock(&self.folds).iter().any(|fold| lock(&fold.decided.records).contains(&key))
    }

    /// All records that the fold of all partitions decides for a topic.
    pub(crate) fn decided(&self, topic: &str) -> Vec<(Option<Bytes>, Option<Bytes>)> {
        let folds = lock(&self.folds);
        let of_topic = |fold: &Fold| {
            let records = lock(&fold.decided.records);
            records.iter().filter(|(name, ..)| **name == *topic).map(|(_, _, key, value)| (key.clone(), value.clone())).collect::<Vec<_>>()
        };
        folds.iter().flat_map(of_topic).collect()
    }

    /// Every customer as the whole log makes it.
    pub(crate) fn customers(&self) -> BTreeMap<String, Customer> {
        let folds = lock(&self.folds);
        let newest = |history: &BTreeMap<Offset, Option<Bytes>>| history.values().next_back().cloned().flatten();
        let all = folds.iter().flat_map(|fold| &fold.values);
        all.filter_map(|(key, history)| Some((key.clone(), Customer::decode(&newest(history)?).ok()?))).collect()
    }
}

fn compare(expected: &History, stored: &Contents, head: Offset, what: &str, found: &mut Vec<String>) {
    let at_head = |history: &BTreeMap<Offset, Option<Bytes>>| history.range(..=head).next_back().and_then(|(_, value)| value.clone());
    for (key, history) in expected {
        if at_head(history).as_ref() != stored.get(key) {
            found.push(format!("{what} {key} differs at head {head}"));
        }
    }
    for key in stored.keys().filter(|key| !expected.contains_key(*key)) {
        found.push(format!("{what} {key} is stored at head {head} and the log does not know it"));
    }
}

impl Fold {
    fn new(world: &Arc<World>, definitions: Definitions, partition: Partition) -> Result<Self, RunError> {
        let decided = Arc::new(Decided { log: world.log.clone(), records: Mutex::default() });
        let store = Arc::new(MemoryStore::new());
        let tools = tools(world, decided.clone(), store.clone(), definitions, world.topics.clone())?;
        let settings = settings(1, 1);
        let taken = Worker::take(partition, None, tools, settings).now_or_never();
        let worker = taken.ok_or(RunError::Setup("the log's fold waits".to_owned()))?.map_err(RunError::setup)?;
        Ok(Self { worker, store, decided, head: 0, values: History::new(), views: BTreeMap::new(), notes: BTreeMap::new() })
    }

    fn catch_up(&mut self, world: &World, partition: Partition) -> Result<(), String> {
        let end = world.log.records(&world.topics.events, partition).last().map_or(0, |record| record.offset + 1);
        while self.head < end {
            let turned = self.worker.turn().now_or_never();
            let Some(turned) = turned else { return Err(format!("the fold of partition {partition} waits at {}", self.head)) };
            turned.map_err(|error| error.to_string())?;
            self.head = self.worker.fence().head;
            let facts = self.store.load(partition, &[]).now_or_never().and_then(Result::ok).and_then(|loaded| loaded.facts);
            self.notes.insert(self.head, facts.map(|facts| facts.note).unwrap_or_default());
            note(&mut self.values, &self.store.values(partition), self.head);
            for view in [views::FLIGHT, views::BLOCKED] {
                note(self.views.entry(view).or_default(), &self.store.view(partition, view), self.head);
            }
        }
        Ok(())
    }
}

/// Notes what has changed.
fn note(history: &mut History, contents: &Contents, head: Offset) {
    for (key, value) in contents {
        let known = history.entry(key.clone()).or_default();
        if known.values().next_back().and_then(Option::as_ref) != Some(value) {
            known.insert(head, Some(value.clone()));
        }
    }
    for (_, known) in history.iter_mut().filter(|(key, _)| !contents.contains_key(*key)) {
        if known.values().next_back().is_some_and(Option::is_some) {
            known.insert(head, None);
        }
    }
}

/// What an evaluator works with.
pub(crate) fn tools(
    world: &Arc<World>,
    log: Arc<dyn Log>,
    store: Arc<dyn PartitionStore>,
    definitions: Definitions,
    topics: Topics,
) -> Result<Tools, RunError> {
    Ok(Tools {
        log,
        store,
        clock: world.time.clock(),
        positions: Arc::new(MemoryPositions::default()),
        definitions,
        performer: Performer::new(topics, world.codec.clone()),
        metrics: Metrics::new(&Registry::new()).map_err(RunError::setup)?,
    })
}

/// How an evaluator works.
pub(crate) fn settings(batch: usize, owner: u128) -> Settings {
    Settings { installation: INSTALLATION.to_owned(), batch, patience: Duration::from_secs(1), customers_in_memory: 4, owner }
}
