//! One partition's evaluator: read, decide, produce, await, write (rule P5). Spawns nothing and sees the outside only through its seams.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::{
    campaigns::Campaigns,
    customer::Customer,
    decision::{Cause, Decision, Reason, Verdict},
    effect::{Effect, FlightEntry},
    id::MessageId,
    input::{Input, Origin},
    key::CustomerKey,
    step,
};
use cartwheel_language::Channel;
use cartwheel_runtime::{
    clock::Clock,
    log::{From, Log, LogError, Outgoing, Positions, Reader, Record},
    store::{Change, Facts, Fence, PartitionStore, StoreError, Written},
};
use cartwheel_wire::{EventBody, EventRecord, views};
use jiff::Timestamp;

use crate::{
    definitions::{Definitions, nothing_applied},
    error::WorkerError,
    fold::{Marks, STAMP_AHEAD},
    metrics::Metrics,
    perform::Performer,
};

/// What a worker works with.
#[derive(Clone)]
pub struct Tools {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The store.
    pub store: Arc<dyn PartitionStore>,
    /// The clock; only judged against, never decided by.
    pub clock: Clock,
    /// Marks for who watches the lag.
    pub positions: Arc<dyn Positions>,
    /// What the shops applied.
    pub definitions: Definitions,
    /// Effects to records.
    pub performer: Performer,
    /// What is counted.
    pub metrics: Metrics,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names this installation; a store of another is refused.
    pub installation: String,
    /// The most records of a batch.
    pub batch: usize,
    /// How long a read waits for the first record.
    pub patience: Duration,
    /// The most customers kept in memory.
    pub customers_in_memory: usize,
    /// This owner's random token (rule P6).
    pub owner: u128,
}

/// A customer in memory, with what the store's views show of it.
struct Held {
    customer: Customer,
    flights: BTreeMap<MessageId, FlightEntry>,
    blocked: BTreeSet<Channel>,
}

/// Works on a partition until it is fenced or something fails; the host drops it when the partition moves.
pub struct Worker {
    partition: u32,
    tools: Tools,
    settings: Settings,
    facts: Facts,
    marks: Marks,
    reader: Box<dyn Reader>,
    campaigns: BTreeMap<String, Arc<Campaigns>>,
    held: BTreeMap<CustomerKey, Held>,
    appended: BTreeMap<String, u32>,
    poison: BTreeSet<u64>,
}

/// A batch, decided and not yet stored.
struct Batch {
    marks: Marks,
    head: u64,
    outgoing: Vec<Outgoing>,
    touched: BTreeSet<CustomerKey>,
}

/// A record, read as what it is.
enum Decoded {
    Customer(Option<Origin>, Box<Input>),
    Activation(String, u32),
    Poison(&'static str, String),
}

fn state_key(customer: &CustomerKey) -> String {
    format!("c:{customer}")
}

impl Worker {
    /// Takes the partition: an epoch above what is stored and above `seen` (rule P6), memory empty, reading from the stored head.
    ///
    /// # Errors
    /// [`WorkerError::Foreign`] where store and log do not belong together; else what log and store say.
    pub async fn take(partition: u32, seen: Option<&Fence>, tools: Tools, settings: Settings) -> Result<Self, WorkerError> {
        let stored = tools.store.load(partition, &[]).await?.facts;
        let events = tools.performer.topics().events.clone();
        let bounds = tools.log.bounds(&events, partition).await?;
        let foreign = |problem: String| WorkerError::Foreign { partition, problem };
        let partitions = tools.performer.topics().partitions;
        let (head, marks) = match &stored {
            Some(facts) => {
                if facts.installation != settings.installation {
                    let (theirs, ours) = (&facts.installation, &settings.installation);
                    return Err(foreign(format!(
                        "the store belongs to installation `{theirs}`, this is `{ours}`; point it at its own store or set another key prefix"
                    )));
                }
                if facts.partitions != partitions {
                    return Err(foreign(format!(
                        "it was written with {} partitions, now there are {partitions}; the number cannot change",
                        facts.partitions
                    )));
                }
                if facts.fence.head > bounds.end {
                    return Err(foreign(format!(
                        "its head {} is beyond the end of the log ({}): the log is another one, or was made anew; point it at the log that this store belongs to",
                        facts.fence.head, bounds.end
                    )));
                }
                (facts.fence.head, Marks::decode(&facts.note)?)
            }
            None => (0, Marks::default()),
        };
        if head < bounds.start {
            return Err(foreign(format!(
                "the store's head is {head}, but the log begins at {}: what is between them is past retention; put a younger backup of the store back",
                bounds.start
            )));
        }
        let epoch = stored.as_ref().map_or(0, |facts| facts.fence.epoch).max(seen.map_or(0, |fence| fence.epoch)) + 1;
        let fence = Fence { epoch, owner: settings.owner, head };
        let facts = Facts { fence, installation: settings.installation.clone(), partitions, note: Bytes::from(marks.encode()) };
        let expected = stored.as_ref().map(|facts| &facts.fence);
        match tools.store.write(partition, expected, &facts, &Change::default()).await? {
            Written::Done => {}
            Written::Fenced { stored } => return Err(WorkerError::Fenced { partition, stored }),
        }
        let reader = tools.log.open(&events, partition, From::Offset(head)).await?;
        let mut worker = Self {
            partition,
            tools,
            settings,
            facts,
            marks,
            reader,
            campaigns: BTreeMap::new(),
            held: BTreeMap::new(),
            appended: BTreeMap::new(),
            poison: BTreeSet::new(),
        };
        worker.load_campaigns().await?;
        tracing::info!(partition, epoch, head, "took partition");
        Ok(worker)
    }

    /// The fence that this worker holds.
    pub fn fence(&self) -> &Fence {
        &self.facts.fence
    }

    /// Works for ever.
    ///
    /// # Errors
    /// Whatever makes it leave the partition; never returns otherwise.
    pub async fn run(&mut self) -> Result<std::convert::Infallible, WorkerError> {
        loop {
            self.turn().await?;
        }
    }

    /// Appends what the log lacks, reads, and folds one batch.
    ///
    /// # Errors
    /// Whatever makes it leave the partition.
    pub async fn turn(&mut self) -> Result<(), WorkerError> {
        self.append_activations().await?;
        let records = match self.reader.read(self.settings.batch, self.settings.patience).await {
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(partition = self.partition, reason, "events are unavailable, trying again");
                return Ok(());
            }
            other => other?,
        };
        if records.is_empty() {
            return self.check_fence().await;
        }
        let (decoded, stopped) = self.decode_up_to_a_stop(&records);
        let records = &records[..decoded.len()];
        if let Some(last) = records.last() {
            let head = if stopped.is_some() { last.offset + 1 } else { self.reader.position() };
            let batch = self.fold_all(records, &decoded, head).await?;
            self.save(batch).await?;
        }
        stopped.map_or(Ok(()), Err)
    }

    /// Folds a batch in memory; a record at which the engine panics is set aside.
    async fn fold_all(&mut self, records: &[Record], decoded: &[Decoded], head: u64) -> Result<Batch, WorkerError> {
        self.load_missing(decoded).await?;
        loop {
            if let Some(batch) = self.fold(records, decoded, head).await? {
                return Ok(batch);
            }
            // Memory is half changed: customers are read again, and records before an activation meet the campaigns of before.
            self.held.clear();
            self.load_missing(decoded).await?;
            self.load_campaigns().await?;
        }
    }

    /// The campaigns in force at the head.
    async fn load_campaigns(&mut self) -> Result<(), WorkerError> {
        self.campaigns.clear();
        for (shop, revision) in &self.marks.revisions {
            let campaigns = self.tools.definitions.at(shop, *revision).await?;
            self.campaigns.insert(shop.clone(), campaigns);
        }
        Ok(())
    }

    /// Asks the store whether it still holds what this owner wrote. Where nothing happens, nothing is loaded or written that would tell,
    /// and a store that was rolled back would stay behind for as long: the dispatcher's gate would hold every message (rule P6).
    async fn check_fence(&self) -> Result<(), WorkerError> {
        match self.tools.store.load(self.partition, &[]).await {
            Ok(loaded) if loaded.facts.as_ref().map(|facts| &facts.fence) == Some(&self.facts.fence) => Ok(()),
            Ok(loaded) => Err(WorkerError::Fenced { partition: self.partition, stored: loaded.facts }),
            // The next turn asks again.
            Err(StoreError::Unavailable(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Every partition's owner appends the revisions that its log lacks (rule P25).
    async fn append_activations(&mut self) -> Result<(), WorkerError> {
        let newest = self.tools.definitions.newest(self.tools.clock.now());
        let mut outgoing = Vec::new();
        for (shop, revision) in newest {
            let known = self.marks.revisions.get(&shop).max(self.appended.get(&shop)).copied().unwrap_or(0);
            if known < revision {
                outgoing.push(self.tools.performer.activation(self.partition, &shop, revision));
                self.appended.insert(shop, revision);
            }
        }
        self.produce(outgoing).await
    }

    /// The records up to the first that must not be passed: what stands before it is folded all the same.
    fn decode_up_to_a_stop(&self, records: &[Record]) -> (Vec<Decoded>, Option<WorkerError>) {
        let mut decoded = Vec::with_capacity(records.len());
        for record in records {
            match self.judge_stamp(record).and_then(|()| self.decode(record)) {
                Ok(known) => decoded.push(known),
                Err(stop) => return (decoded, Some(stop)),
            }
        }
        (decoded, None)
    }

    /// A stamp far ahead would poison `now` for good: the partition stops instead (rule P12).
    fn judge_stamp(&self, record: &Record) -> Result<(), WorkerError> {
        let now = self.tools.clock.now();
        if record.timestamp <= now.saturating_add(STAMP_AHEAD).unwrap_or(Timestamp::MAX) {
            return Ok(());
        }
        let ahead_s = record.timestamp.duration_since(now).as_secs();
        Err(WorkerError::StampAhead { partition: self.partition, offset: record.offset, ahead_s })
    }

    fn decode(&self, record: &Record) -> Result<Decoded, WorkerError> {
        let Some(value) = &record.value else { return Ok(Decoded::Poison("no-value", "an event has a value".to_owned())) };
        Ok(match EventRecord::decode(self.tools.performer.codec(), value) {
            Ok(event) => match event.body {
                EventBody::Customer(input) if self.tools.performer.topics().partition_of(&input.key) == self.partition => {
                    Decoded::Customer(event.origin, Box::new(input))
                }
                EventBody::Customer(_) => Decoded::Poison("wrong-partition", "its customer's home is another partition".to_owned()),
                EventBody::Activation { shop, revision } => Decoded::Activation(shop, revision),
            },
            Err(error) if error.is_poison() => Decoded::Poison("unreadable", error.to_string()),
            // A newer writer's schema: what it says must not be lost, so the partition waits for a reader that knows it.
            Err(error) => return Err(WorkerError::Newer { partition: self.partition, offset: record.offset, problem: error.to_string() }),
        })
    }

    /// Reads the customers that are not in memory, together with the facts, and goes on only if both are mine (rule P5).
    async fn load_missing(&mut self, decoded: &[Decoded]) -> Result<(), WorkerError> {
        if self.held.len() > self.settings.customers_in_memory {
            self.held.clear();
        }
        let keys: BTreeSet<&CustomerKey> = decoded
            .iter()
            .filter_map(|record| match record {
                Decoded::Customer(_, input) => Some(&input.key),
                _ => None,
            })
            .filter(|key| !self.held.contains_key(key))
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = keys.iter().map(|key| state_key(key)).collect();
        let loaded = self.patiently(|| self.tools.store.load(self.partition, &names)).await?;
        if loaded.facts.as_ref().map(|facts| &facts.fence) != Some(&self.facts.fence) {
            return Err(WorkerError::Fenced { partition: self.partition, stored: loaded.facts });
        }
        let keys: Vec<CustomerKey> = keys.into_iter().cloned().collect();
        for (key, value) in keys.into_iter().zip(loaded.values) {
            let customer = match value {
                Some(bytes) => Customer::decode(&bytes)
                    .map_err(|error| WorkerError::State { partition: self.partition, problem: error.to_string() })?,
                None => Customer::default(),
            };
            let held = Held { flights: customer.flight_entries(&key), blocked: customer.blocked.keys().copied().collect(), customer };
            self.held.insert(key, held);
        }
        Ok(())
    }

    /// Repeats a question to a store that does not answer.
    async fn patiently<'s, T>(&'s self, ask: impl Fn() -> futures::future::BoxFuture<'s, Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match ask().await {
                Err(StoreError::Unavailable(reason)) => {
                    tracing::warn!(partition = self.partition, reason, "store is unavailable, trying again");
                    self.tools.clock.sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                other => return other,
            }
        }
    }

    /// Folds a batch in memory. None if the engine panicked at a record.
    async fn fold(&mut self, records: &[Record], decoded: &[Decoded], head: u64) -> Result<Option<Batch>, WorkerError> {
        let mut batch = Batch { marks: self.marks.clone(), head, outgoing: Vec::new(), touched: BTreeSet::new() };
        for (record, decoded) in records.iter().zip(decoded) {
            let set_aside = self.poison.contains(&record.offset);
            match decoded {
                Decoded::Activation(shop, revision) => {
                    batch.marks.advance(record.timestamp, None);
                    if batch.marks.activate(shop, *revision) {
                        let campaigns = self.tools.definitions.at(shop, *revision).await?;
                        self.campaigns.insert(shop.clone(), campaigns);
                    }
                }
                Decoded::Poison(code, message) => {
                    let now = batch.marks.advance(record.timestamp, None);
                    self.set_aside(record, code, message.clone(), now, &mut batch);
                }
                Decoded::Customer(origin, input) => {
                    let now = batch.marks.advance(record.timestamp, Some(input));
                    if origin.is_some_and(|origin| !batch.marks.admit(origin)) {
                        continue;
                    }
                    let Some(campaigns) = self.campaigns_of(input.key.shop()) else {
                        self.set_aside(record, "no-shop", "no shop can have its key's first part as its id".to_owned(), now, &mut batch);
                        continue;
                    };
                    if set_aside {
                        self.quarantine(record, input, now, &mut batch);
                    } else if !self.decide(record, input, &campaigns, now, &mut batch) {
                        self.poison.insert(record.offset);
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(batch))
    }

    /// A shop's campaigns in force; none if no shop can have this id.
    fn campaigns_of(&mut self, shop: &str) -> Option<Arc<Campaigns>> {
        if let Some(campaigns) = self.campaigns.get(shop) {
            return Some(campaigns.clone());
        }
        let nothing = Arc::new(nothing_applied(shop)?);
        self.campaigns.insert(shop.to_owned(), nothing.clone());
        Some(nothing)
    }

    /// A record that cannot be folded goes to the dead letters; its partition goes on.
    fn set_aside(&self, record: &Record, reason: &'static str, message: String, now: Timestamp, batch: &mut Batch) {
        self.tools.metrics.set_aside(reason);
        tracing::error!(partition = self.partition, offset = record.offset, reason, "event cannot be folded, set aside");
        batch.outgoing.push(self.tools.performer.dead_letter(record, reason, message, now));
    }

    /// Lets the engine decide one record. False if it panicked.
    fn decide(&mut self, record: &Record, input: &Input, campaigns: &Campaigns, now: Timestamp, batch: &mut Batch) -> bool {
        let Some(held) = self.held.get_mut(&input.key).filter(|held| held.customer.folded <= record.offset) else { return true };
        let mut effects = Vec::new();
        let stepped = catch_unwind(AssertUnwindSafe(|| step(campaigns, &mut held.customer, now, input, &mut effects)));
        if stepped.is_err() {
            return false;
        }
        held.customer.folded = record.offset + 1;
        batch.touched.insert(input.key.clone());
        self.tools.metrics.folded(now, input.received);
        let cause = Cause::of(input, now);
        for effect in effects {
            if let Effect::Record(decision) = &effect {
                self.tools.metrics.decided(decision);
            }
            batch.outgoing.push(self.tools.performer.record(self.partition, record.offset, &input.key, &cause, effect));
        }
        true
    }

    /// A record on which the engine panics goes to the dead letters, loudly; its partition goes on.
    fn quarantine(&mut self, record: &Record, input: &Input, now: Timestamp, batch: &mut Batch) {
        self.set_aside(record, "panic", "the engine failed on it; please report it".to_owned(), now, batch);
        let decision = Decision {
            id: format!("poison-{}-{}", self.partition, record.offset),
            customer: input.key.clone(),
            at: now,
            campaign: None,
            version: None,
            journey: None,
            object: None,
            message: None,
            verdict: Verdict::Ignored,
            reason: Reason::Poison,
            detail: Some("the engine failed on it; it is in the dead letters".to_owned()),
            cause: Cause::of(input, now),
            values: BTreeMap::new(),
        };
        batch.outgoing.push(self.tools.performer.decision(self.partition, decision));
    }

    /// Produces all effects, awaits their acknowledgement, and only then writes states and head at once (rule P5).
    async fn save(&mut self, batch: Batch) -> Result<(), WorkerError> {
        self.produce(batch.outgoing).await?;
        let mut change = Change::default();
        for key in &batch.touched {
            let Some(held) = self.held.get_mut(key) else { continue };
            change.values.push((state_key(key), Some(Bytes::from(held.customer.encode()))));
            let flights = held.customer.flight_entries(key);
            for (message, entry) in &flights {
                if held.flights.get(message) != Some(entry) {
                    change.views.push((views::FLIGHT, message.to_string(), Some(views::encode_flight(entry)?)));
                }
            }
            for message in held.flights.keys().filter(|message| !flights.contains_key(*message)) {
                change.views.push((views::FLIGHT, message.to_string(), None));
            }
            let blocked: BTreeSet<Channel> = held.customer.blocked.keys().copied().collect();
            for channel in blocked.union(&held.blocked) {
                let block = held.customer.blocked.get(channel).map(|block| views::Blocked { by: block.by, at: block.at });
                let value = block.map(|block| views::encode_blocked(&block)).transpose()?;
                change.views.push((views::BLOCKED, views::blocked_entry(*channel, key), value));
            }
            held.flights = flights;
            held.blocked = blocked;
        }
        let fence = Fence { head: batch.head, ..self.facts.fence.clone() };
        let facts = Facts { fence, note: Bytes::from(batch.marks.encode()), ..self.facts.clone() };
        let (store, partition) = (&self.tools.store, self.partition);
        match store.write(partition, Some(&self.facts.fence), &facts, &change).await {
            Ok(Written::Done) => {}
            Ok(Written::Fenced { stored }) => return Err(WorkerError::Fenced { partition, stored }),
            // Written or not, nobody knows: the partition is taken anew, which reads what stands there.
            Err(StoreError::Unavailable(reason)) => {
                tracing::warn!(partition, reason, "store did not answer a write, taking the partition anew");
                return Err(WorkerError::Fenced { partition, stored: None });
            }
            Err(error) => return Err(error.into()),
        }
        self.facts = facts;
        self.marks = batch.marks;
        self.poison.clear();
        self.tools.positions.mark(&self.tools.performer.topics().events, partition, batch.head);
        Ok(())
    }

    async fn produce(&self, outgoing: Vec<Outgoing>) -> Result<(), WorkerError> {
        if outgoing.is_empty() {
            return Ok(());
        }
        loop {
            match self.tools.log.append(outgoing.clone()).await {
                Ok(_) => return Ok(()),
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(partition = self.partition, reason, "log is unavailable, trying again");
                    self.tools.clock.sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
