//! The log as one process sees it: appended records travel, land in the order of their partition, and are acknowledged later.
//!
//! What a process has produced outlives it, as what a Kafka client has sent does: after a death each partition's records still land up to a
//! drawn place, and what comes behind it is lost. Nothing is lost in the middle (rule P3).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use cartwheel_runtime::log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader, Record};
use cartwheel_wire::{DeliveryRecord, DeliveryVerdict};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, try_join_all},
};

use crate::{
    Twist,
    executor::{ProcessId, WORLD, lock},
    fault::Fault,
    world::World,
};

/// Who uses a log, as far as a [`Twist`] must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Evaluator,
    /// With its token in the journal.
    Dispatcher {
        claimant: u128,
    },
    Other,
}

/// The producers of all processes.
pub(crate) struct Network {
    world: Arc<World>,
    lines: Mutex<BTreeMap<Line, VecDeque<Parcel>>>,
    dead: Mutex<Vec<ProcessId>>,
}

/// One producer's records for one partition.
type Line = (ProcessId, Arc<str>, Partition);

struct Parcel {
    record: Outgoing,
    acknowledge: oneshot::Sender<Result<Offset, LogError>>,
}

impl Network {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, lines: Mutex::default(), dead: Mutex::default() })
    }

    /// The log for one process.
    pub(crate) fn log(self: &Arc<Self>, process: ProcessId, user: User) -> Arc<dyn Log> {
        Arc::new(WireLog { network: self.clone(), process, user })
    }

    /// A process has died: what it has sent lands up to a drawn place.
    pub(crate) fn cut(&self, process: ProcessId) {
        lock(&self.dead).push(process);
        let mut lines = lock(&self.lines);
        for (_, parcels) in lines.iter_mut().filter(|((owner, ..), _)| *owner == process) {
            let mut chance = self.world.chance();
            let kept = if chance.in_thousand(300) { parcels.len() } else { chance.between(0, parcels.len()) };
            drop(chance);
            if kept < parcels.len() {
                parcels.truncate(kept);
                self.world.witness().saw(Fault::RecordLost);
            }
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.lines).is_empty()
    }

    fn send(self: &Arc<Self>, process: ProcessId, record: Outgoing) -> oneshot::Receiver<Result<Offset, LogError>> {
        let (acknowledge, acknowledged) = oneshot::channel();
        let line = (process, record.topic.clone(), record.partition);
        let mut lines = lock(&self.lines);
        let is_new = !lines.contains_key(&line);
        lines.entry(line.clone()).or_default().push_back(Parcel { record, acknowledge });
        if is_new {
            self.world.spawner.spawn(WORLD, self.clone().carry(line));
        }
        acknowledged
    }

    /// Carries what stands on a line, one record after the other, until it is empty.
    async fn carry(self: Arc<Self>, line: Line) {
        loop {
            // What is confirmed too early takes its time, so that there is time to die in.
            let times = if self.world.twist == Some(Twist::CommitBeforeProduce) { 200 } else { 10 };
            let slow = !self.world.is_calm() && self.world.chance().in_thousand(times);
            let way = if slow { self.world.chance().seconds(1, 20) } else { self.world.chance().millis(1, 10) };
            self.world.sleep(way).await;
            let parcel = {
                let mut lines = lock(&self.lines);
                let Some(parcel) = lines.get_mut(&line).and_then(VecDeque::pop_front) else {
                    lines.remove(&line);
                    return;
                };
                parcel
            };
            self.land(line.0, parcel);
        }
    }

    fn land(&self, process: ProcessId, Parcel { record, acknowledge }: Parcel) {
        let world = &self.world;
        let (topic, partition) = (record.topic.clone(), record.partition);
        // Appending to memory never waits.
        let Some(landed) = world.log.append(vec![record]).now_or_never() else { return };
        let landed = landed.map(|offsets| offsets.first().copied().unwrap_or_default());
        if let Ok(offset) = landed {
            world.witness().landed(&topic, partition, offset);
        }
        if lock(&self.dead).contains(&process) {
            world.witness().saw(Fault::OrphanLanded);
            return;
        }
        let late = world.goes_wrong(Fault::LateAcknowledgement, 12);
        let way = if late { world.chance().seconds(2, 40) } else { world.chance().millis(1, 5) };
        let clock = world.time.clock();
        world.spawner.spawn(WORLD, async move {
            clock.sleep(way).await;
            // Nobody may be there any more to hear it.
            let _ = acknowledge.send(landed);
        });
    }
}

/// The log as one process sees it.
struct WireLog {
    network: Arc<Network>,
    process: ProcessId,
    user: User,
}

impl Log for WireLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        Box::pin(async move {
            let world = &self.network.world;
            world.travel().await;
            let sent: Vec<_> = records.into_iter().map(|record| self.network.send(self.process, record)).collect();
            if world.twist == Some(Twist::CommitBeforeProduce) && self.user == User::Evaluator {
                return Ok(vec![0; sent.len()]);
            }
            let gone = |_| LogError::Unavailable("the network is gone".to_owned());
            let acknowledged = try_join_all(sent.into_iter().map(|sent| sent.map(move |answer| answer.map_err(gone)?))).await?;
            world.travel().await;
            Ok(acknowledged)
        })
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let world = &self.network.world;
            world.travel().await;
            let reader = world.log.open(&topic, partition, from).await?;
            let forgets = world.twist == Some(Twist::ActWithoutBeingFirst) && topic == world.topics.deliveries;
            let only = match self.user {
                User::Dispatcher { claimant } if forgets => Some(claimant),
                _ => None,
            };
            Ok(Box::new(WireReader { world: world.clone(), reader, only }) as Box<dyn Reader>)
        })
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            self.network.world.travel().await;
            let bounds = self.network.world.log.bounds(&topic, partition).await;
            self.network.world.travel().await;
            bounds
        })
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            self.network.world.travel().await;
            let ends = self.network.world.log.ends(&topic).await;
            self.network.world.travel().await;
            ends
        })
    }
}

struct WireReader {
    world: Arc<World>,
    reader: Box<dyn Reader>,
    /// The journal shows the words of this claimant alone.
    only: Option<u128>,
}

impl Reader for WireReader {
    fn read(&mut self, max: usize, patience: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        Box::pin(async move {
            let batch = {
                let mut chance = self.world.chance();
                chance.between(1, 6).min(max)
            };
            let mut records = self.reader.read(batch, patience).await?;
            if let Some(only) = self.only {
                records.retain(|record| self.is_word_of(record, only));
            }
            Ok(records)
        })
    }

    fn position(&self) -> Offset {
        self.reader.position()
    }
}

impl WireReader {
    fn is_word_of(&self, record: &Record, claimant: u128) -> bool {
        let word = record.value.as_ref().and_then(|value| DeliveryRecord::decode(&self.world.codec, value).ok());
        word.is_none_or(|word| word.claimant == claimant || word.verdict != DeliveryVerdict::Attempt)
    }
}
