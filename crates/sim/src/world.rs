//! What all processes of a run share: the log, the store, time, chance, and who watches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cartwheel_runtime::{
    clock::TimeSource,
    log::{LogError, Offset, Partition, Positions},
    memory::MemoryStore,
    memory_log::MemoryLog,
};
use cartwheel_wire::{Codec, Topics};
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::{
    Twist,
    chance::Chance,
    executor::{Spawner, Time, lock},
    fault::Fault,
    witness::Witness,
};

/// The number of partitions: two are enough for names that meet to live apart.
pub(crate) const PARTITIONS: u32 = 2;

/// The installation's name.
pub(crate) const INSTALLATION: &str = "simulated";

/// The topic on which the shop publishes.
pub(crate) const SOURCE: &str = "acme.clicks";

/// How far groups have come.
#[derive(Default)]
struct Marks {
    stored: BTreeMap<(String, Partition), Offset>,
    highest: BTreeMap<(String, Partition), Offset>,
}

/// The marks of all groups, as a process sees them.
pub(crate) struct SharedMarks(pub(crate) Arc<World>);

impl Positions for SharedMarks {
    fn marked(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Option<Offset>, LogError>> {
        let topic = topic.to_owned();
        Box::pin(async move {
            self.0.travel().await;
            Ok(lock(&self.0.marks).stored.get(&(topic, partition)).copied())
        })
    }

    fn mark(&self, topic: &str, partition: Partition, next: Offset) {
        let mut marks = lock(&self.0.marks);
        let key = (topic.to_owned(), partition);
        let highest = marks.highest.entry(key.clone()).or_default();
        *highest = next.max(*highest);
        marks.stored.insert(key, next);
    }
}

/// What all share.
pub(crate) struct World {
    pub(crate) chance: Mutex<Chance>,
    pub(crate) time: Time,
    pub(crate) spawner: Spawner,
    pub(crate) log: MemoryLog,
    pub(crate) store: MemoryStore,
    pub(crate) topics: Topics,
    pub(crate) codec: Codec,
    pub(crate) witness: Mutex<Witness>,
    /// Rules that are taken away, to show that it is seen.
    pub(crate) twist: Option<Twist>,
    marks: Mutex<Marks>,
    calm: AtomicBool,
}

impl World {
    pub(crate) fn new(seed: u64, start: Timestamp, twist: Option<Twist>) -> Self {
        let time = Time::new(start);
        let log = MemoryLog::new(time.clock());
        let topics = Topics::new("cartwheel", 1, PARTITIONS);
        let many = [
            &topics.events,
            &topics.timers,
            &topics.sends_transactional,
            &topics.sends_promotional,
            &topics.deliveries,
            &topics.decisions,
            &topics.customers,
            &topics.dead_letters,
        ];
        many.into_iter().for_each(|topic| log.create_topic(topic, PARTITIONS));
        log.create_topic(&topics.campaigns, 1);
        log.create_topic(&topics.controls, 1);
        log.create_topic(SOURCE, PARTITIONS);
        Self {
            chance: Mutex::new(Chance::new(seed)),
            spawner: Spawner::default(),
            store: MemoryStore::new(),
            codec: Codec::single_object(),
            witness: Mutex::new(Witness::new(log.clone(), time.clock(), topics.clone())),
            marks: Mutex::default(),
            calm: AtomicBool::new(false),
            time,
            log,
            topics,
            twist,
        }
    }

    pub(crate) fn chance(&self) -> MutexGuard<'_, Chance> {
        lock(&self.chance)
    }

    pub(crate) fn witness(&self) -> MutexGuard<'_, Witness> {
        lock(&self.witness)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// All marks are lost.
    pub(crate) fn lose_marks(&self) {
        lock(&self.marks).stored.clear();
    }

    /// The highest mark that a partition ever had, lost or not.
    pub(crate) fn reached(&self, topic: &str, partition: Partition) -> Offset {
        lock(&self.marks).highest.get(&(topic.to_owned(), partition)).copied().unwrap_or(0)
    }

    /// From now on nothing goes wrong any more.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// True so many times in a thousand, never once all is calm. A fault that happens is counted.
    pub(crate) fn goes_wrong(&self, fault: Fault, times: usize) -> bool {
        let happens = !self.is_calm() && self.chance().in_thousand(times);
        if happens {
            self.witness().saw(fault);
        }
        happens
    }

    /// The way to somewhere else and back: milliseconds, rarely seconds. Whoever waits may be polled in any order and die here.
    pub(crate) async fn travel(&self) {
        let slow = !self.is_calm() && self.chance().in_thousand(8);
        let way = if slow { self.chance().millis(100, 4000) } else { self.chance().millis(1, 12) };
        self.sleep(way).await;
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        self.time.clock().sleep(time).await;
    }
}
