//! A stage on which real workers run: everything they see is in memory, and time stands still unless the stage moves it.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_dispatcher::{
    app::{Handles, Parts},
    config::{Config, DispatcherConfig},
    providers::{Answer, Bounds, Provider, Providers},
    worker::PartitionWorker,
};
use cartwheel_engine::{
    decision::Cause,
    effect::{FlightEntry, Message, Wanted},
    id::{JourneyId, MessageId},
    input::{Fact, OptOutBy, Origin, Outcome, OutcomeResult},
    key::{CustomerKey, NameKind},
};
use cartwheel_language::{Channel, Class, Delivery};
use cartwheel_runtime::{
    admin::Readiness,
    clock::{Clock, TimeSource},
    config::load,
    installation::InstallationConfig,
    log::{Log, Outgoing, Partition},
    memory::MemoryStore,
    memory_log::{MemoryLog, MemoryPositions},
    store::{Change, Facts, Fence, PartitionStore},
};
use cartwheel_wire::{
    Codec, ControlRecord, ControlScope, DeliveryRecord, EventBody, EventRecord, SendRecord, Topics,
    views::{BLOCKED, Blocked, FLIGHT, blocked_entry, encode_blocked, encode_flight},
};
use futures::{
    FutureExt,
    executor::LocalPool,
    future::{AbortHandle, BoxFuture, abortable},
    task::LocalSpawnExt,
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

/// The partition that the stage's workers own.
pub(crate) const OWN: Partition = 0;

/// A clock that moves only by hand.
#[derive(Clone, Default)]
pub(crate) struct ManualClock(Arc<Mutex<Hands>>);

struct Hands {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    count: u64,
}

impl Default for Hands {
    fn default() -> Self {
        Self { now: "2026-03-02T10:00:00Z".parse().unwrap(), sleepers: BTreeMap::new(), count: 0 }
    }
}

impl ManualClock {
    pub(crate) fn set(&self, now: Timestamp) {
        let mut hands = self.0.lock().unwrap();
        hands.now = now;
        let due: Vec<_> = hands.sleepers.range(..=(now, u64::MAX)).map(|(key, _)| *key).collect();
        let wakers: Vec<_> = due.iter().filter_map(|key| hands.sleepers.remove(key)).collect();
        drop(hands);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn next_sleeper(&self) -> Option<Timestamp> {
        self.0.lock().unwrap().sleepers.keys().next().map(|(until, _)| *until)
    }
}

impl TimeSource for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let mut hands = self.0.lock().unwrap();
        hands.count += 1;
        Box::pin(Sleep { clock: self.clone(), key: (until, hands.count) })
    }
}

struct Sleep {
    clock: ManualClock,
    key: (Timestamp, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = self.clock.0.lock().unwrap();
        if hands.now >= self.key.0 {
            return Poll::Ready(());
        }
        hands.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.0.lock().unwrap().sleepers.remove(&self.key);
    }
}

/// A provider that answers as told, and remembers who it was given.
#[derive(Clone, Default)]
pub(crate) struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: VecDeque<Option<Answer>>,
    given: Vec<(MessageId, Timestamp)>,
    clock: Option<ManualClock>,
}

impl Scripted {
    /// Answers the next calls in this order, then takes everything; none never answers.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Option<Answer>>) -> Self {
        let scripted = Self::default();
        scripted.0.lock().unwrap().answers.extend(answers);
        scripted
    }

    /// Who was handed over, in order.
    pub(crate) fn given(&self) -> Vec<MessageId> {
        self.0.lock().unwrap().given.iter().map(|(id, _)| id.clone()).collect()
    }

    /// When messages were handed over, in order.
    pub(crate) fn moments(&self) -> Vec<Timestamp> {
        self.0.lock().unwrap().given.iter().map(|(_, at)| *at).collect()
    }
}

impl Provider for Scripted {
    fn hand_over<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Answer> {
        let mut script = self.0.lock().unwrap();
        let now = script.clock.as_ref().map_or(Timestamp::UNIX_EPOCH, TimeSource::now);
        script.given.push((message.id.clone(), now));
        match script.answers.pop_front() {
            Some(None) => std::future::pending().boxed(),
            Some(Some(answer)) => std::future::ready(answer).boxed(),
            None => std::future::ready(Answer::Taken { id: Some("p".into()) }).boxed(),
        }
    }
}

/// A running dispatcher.
pub(crate) struct Dispatcher {
    abort: Vec<AbortHandle>,
    stop: CancellationToken,
}

impl Dispatcher {
    /// It dies where it stands.
    pub(crate) fn crash(self) {
        self.abort.iter().for_each(AbortHandle::abort);
    }

    /// It is told to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

pub(crate) struct Stage {
    pub(crate) clock: ManualClock,
    pub(crate) log: MemoryLog,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) positions: MemoryPositions,
    pub(crate) topics: Topics,
    pub(crate) codec: Codec,
    pub(crate) config: DispatcherConfig,
    /// Whether the evaluator keeps up with the events log.
    pub(crate) folding: bool,
    pub(crate) errors: Arc<Mutex<Vec<String>>>,
    installation: InstallationConfig,
    pool: LocalPool,
    claimants: AtomicU64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let config: Config = load(None, [("CARTWHEEL_INSTALLATION__PARTITIONS".to_owned(), "4".to_owned())]).unwrap();
        let clock = ManualClock::default();
        let log = MemoryLog::new(Clock::new(clock.clone()));
        let topics = Topics::new("cartwheel", 1, 4);
        for topic in [&topics.events, &topics.sends_transactional, &topics.sends_promotional, &topics.deliveries] {
            log.create_topic(topic, 4);
        }
        log.create_topic(&topics.controls, 1);
        log.create_topic(&topics.dead_letters, 1);
        let stage = Self {
            clock,
            log,
            store: Arc::new(MemoryStore::new()),
            positions: MemoryPositions::default(),
            topics,
            codec: Codec::single_object(),
            config: config.dispatcher,
            folding: true,
            errors: Arc::default(),
            installation: config.installation,
            pool: LocalPool::new(),
            claimants: AtomicU64::new(1),
        };
        stage.fold();
        stage
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The provider `main` alone.
    pub(crate) fn dispatcher(&mut self, provider: &Scripted) -> Dispatcher {
        let providers = self.providers([("main", provider)]);
        let log = self.log.clone();
        self.start(providers, Arc::new(log))
    }

    pub(crate) fn providers<'a>(&self, providers: impl IntoIterator<Item = (&'a str, &'a Scripted)>) -> Providers {
        let bounds =
            Bounds { rate: 1_000.0, concurrency: 8, shop_concurrency: 4, retries: self.config.retries, breaker: self.config.breaker };
        providers.into_iter().fold(Providers::new(), |all, (name, provider)| {
            provider.0.lock().unwrap().clock = Some(self.clock.clone());
            all.with(name, Arc::new(provider.clone()), bounds)
        })
    }

    /// Starts a dispatcher that sees `log`.
    pub(crate) fn start(&mut self, providers: Providers, log: Arc<dyn Log>) -> Dispatcher {
        let handles = Handles {
            log,
            store: self.store.clone(),
            clock: Clock::new(self.clock.clone()),
            positions: Arc::new(self.positions.clone()),
            ownership: (),
            codec: self.codec.clone(),
            providers,
            registry: prometheus::Registry::new(),
            readiness: Readiness::new(),
        };
        let Parts { shared, sampler, controls } = Parts::new(&self.config, &self.installation, &handles).unwrap();
        let stop = CancellationToken::new();
        let claimant = u128::from(self.claimants.fetch_add(1, Ordering::Relaxed));
        let worker = PartitionWorker::new(shared, OWN, claimant, handles.positions, self.config.worker(), stop.clone());
        let errors = self.errors.clone();
        let worker = worker.run().map(move |ended| {
            if let Err(error) = ended {
                errors.lock().unwrap().push(error.to_string());
            }
        });
        let ended = CancellationToken::new();
        let abort = vec![
            self.spawn(worker.boxed_local()),
            self.spawn(sampler.run(ended.clone()).boxed_local()),
            self.spawn(controls.run(ended).boxed_local()),
        ];
        Dispatcher { abort, stop }
    }

    fn spawn(&self, task: futures::future::LocalBoxFuture<'static, ()>) -> AbortHandle {
        let (task, abort) = abortable(task);
        self.pool.spawner().spawn_local(task.map(|_| ())).unwrap();
        abort
    }

    /// Lets everybody work until `done` or until `within` has passed on the clock; tells whether it was done.
    pub(crate) fn until(&mut self, within: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = self.now() + SignedDuration::try_from(within).unwrap();
        loop {
            self.pool.run_until_stalled();
            if self.folding {
                self.fold();
            }
            if done(self) {
                return true;
            }
            match self.clock.next_sleeper() {
                Some(next) if next <= deadline => self.clock.set(next.max(self.now())),
                _ => {
                    self.clock.set(deadline);
                    self.pool.run_until_stalled();
                    return done(self);
                }
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    /// The evaluator folds all that stands on the events log.
    pub(crate) fn fold(&self) {
        for partition in 0..self.topics.partitions {
            let head = self.log.records(&self.topics.events, partition).len() as u64;
            self.write(partition, head, Vec::new());
        }
    }

    /// The evaluator writes the state of a partition as of `head`.
    pub(crate) fn write(&self, partition: Partition, head: u64, views: Vec<(&'static str, String, Option<Bytes>)>) {
        let loaded = self.store.load(partition, &[]).now_or_never().unwrap().unwrap();
        let facts = Facts {
            fence: Fence { epoch: 1, owner: 7, head },
            installation: self.installation.name.clone(),
            partitions: self.topics.partitions,
            note: Bytes::new(),
        };
        let expected = loaded.facts.map(|facts| facts.fence);
        let change = Change { values: Vec::new(), views };
        self.store.write(partition, expected.as_ref(), &facts, &change).now_or_never().unwrap().unwrap();
    }

    pub(crate) fn head(&self, partition: Partition) -> u64 {
        self.store.load(partition, &[]).now_or_never().unwrap().unwrap().facts.map_or(0, |facts| facts.fence.head)
    }

    /// A shop's customer whose home lies in `partition`.
    pub(crate) fn key(&self, shop: &str, kind: NameKind, partition: Partition, number: u32) -> CustomerKey {
        let keys = (0..).map(|name| CustomerKey::new(shop, kind, &name.to_string()).unwrap());
        keys.filter(|key| self.topics.partition_of(key) == partition).nth(number as usize).unwrap()
    }

    /// A message of `acme` through `main`; `number` tells it from others.
    pub(crate) fn message(&self, class: Class, number: u32) -> Message {
        let customer = self.key("acme", NameKind::User, OWN, number);
        let journey = JourneyId::new("cart", None, None, &number.to_string(), &customer);
        Message {
            id: MessageId::new(&journey, 0, 1),
            journey,
            address_home: self.key("acme", NameKind::Phone, OWN, number),
            customer,
            campaign: "cart".into(),
            version: 1,
            step: 0,
            round: 1,
            class,
            delivery: if class == Class::Transactional { Delivery::AtLeastOnce } else { Delivery::AtMostOnce },
            channel: Channel::Sms,
            provider: "main".into(),
            from: None,
            address: "+447700900123".into(),
            text: "Your cart is as you left it".into(),
            parts: 1,
            decided: self.now(),
            not_after: self.now() + SignedDuration::from_hours(6),
        }
    }

    /// The evaluator decides a message: notes it in flight, then puts it on its lane.
    pub(crate) fn send(&self, message: &Message) {
        self.note(message, Wanted::Yes, message.not_after);
        self.put(message, 0);
    }

    /// Changes what the gate says of a message.
    pub(crate) fn note(&self, message: &Message, wanted: Wanted, until: Timestamp) {
        let entry = encode_flight(&FlightEntry { customer: message.customer.clone(), wanted, until }).unwrap();
        self.write(OWN, self.head(OWN), vec![(FLIGHT, message.id.to_string(), Some(entry))]);
    }

    /// Puts a message on its lane, caused by the event at `cause`.
    pub(crate) fn put(&self, message: &Message, cause: u64) {
        let send = SendRecord {
            message: message.clone(),
            origin: Origin { partition: OWN, offset: cause, slot: 0 },
            cause: Cause { event: "e".into(), name: "Product Added".into(), occurred: self.now(), received: self.now() },
        };
        if self.log.records(&self.topics.events, OWN).is_empty() {
            self.event(OWN);
        }
        let topic = self.topics.sends(message.class).clone();
        self.append(topic, OWN, send.key().to_owned(), Some(send.encode(&self.codec)));
    }

    /// Something happens to somebody in this partition.
    pub(crate) fn event(&self, partition: Partition) {
        self.append(self.topics.events.clone(), partition, "k".into(), Some(b"another's record".to_vec()));
    }

    pub(crate) fn block(&self, message: &Message) {
        let blocked = encode_blocked(&Blocked { by: OptOutBy::Keyword, at: self.now() }).unwrap();
        let home = self.topics.partition_of(&message.address_home);
        self.write(home, self.head(home), vec![(BLOCKED, blocked_entry(message.channel, &message.address_home), Some(blocked))]);
    }

    pub(crate) fn control(&self, scope: ControlScope, stopped: bool, rate: Option<f64>) {
        let order = ControlRecord { scope, stopped, rate, by: "tester".into(), reason: "test".into(), at: self.now() };
        self.append(self.topics.controls.clone(), 0, order.key(), Some(order.encode(&self.codec)));
    }

    pub(crate) fn append(&self, topic: Arc<str>, partition: Partition, key: String, value: Option<Vec<u8>>) {
        let record = Outgoing { topic, partition, key: Some(key.into()), value: value.map(Bytes::from), headers: Vec::new() };
        self.log.append(vec![record]).now_or_never().unwrap().unwrap();
    }

    /// All facts that dispatchers put on the events log.
    pub(crate) fn facts(&self) -> Vec<(CustomerKey, String, Fact)> {
        let records = (0..self.topics.partitions).flat_map(|partition| self.log.records(&self.topics.events, partition));
        let decoded = records.filter_map(|record| EventRecord::decode(&self.codec, &record.value?).ok());
        decoded
            .filter_map(|record| match record.body {
                EventBody::Customer(input) => Some((input.key, input.id, input.fact)),
                EventBody::Activation { .. } => None,
            })
            .collect()
    }

    /// What became of a message, as the evaluator folds it: each word once, in order.
    pub(crate) fn outcomes(&self, message: &Message) -> Vec<OutcomeResult> {
        let mut seen = std::collections::BTreeSet::new();
        let facts = self.facts().into_iter().filter(|(_, id, _)| seen.insert(id.clone()));
        facts
            .filter_map(|(_, _, fact)| match fact {
                Fact::Outcome(Outcome { message: id, result, .. }) if id == message.id => Some(result),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn ended(&self, message: &Message) -> bool {
        !self.outcomes(message).is_empty()
    }

    pub(crate) fn journal(&self) -> Vec<DeliveryRecord> {
        let records = self.log.records(&self.topics.deliveries, OWN);
        records.into_iter().map(|record| DeliveryRecord::decode(&self.codec, &record.value.unwrap()).unwrap()).collect()
    }
}
