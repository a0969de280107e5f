//! A log in memory: what tests and the simulation use instead of Kafka, with the same meaning of every call.
//!
//! Deterministic: records land in the order of the calls, stamps and patience come from the [`Clock`], nothing is spawned and nothing
//! depends on a runtime. An append lands when its future is first polled, so a caller that is dropped while it waits for the
//! acknowledgement leaves the record behind, as on Kafka. Retention and compaction happen only when asked for.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{BoxFuture, Either, select};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Positions, Reader, Record},
};

/// The largest record, in bytes of key, value and headers: Kafka's default `max.message.bytes`.
const RECORD_LIMIT: usize = 1_048_588;

/// A [`Log`] in memory; clones are the same log.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    clock: Clock,
    topics: Arc<Mutex<BTreeMap<Arc<str>, Vec<Contents>>>>,
}

#[derive(Debug, Default)]
struct Contents {
    start: Offset,
    end: Offset,
    records: BTreeMap<Offset, Record>,
    grown: Arc<Notify>,
}

impl MemoryLog {
    /// An empty log without topics; `clock` stamps the records and measures the patience of readers.
    pub fn new(clock: Clock) -> Self {
        Self { clock, topics: Arc::default() }
    }

    /// Makes a topic, or leaves it as it is if it exists.
    pub fn create_topic(&self, topic: &str, partitions: u32) {
        self.lock().entry(topic.into()).or_insert_with(|| (0..partitions).map(|_| Contents::default()).collect());
    }

    /// All that a partition holds now, in order; nothing if it does not exist.
    pub fn records(&self, topic: &str, partition: Partition) -> Vec<Record> {
        self.with(topic, partition, |contents| contents.records.values().cloned().collect()).unwrap_or_default()
    }

    /// Forgets the records below `start`, as retention does. Beyond the end it forgets all.
    pub fn forget_before(&self, topic: &str, partition: Partition, start: Offset) -> Result<(), LogError> {
        self.with(topic, partition, |contents| {
            contents.start = start.clamp(contents.start, contents.end);
            contents.records = contents.records.split_off(&contents.start);
        })
    }

    /// Keeps the last record of each key below `upto`, as compaction does; tombstones stamped before `forgotten` go too.
    pub fn compact(&self, topic: &str, partition: Partition, upto: Offset, forgotten: Timestamp) -> Result<(), LogError> {
        self.with(topic, partition, |contents| {
            let last: BTreeMap<_, _> =
                contents.records.range(..upto).filter_map(|(offset, record)| Some((record.key.clone()?, *offset))).collect();
            contents.records.retain(|offset, record| {
                let superseded = record.key.as_ref().is_some_and(|key| last.get(key).is_some_and(|last| last != offset));
                let gone = record.value.is_none() && record.timestamp < forgotten;
                *offset >= upto || !(superseded || gone)
            });
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Vec<Contents>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, topic: &str, partition: Partition, action: impl FnOnce(&mut Contents) -> T) -> Result<T, LogError> {
        match self.lock().get_mut(topic).and_then(|partitions| partitions.get_mut(partition as usize)) {
            Some(contents) => Ok(action(contents)),
            None => Err(LogError::Missing { topic: topic.to_owned(), partition }),
        }
    }

    fn land(&self, records: Vec<Outgoing>) -> Result<Vec<Offset>, LogError> {
        for record in &records {
            let size = size(record);
            if size > RECORD_LIMIT {
                return Err(LogError::TooLarge { topic: record.topic.to_string(), size, limit: RECORD_LIMIT });
            }
            self.with(&record.topic, record.partition, |_| ())?;
        }
        let timestamp = self.clock.now();
        records
            .into_iter()
            .map(|Outgoing { topic, partition, key, value, headers }| {
                self.with(&topic.clone(), partition, |contents| {
                    let offset = contents.end;
                    contents.end += 1;
                    contents.records.insert(offset, Record { topic, partition, offset, timestamp, key, value, headers });
                    contents.grown.notify_waiters();
                    offset
                })
            })
            .collect()
    }
}

fn size(record: &Outgoing) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, |key| key.len()) + record.value.as_ref().map_or(0, |value| value.len()) + headers
}

impl Log for MemoryLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        Box::pin(async move { self.land(records) })
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let position = self.with(&topic, partition, |contents| {
                let bounds = Bounds { start: contents.start, end: contents.end };
                match from {
                    From::Start => Ok(bounds.start),
                    From::End => Ok(bounds.end),
                    From::Time(moment) => {
                        Ok(contents.records.values().find(|record| record.timestamp >= moment).map_or(bounds.end, |record| record.offset))
                    }
                    From::Offset(wanted) if (bounds.start..=bounds.end).contains(&wanted) => Ok(wanted),
                    From::Offset(wanted) => Err(LogError::OutOfRange { topic: topic.to_string(), partition, wanted, bounds }),
                }
            })??;
            Ok(Box::new(MemoryReader { log: self.clone(), topic, partition, position }) as Box<dyn Reader>)
        })
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        let bounds = self.with(topic, partition, |contents| Bounds { start: contents.start, end: contents.end });
        Box::pin(std::future::ready(bounds))
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        let ends = match self.lock().get(topic) {
            Some(partitions) => Ok(partitions.iter().map(|contents| contents.end).collect()),
            None => Err(LogError::Missing { topic: topic.to_owned(), partition: 0 }),
        };
        Box::pin(std::future::ready(ends))
    }
}

struct MemoryReader {
    log: MemoryLog,
    topic: Arc<str>,
    partition: Partition,
    position: Offset,
}

impl MemoryReader {
    /// What is there, and how to hear of more.
    fn take(&mut self, max: usize) -> Result<(Vec<Record>, Arc<Notify>), LogError> {
        let position = self.position;
        let (records, end, grown, start) = self.log.with(&self.topic, self.partition, |contents| {
            let records: Vec<_> = contents.records.range(position..).take(max).map(|(_, record)| record.clone()).collect();
            (records, contents.end, contents.grown.clone(), contents.start)
        })?;
        if position < start {
            let topic = self.topic.to_string();
            return Err(LogError::OutOfRange { topic, partition: self.partition, wanted: position, bounds: Bounds { start, end } });
        }
        self.position = records.last().map_or(if max == 0 { position } else { end }, |record| record.offset + 1);
        Ok((records, grown))
    }
}

impl Reader for MemoryReader {
    fn read(&mut self, max: usize, patience: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        Box::pin(async move {
            let mut patience = pin!(self.log.clock.sleep(patience));
            loop {
                let (records, grown) = self.take(max)?;
                if !records.is_empty() {
                    return Ok(records);
                }
                let mut more = pin!(grown.notified());
                more.as_mut().enable();
                let (records, _) = self.take(max)?;
                if !records.is_empty() {
                    return Ok(records);
                }
                if let Either::Right(_) = select(more, patience.as_mut()).await {
                    return Ok(Vec::new());
                }
            }
        })
    }

    fn position(&self) -> Offset {
        self.position
    }
}

/// [`Positions`] in memory, kept as long as the value lives; clones are the same group.
#[derive(Clone, Debug, Default)]
pub struct MemoryPositions(Arc<Mutex<BTreeMap<(String, Partition), Offset>>>);

impl Positions for MemoryPositions {
    fn marked(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Option<Offset>, LogError>> {
        let marked = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(topic.to_owned(), partition)).copied();
        Box::pin(std::future::ready(Ok(marked)))
    }

    fn mark(&self, topic: &str, partition: Partition, next: Offset) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((topic.to_owned(), partition), next);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;

    use super::*;

    fn record(key: &'static str, value: Option<&'static str>) -> Outgoing {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        Outgoing { topic: "t".into(), partition: 1, key: Some(Bytes::from_static(key.as_bytes())), value, headers: Vec::new() }
    }

    fn log() -> MemoryLog {
        let log = MemoryLog::new(Clock::system());
        log.create_topic("t", 2);
        log
    }

    async fn keys(log: &MemoryLog, from: From) -> Vec<Bytes> {
        let mut reader = log.open("t", 1, from).await.unwrap();
        reader.read(100, Duration::ZERO).await.unwrap().into_iter().filter_map(|record| record.key).collect()
    }

    #[tokio::test]
    async fn records_are_read_in_order_from_any_place_that_is_there() {
        let log = log();
        assert_eq!(log.append(vec![record("a", Some("1")), record("b", Some("1"))]).await.unwrap(), [0, 1]);
        assert_eq!(keys(&log, From::Start).await, ["a", "b"]);
        assert_eq!(keys(&log, From::Offset(1)).await, ["b"]);
        assert!(keys(&log, From::End).await.is_empty());
        log.forget_before("t", 1, 1).unwrap();
        assert!(matches!(log.open("t", 1, From::Offset(0)).await, Err(LogError::OutOfRange { wanted: 0, .. })));
        assert!(matches!(log.open("t", 1, From::Offset(3)).await, Err(LogError::OutOfRange { wanted: 3, .. })));
        assert!(matches!(log.open("t", 2, From::Start).await, Err(LogError::Missing { partition: 2, .. })));
        assert_eq!(log.ends("t").await.unwrap(), [0, 2]);
    }

    #[tokio::test]
    async fn a_waiting_reader_wakes_when_a_record_lands() {
        let log = log();
        let mut reader = log.open("t", 1, From::Start).await.unwrap();
        let mut waiting = reader.read(1, Duration::from_secs(3600));
        assert!((&mut waiting).now_or_never().is_none());
        log.append(vec![record("a", Some("1"))]).await.unwrap();
        assert_eq!(waiting.await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn compaction_keeps_the_last_of_each_key_and_readers_step_over_gaps() {
        let log = log();
        log.append(vec![record("a", Some("1")), record("b", Some("1")), record("a", Some("2")), record("b", None)]).await.unwrap();
        log.compact("t", 1, 4, Timestamp::MAX).unwrap();
        let mut reader = log.open("t", 1, From::Start).await.unwrap();
        let read = reader.read(10, Duration::ZERO).await.unwrap();
        assert_eq!((read.len(), read[0].offset, reader.position()), (1, 2, 3));
        assert!(reader.read(10, Duration::ZERO).await.unwrap().is_empty());
        assert_eq!(reader.position(), 4);
    }
}
