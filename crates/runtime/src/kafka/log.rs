//! Kafka as the [`Log`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use rdkafka::{
    consumer::Consumer,
    topic_partition_list::{Offset as KafkaOffset, TopicPartitionList},
};

use super::{
    ANSWER_PATIENCE, Kafka, ask,
    ends::Ends,
    inbox::Inbox,
    lane::{Lane, LaneThread, READER_GROUP, offset},
    partition_number,
    producer::Producer,
    refused,
};
use crate::{
    clock::Clock,
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader, Record},
};

/// How long a write waits before it asks again for a topic's partitions while no broker answers.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How many records are looked at together when a moment is searched on the embedded broker.
const SEARCH_RECORDS: usize = 1_000;

/// The [`Log`] on Kafka, real or embedded. One a process, because it holds the one producer (rule P3).
///
/// Records are stamped from the process's clock; the broker replaces the stamp where the topic has LogAppendTime.
pub struct KafkaLog {
    kafka: Kafka,
    producer: Producer,
    lanes: Arc<Mutex<Vec<LaneThread>>>,
    /// Asks the questions. It has no readers: on a reader's connection each would wait behind a fetch that the broker holds.
    asker: LaneThread,
    /// Numbers of partitions, which only ever grow.
    partitions: Mutex<HashMap<Arc<str>, u32>>,
    ends: Arc<Ends>,
}

impl KafkaLog {
    pub(super) fn new(kafka: Kafka, clock: Clock) -> Result<Self, LogError> {
        let producer = Producer::new(&kafka, clock)?;
        let asker = LaneThread::start(&kafka, READER_GROUP)?;
        let ends = Arc::new(Ends::new(kafka.clone()));
        Ok(Self { kafka, producer, lanes: Arc::default(), asker, partitions: Mutex::default(), ends })
    }

    /// Resolves when a broker has answered, for the wait at start.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if none does within ten seconds.
    pub async fn answers(&self) -> Result<(), LogError> {
        let lane = self.asker.lane.clone();
        let servers = self.kafka.config().bootstrap.join(",");
        ask(move || match lane.consumer.client().fetch_cluster_id(ANSWER_PATIENCE) {
            Some(_) => Ok(()),
            None => Err(LogError::Unavailable(format!("no kafka broker answers at {servers}"))),
        })
        .await
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// [`LogError::Missing`] if there is no such topic, [`LogError::Unavailable`] if no broker answers.
    pub async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        let (lane, name) = (self.asker.lane.clone(), topic.to_owned());
        let count = ask(move || {
            let metadata = lane.consumer.fetch_metadata(Some(&name), ANSWER_PATIENCE).map_err(|error| refused(&error, &name, 0))?;
            let found = metadata.topics().iter().find(|found| found.name() == name && found.error().is_none());
            let count = found.map_or(0, |topic| topic.partitions().len());
            if count == 0 { Err(LogError::Missing { topic: name, partition: 0 }) } else { Ok(count) }
        })
        .await?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.into(), count);
        Ok(count)
    }

    /// Makes sure that each record has a partition to go to, because a record without one would end the producer. Waits while no
    /// broker answers.
    async fn check_targets(&self, records: &[Outgoing]) -> Result<(), LogError> {
        for record in records {
            loop {
                let known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner).get(&record.topic).copied();
                if known.is_some_and(|count| record.partition < count) {
                    break;
                }
                match self.partitions(&record.topic).await {
                    Ok(count) if record.partition < count => break,
                    Ok(_) => return Err(LogError::Missing { topic: record.topic.to_string(), partition: record.partition }),
                    Err(LogError::Unavailable(_)) => tokio::time::sleep(RETRY_PAUSE).await,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Offsets for "times" as Kafka means them: -1 is the end, -2 the start, others are milliseconds. One request to each leader.
    async fn offsets_for(&self, places: Vec<(Arc<str>, Partition)>, time: KafkaOffset) -> Result<Vec<Option<Offset>>, LogError> {
        let lane = self.asker.lane.clone();
        ask(move || {
            let mut list = TopicPartitionList::with_capacity(places.len());
            for (topic, partition) in &places {
                let mut place = list.add_partition(topic, i32::try_from(*partition).unwrap_or(i32::MAX));
                place.set_offset(time).map_err(|error| refused(&error, topic, *partition))?;
            }
            let (topic, partition) = places.first().cloned().unwrap_or_else(|| ("".into(), 0));
            let found = lane.consumer.offsets_for_times(list, ANSWER_PATIENCE).map_err(|error| refused(&error, &topic, partition))?;
            let found = found.elements();
            let place = |found: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
                found.error().map_err(|error| refused(&error, found.topic(), partition_number(found.partition())))?;
                match found.offset() {
                    KafkaOffset::Offset(place) => Ok(Some(offset(place))),
                    _ => Ok(None),
                }
            };
            found.iter().map(place).collect()
        })
        .await
    }

    /// Reads on to the first record of a moment, because the mock cannot find it. It keeps few records.
    async fn search(&self, topic: &str, partition: Partition, moment: Timestamp, bounds: Bounds) -> Result<Offset, LogError> {
        let mut reader = self.open(topic, partition, From::Offset(bounds.start)).await?;
        while reader.position() < bounds.end {
            let records = reader.read(SEARCH_RECORDS, ANSWER_PATIENCE).await?;
            if records.is_empty() {
                return Err(LogError::Unavailable(format!("{topic}/{partition} does not tell what it holds")));
            }
            if let Some(found) = records.iter().find(|record| record.timestamp >= moment) {
                return Ok(found.offset);
            }
        }
        Ok(bounds.end)
    }

    async fn start_of(&self, topic: &Arc<str>, partition: Partition, from: From) -> Result<Offset, LogError> {
        let bounds = self.bounds(topic, partition).await?;
        match from {
            From::Start => Ok(bounds.start),
            From::End => Ok(bounds.end),
            From::Offset(wanted) if (bounds.start..=bounds.end).contains(&wanted) => Ok(wanted),
            From::Offset(wanted) => Err(LogError::OutOfRange { topic: topic.to_string(), partition, wanted, bounds }),
            From::Time(moment) if self.kafka.is_embedded() => self.search(topic, partition, moment, bounds).await,
            From::Time(moment) => {
                let time = KafkaOffset::Offset(first_millisecond(moment));
                let found = self.offsets_for(vec![(topic.clone(), partition)], time).await?;
                Ok(found.first().copied().flatten().unwrap_or(bounds.end))
            }
        }
    }
}

/// The first whole millisecond at or after a moment, because records are stamped in milliseconds. Never negative: negative times
/// have other meanings.
fn first_millisecond(moment: Timestamp) -> i64 {
    let millis = moment.as_millisecond();
    let below = Timestamp::from_millisecond(millis).is_ok_and(|whole| whole < moment);
    (millis + i64::from(below)).max(0)
}

impl Log for KafkaLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        Box::pin(async move {
            self.producer.check_sizes(&records)?;
            self.check_targets(&records).await?;
            self.producer.append(&records).await
        })
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let start = self.start_of(&topic, partition, from).await?;
            let (lanes, kafka) = (self.lanes.clone(), self.kafka.clone());
            let (lane, inbox) = ask(move || {
                let mut lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
                for thread in lanes.iter() {
                    if let Some(inbox) = thread.lane.open(&topic, partition, start)? {
                        return Ok((thread.lane.clone(), inbox));
                    }
                }
                let thread = LaneThread::start(&kafka, READER_GROUP)?;
                let lane = thread.lane.clone();
                lanes.push(thread);
                match lane.open(&topic, partition, start)? {
                    Some(inbox) => Ok((lane, inbox)),
                    None => Err(LogError::Fatal("a new consumer already reads a partition".to_owned())),
                }
            })
            .await?;
            Ok(Box::new(KafkaReader { lane, inbox, ends: self.ends.clone(), position: start }) as Box<dyn Reader>)
        })
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        let (lane, ends, topic) = (self.asker.lane.clone(), self.ends.clone(), Arc::<str>::from(topic));
        Box::pin(ask(move || {
            let bounds = lane.bounds(&topic, partition)?;
            ends.tell(&topic, partition, bounds.end);
            Ok(bounds)
        }))
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner).get(&topic).copied();
            let count = match known {
                Some(count) => count,
                None => self.partitions(&topic).await?,
            };
            let places = (0..count).map(|partition| (topic.clone(), partition)).collect();
            let found = self.offsets_for(places, KafkaOffset::End).await?;
            let missing = || LogError::Unavailable(format!("end of a partition of {topic} is unknown"));
            let found: Vec<Offset> = found.into_iter().map(|end| end.ok_or_else(missing)).collect::<Result<_, _>>()?;
            (0..count).zip(&found).for_each(|(partition, end)| self.ends.tell(&topic, partition, *end));
            Ok(found)
        })
    }
}

struct KafkaReader {
    lane: Arc<Lane>,
    inbox: Arc<Inbox>,
    ends: Arc<Ends>,
    position: Offset,
}

impl Reader for KafkaReader {
    fn read(&mut self, max: usize, patience: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        Box::pin(async move {
            let records = self.inbox.read(max, patience, || self.lane.resume(&self.inbox)).await?;
            let reached = match records.last() {
                Some(last) => Some(last.offset + 1),
                None => self.ends.behind_gap(&self.inbox.topic, self.inbox.partition, self.position).await?,
            };
            self.position = self.position.max(reached.unwrap_or_default());
            Ok(records)
        })
    }

    fn position(&self) -> Offset {
        self.position
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.lane.close(&self.inbox);
    }
}
