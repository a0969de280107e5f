//! The worker of one partition: reads the journal and the two lanes, and carries the messages through.
//!
//! It spawns nothing and waits only through the log's readers and the clock, so that the simulation can host it on one thread. All
//! messages of a partition are worked on at the same time, each in its own future; what they share is the `Desk`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cartwheel_engine::id::MessageId;
use cartwheel_runtime::log::{From, LogError, Outgoing, Partition, Positions, Reader, Record};
use cartwheel_wire::{DeadLetter, DeadLetterSource, SendRecord};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Intent, Left, deliver},
    desk::{Desk, Shared},
    error::Error,
    lane::Lane,
    moment::before,
    queues::{Admission, Item, QueueConfig, QueueKey, Queues},
    tracker::Tracker,
};

/// How a worker reads and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// The bounds of its queues.
    pub queues: QueueConfig,
    /// How far back the journal is read: longer than any message lives (rule P15).
    pub reach_back: Duration,
}

/// How many records are read at once.
const BATCH: usize = 256;

/// How long a reader waits for a record before it is asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause behind a log that did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Messages that are turned away at the same time; above it the lanes wait, for as long as the log takes to note so many.
const TURNED_AWAY_LIMIT: usize = 256;

/// The worker of one partition.
pub struct PartitionWorker {
    desk: Arc<Desk>,
    positions: Arc<dyn Positions>,
    config: WorkerConfig,
    queues: Queues,
    turned_away: usize,
}

/// A read that is on its way; it gives its reader back, so that it is never broken off.
type Reading = BoxFuture<'static, (Box<dyn Reader>, Result<Vec<Record>, LogError>)>;

/// What came of one piece of work.
enum Work {
    /// A message went through.
    Message { message: MessageId, queue: Option<QueueKey>, left: Result<Left, Error> },
    /// A record that is no send is a dead letter.
    Poison { lane: Lane, offset: u64, kept: Result<(), Error> },
}

struct LaneState {
    lane: Lane,
    tracker: Tracker,
    reading: Reading,
}

impl PartitionWorker {
    /// A worker. `claimant` is a random token that no other worker has; cancelling `stop` makes it finish what it has claimed and end.
    pub fn new(
        shared: Shared,
        partition: Partition,
        claimant: u128,
        positions: Arc<dyn Positions>,
        config: WorkerConfig,
        stop: CancellationToken,
    ) -> Self {
        let desk = Arc::new(Desk::new(shared, partition, claimant, stop));
        Self { desk, positions, queues: Queues::new(config.queues), config, turned_away: 0 }
    }

    /// Works until `stop`.
    ///
    /// # Errors
    /// What the process cannot go on with.
    pub async fn run(mut self) -> Result<(), Error> {
        let Some(journal) = self.read_journal().await? else { return Ok(()) };
        let mut journal = read(journal);
        let Some(mut urgent) = self.open_lane(Lane::Transactional).await? else { return Ok(()) };
        let Some(mut offers) = self.open_lane(Lane::Promotional).await? else { return Ok(()) };
        let mut at_work = FuturesUnordered::new();
        let gauges = self.desk.shared.metrics.of_partition(self.desk.partition);
        let mut stopping = false;
        let stop = self.desk.stop.clone();
        loop {
            if !stopping {
                for item in self.queues.start() {
                    let queue = item.queue();
                    at_work.push(self.work(item, Some(queue), Intent::HandOver));
                }
            } else if at_work.is_empty() {
                return Ok(());
            }
            let reads = !stopping && self.turned_away < TURNED_AWAY_LIMIT;
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => stopping = true,
                (reader, records) = &mut journal => {
                    journal = self.take_journal(reader, records).await?;
                }
                Some(done) = at_work.next() => self.finish(done, [&mut urgent, &mut offers])?,
                (reader, records) = &mut urgent.reading, if reads => {
                    at_work.extend(self.take(&mut urgent, reader, records)?);
                }
                (reader, records) = &mut offers.reading, if reads => {
                    at_work.extend(self.take(&mut offers, reader, records)?);
                }
            }
            gauges.show(at_work.len(), Lane::ALL.map(|lane| self.queues.waiting(lane)));
        }
    }

    /// Reads the journal as far back as it matters, to its end. None: the worker stops.
    async fn read_journal(&self) -> Result<Option<Box<dyn Reader>>, Error> {
        let shared = &self.desk.shared;
        let topic = &shared.topics.deliveries;
        let partition = self.desk.partition;
        let reach = before(self.desk.now(), self.config.reach_back);
        let end = self.patiently(|| shared.log.bounds(topic, partition)).await?.map(|bounds| bounds.end);
        let reader = self.patiently(|| shared.log.open(topic, partition, From::Time(reach))).await?;
        let (Some(end), Some(mut reader)) = (end, reader) else { return Ok(None) };
        while reader.position() < end {
            if self.desk.stop.is_cancelled() {
                return Ok(None);
            }
            match reader.read(BATCH, PATIENCE).await {
                Ok(records) => self.desk.fold(&records, reader.position()),
                Err(LogError::Unavailable(reason)) => self.away(&reason).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.desk.fold(&[], reader.position());
        tracing::info!(partition, from = %reach, "journal is read to its end");
        Ok(Some(reader))
    }

    /// Opens a lane at its mark, or at its beginning where the mark is lost: the journal knows what was done.
    async fn open_lane(&self, lane: Lane) -> Result<Option<LaneState>, Error> {
        let shared = &self.desk.shared;
        let topic = lane.topic(&shared.topics);
        let partition = self.desk.partition;
        let Some(marked) = self.patiently(|| self.positions.marked(topic, partition)).await? else { return Ok(None) };
        let mut from = marked.map_or(From::Start, From::Offset);
        let reader = loop {
            match self.patiently(|| shared.log.open(topic, partition, from)).await {
                Ok(Some(reader)) => break reader,
                Ok(None) => return Ok(None),
                Err(Error::Log(error @ LogError::OutOfRange { .. })) if from != From::Start => {
                    tracing::warn!(%error, partition, lane = lane.name(), "mark is outside the lane; reading it from its beginning");
                    from = From::Start;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Some(LaneState { lane, tracker: Tracker::new(reader.position()), reading: read(reader) }))
    }

    /// Asks the log until it answers. None: the worker stops.
    async fn patiently<'a, T>(&self, ask: impl Fn() -> BoxFuture<'a, Result<T, LogError>>) -> Result<Option<T>, Error> {
        while !self.desk.stop.is_cancelled() {
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(LogError::Unavailable(reason)) => self.away(&reason).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn away(&self, reason: &str) {
        tracing::warn!(reason, partition = self.desk.partition, "log does not answer; trying again");
        tokio::select! {
            () = self.desk.stop.cancelled() => {}
            () = self.desk.shared.clock.sleep(PAUSE) => {}
        }
    }

    async fn take_journal(&self, reader: Box<dyn Reader>, records: Result<Vec<Record>, LogError>) -> Result<Reading, Error> {
        match records {
            Ok(records) => {
                self.desk.fold(&records, reader.position());
                self.desk.forget_before(before(self.desk.now(), self.config.reach_back));
            }
            Err(LogError::Unavailable(reason)) => return Ok(self.read_later(reader, &reason)),
            Err(error) => return Err(error.into()),
        }
        Ok(read(reader))
    }

    /// Admits what came on a lane.
    fn take(
        &mut self,
        state: &mut LaneState,
        reader: Box<dyn Reader>,
        records: Result<Vec<Record>, LogError>,
    ) -> Result<Vec<BoxFuture<'static, Work>>, Error> {
        let records = match records {
            Ok(records) => records,
            Err(LogError::Unavailable(reason)) => {
                state.reading = self.read_later(reader, &reason);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        state.reading = read(reader);
        let mut work = Vec::new();
        for record in records {
            state.tracker.begin(record.offset);
            let value = record.value.clone().unwrap_or_default();
            match SendRecord::decode(&self.desk.shared.codec, &value) {
                Ok(send) if self.desk.shared.topics.partition_of(&send.message.customer) == self.desk.partition => {
                    let item = Item { send, lane: state.lane, offset: record.offset, appended: record.timestamp };
                    if let Admission::Full(item) = self.queues.admit(item) {
                        self.turned_away += 1;
                        work.push(self.work(*item, None, Intent::TurnAway));
                    }
                }
                Ok(_) => work.push(self.bury(
                    state.lane,
                    record,
                    "wrong_partition",
                    "send stands in a partition that is not its customer's".into(),
                )),
                Err(error) => work.push(self.bury(state.lane, record, "unreadable_send", error.to_string())),
            }
        }
        Ok(work)
    }

    fn work(&self, item: Item, queue: Option<QueueKey>, intent: Intent) -> BoxFuture<'static, Work> {
        let desk = self.desk.clone();
        Box::pin(async move {
            let left = deliver(&desk, &item.send, intent, item.appended).await;
            Work::Message { message: item.send.message.id, queue, left }
        })
    }

    /// Keeps a record that cannot be worked on where people look.
    fn bury(&self, lane: Lane, record: Record, reason: &'static str, message: String) -> BoxFuture<'static, Work> {
        let desk = self.desk.clone();
        Box::pin(async move {
            desk.shared.metrics.poison.inc();
            tracing::error!(
                reason,
                error = message,
                topic = &*record.topic,
                partition = record.partition,
                offset = record.offset,
                "dead letter"
            );
            let offset = record.offset;
            let source = DeadLetterSource::Topic { topic: record.topic.to_string(), partition: record.partition, offset };
            let letter = DeadLetter::new(source, None, reason, message, desk.now(), record.value.unwrap_or_default());
            let outgoing = Outgoing {
                topic: desk.shared.topics.dead_letters.clone(),
                partition: 0,
                key: Some(Bytes::from(letter.key())),
                value: Some(letter.encode(&desk.shared.codec).into()),
                headers: Vec::new(),
            };
            let kept = desk.append(outgoing).await.map(|_| ());
            Work::Poison { lane, offset, kept }
        })
    }

    /// Notes that a piece of work is over, and marks the lane as far as it is done.
    fn finish(&mut self, work: Work, lanes: [&mut LaneState; Lane::COUNT]) -> Result<(), Error> {
        let done = match work {
            Work::Poison { lane, offset, kept } => {
                kept?;
                vec![(lane, offset)]
            }
            Work::Message { message, queue, left } => {
                match &queue {
                    Some(queue) => self.queues.finish(queue),
                    None => self.turned_away -= 1,
                }
                let copies = self.queues.leave(&message);
                match left? {
                    Left::Done => copies,
                    Left::Undone => Vec::new(),
                }
            }
        };
        for (lane, offset) in done {
            if let Some(mark) = lanes[lane as usize].tracker.finish(offset) {
                self.positions.mark(lane.topic(&self.desk.shared.topics), self.desk.partition, mark);
            }
        }
        Ok(())
    }

    fn read_later(&self, mut reader: Box<dyn Reader>, reason: &str) -> Reading {
        tracing::warn!(reason, partition = self.desk.partition, "log does not answer; trying again");
        let pause = self.desk.shared.clock.sleep(PAUSE);
        Box::pin(async move {
            pause.await;
            let records = reader.read(BATCH, PATIENCE).await;
            (reader, records)
        })
    }
}

fn read(mut reader: Box<dyn Reader>) -> Reading {
    Box::pin(async move {
        let records = reader.read(BATCH, PATIENCE).await;
        (reader, records)
    })
}
