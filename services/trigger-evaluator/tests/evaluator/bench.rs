//! A shop's log, store and campaigns, and workers on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::{
    decision::Decision,
    input::{Event, Fact, Input, Origin},
    key::CustomerKey,
};
use cartwheel_runtime::{
    clock::{Clock, VirtualClock},
    log::{Log, Outgoing, Partition},
    memory::MemoryStore,
    memory_log::{MemoryLog, MemoryPositions},
    store::{Change, Facts, Fence, Loaded, PartitionStore, StoreError, Written},
};
use cartwheel_trigger_evaluator::{
    Metrics, Performer, WorkerError,
    definitions::Definitions,
    worker::{Settings, Tools, Worker},
};
use cartwheel_wire::{CampaignFile, CampaignState, Codec, DeadLetter, DecisionRecord, EventBody, EventRecord, Revision, Topics};
use futures::future::BoxFuture;
use jiff::Timestamp;
use prometheus::Registry;

/// The partition that all but one test works on.
pub(crate) const HERE: Partition = 0;

pub(crate) const SHOP: &str = "grammar: 1
shop: acme
name: Acme
url: https://acme.example
zone: UTC
languages: [en]
currencies: [EUR]
objects: { order: { id: order_id, events: [Order Completed] } }
senders: { sms: { provider: log } }
";

/// A campaign that decides about every order at once; the number tells its versions apart.
pub(crate) fn confirmation(number: u32) -> String {
    format!(
        "campaign: confirmation
class: transactional
when: {{ event: Order Completed, each: order }}
send: {{ sms: {{ text: {{ en: \"We have your order. {number}\" }} }} }}
"
    )
}

/// The log's and the workers' first moment.
pub(crate) fn start() -> Timestamp {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

/// A store in memory that is watched and disturbed.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) inner: MemoryStore,
    /// How many customers were read.
    pub(crate) read: AtomicUsize,
    /// How many of the next reads are not answered.
    pub(crate) away: AtomicUsize,
    /// How many of the next writes happen without an answer.
    pub(crate) unanswered: AtomicUsize,
}

/// Takes one off a counter; whether there was one.
fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl PartitionStore for Watched {
    fn load<'a>(&'a self, partition: Partition, keys: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        if take_one(&self.away) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable("no answer".to_owned()))));
        }
        self.read.fetch_add(keys.len(), Ordering::SeqCst);
        self.inner.load(partition, keys)
    }

    fn look<'a>(&'a self, partition: Partition, view: &'static str, entries: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        self.inner.look(partition, view, entries)
    }

    fn write<'a>(
        &'a self,
        partition: Partition,
        expected: Option<&'a Fence>,
        facts: &'a Facts,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            let written = self.inner.write(partition, expected, facts, change).await?;
            if take_one(&self.unanswered) { Err(StoreError::Unavailable("no answer".to_owned())) } else { Ok(written) }
        })
    }
}

pub(crate) struct Bench {
    pub(crate) clock: Clock,
    pub(crate) log: MemoryLog,
    pub(crate) store: Arc<Watched>,
    pub(crate) topics: Topics,
    pub(crate) definitions: Definitions,
    pub(crate) codec: Codec,
    metrics: Metrics,
}

impl Bench {
    /// Two partitions, nothing applied yet.
    pub(crate) fn new() -> Self {
        let clock = VirtualClock::starting_at(start()).clock();
        let (log, topics, codec) = (MemoryLog::new(clock.clone()), Topics::new("test", 1, 2), Codec::single_object());
        for plan in topics.specs(&cartwheel_wire::TopicChoices::default()) {
            log.create_topic(&plan.name, plan.partitions.number(topics.partitions));
        }
        let definitions = Definitions::new(None);
        let (follower, followed, topic, framing) = (definitions.clone(), log.clone(), topics.campaigns.clone(), codec.clone());
        tokio::spawn(async move { follower.follow(&followed, &topic, &framing).await });
        let metrics = Metrics::new(&Registry::new()).unwrap();
        Self { clock, log, store: Arc::default(), topics, definitions, codec, metrics }
    }

    pub(crate) fn tools(&self) -> Tools {
        Tools {
            log: Arc::new(self.log.clone()),
            store: self.store.clone(),
            clock: self.clock.clone(),
            positions: Arc::new(MemoryPositions::default()),
            definitions: self.definitions.clone(),
            performer: Performer::new(self.topics.clone(), self.codec.clone()),
            metrics: self.metrics.clone(),
        }
    }

    pub(crate) fn settings(&self, owner: u128) -> Settings {
        Settings { installation: "test".to_owned(), batch: 100, patience: Duration::from_millis(5), customers_in_memory: 1000, owner }
    }

    pub(crate) async fn take(&self, owner: u128, seen: Option<&Fence>) -> Worker {
        Worker::take(HERE, seen, self.tools(), self.settings(owner)).await.unwrap()
    }

    /// Lets a worker fold everything that its log holds.
    pub(crate) async fn fold(&self, worker: &mut Worker) -> Result<(), WorkerError> {
        loop {
            worker.turn().await?;
            if worker.fence().head == self.end() {
                return Ok(());
            }
        }
    }

    /// The end of the events log.
    pub(crate) fn end(&self) -> u64 {
        self.log.records(&self.topics.events, HERE).last().map_or(0, |record| record.offset + 1)
    }

    /// Applies a revision: the text of each file's version, which the topic keeps for later revisions, and waits until it is known.
    pub(crate) async fn apply(&self, number: u32, files: &[(&str, u32, &str)]) {
        self.write(number, files, &[]).await;
        let known = tokio::time::timeout(Duration::from_secs(10), self.definitions.at("acme", number)).await;
        known.expect("the topic is read").unwrap();
    }

    /// As [`Bench::apply`], with states of campaigns, and without waiting.
    pub(crate) async fn write(&self, number: u32, files: &[(&str, u32, &str)], states: &[(&str, CampaignState)]) {
        for (file, version, text) in files {
            self.write_file(file, *version, text).await;
        }
        let revision = Revision {
            shop: "acme".to_owned(),
            number,
            predecessor: number - 1,
            files: files.iter().map(|(file, version, _)| ((*file).to_owned(), *version)).collect(),
            states: states.iter().map(|(campaign, state)| ((*campaign).to_owned(), *state)).collect(),
            engine_level: 1,
            time_zone_data: String::new(),
            phone_data: String::new(),
            effective_at: None,
            by: "maria".to_owned(),
            at: Timestamp::from_second(i64::from(number)).unwrap(),
        };
        self.append(&self.topics.campaigns, &revision.key(), Some(revision.encode(&self.codec))).await;
    }

    pub(crate) async fn write_file(&self, file: &str, version: u32, text: &str) {
        let file = CampaignFile { shop: "acme".to_owned(), file: file.to_owned(), version, text: text.to_owned() };
        self.append(&self.topics.campaigns, &file.key(), Some(file.encode(&self.codec))).await;
    }

    /// A customer of a shop whose home is the partition; the number tells customers apart.
    pub(crate) fn customer(&self, shop: &str, partition: Partition, number: usize) -> CustomerKey {
        let keys = (0..).map(|name| format!("{shop}/user:{name}").parse().unwrap());
        keys.filter(|key| self.topics.partition_of(key) == partition).nth(number).unwrap()
    }

    /// An order, whose event id and order id are `id`.
    pub(crate) fn order(&self, customer: &CustomerKey, id: &str, origin: Option<Origin>) -> EventRecord {
        let properties = BTreeMap::from([("order_id".to_owned(), cartwheel_language::Value::from(id))]);
        let now = self.clock.now();
        let input = Input {
            key: customer.clone(),
            id: id.to_owned(),
            received: now,
            names: vec![customer.clone()],
            fact: Fact::Tracked(Event { name: "Order Completed".to_owned(), occurred: now, properties }),
        };
        EventRecord { origin, body: EventBody::Customer(input) }
    }

    /// Appends an order of the customer with this number.
    pub(crate) async fn ordered(&self, number: usize, id: &str) {
        self.event(&self.order(&self.customer("acme", HERE, number), id, None)).await;
    }

    pub(crate) async fn event(&self, record: &EventRecord) {
        self.append(&self.topics.events, &record.key(), Some(record.encode(&self.codec))).await;
    }

    pub(crate) async fn append(&self, topic: &Arc<str>, key: &str, value: Option<Vec<u8>>) {
        let key = Some(Bytes::copy_from_slice(key.as_bytes()));
        let record = Outgoing { topic: topic.clone(), partition: HERE, key, value: value.map(Bytes::from), headers: Vec::new() };
        self.log.append(vec![record]).await.unwrap();
    }

    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let records = self.log.records(&self.topics.decisions, HERE).into_iter();
        records.map(|record| DecisionRecord::decode(&self.codec, &record.value.unwrap()).unwrap().0).collect()
    }

    /// The versions of the campaign by which an order was decided; empty if it was not.
    pub(crate) fn versions(&self, order: &str) -> Vec<u32> {
        let versions: BTreeSet<u32> =
            self.decisions().iter().filter(|decision| decision.cause.event == order).filter_map(|decision| decision.version).collect();
        versions.into_iter().collect()
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        let records = self.log.records(&self.topics.dead_letters, HERE).into_iter();
        records.map(|record| DeadLetter::decode(&self.codec, &record.value.unwrap()).unwrap()).collect()
    }

    /// The revisions that the events log holds, in order.
    pub(crate) fn activations(&self) -> Vec<u32> {
        let records = self.log.records(&self.topics.events, HERE).into_iter();
        let bodies = records.filter_map(|record| Some(EventRecord::decode(&self.codec, &record.value?).ok()?.body));
        bodies
            .filter_map(|body| match body {
                EventBody::Activation { revision, .. } => Some(revision),
                EventBody::Customer(_) => None,
            })
            .collect()
    }

    /// The stored facts and the stored state of a customer.
    pub(crate) async fn stored(&self, customer: &CustomerKey) -> (Option<Facts>, Option<Bytes>) {
        let loaded = self.store.inner.load(HERE, &[format!("c:{customer}")]).await.unwrap();
        (loaded.facts, loaded.values.into_iter().next().flatten())
    }
}
